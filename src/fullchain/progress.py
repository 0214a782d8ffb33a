"""Progress of long steps: a bar on a terminal, plain lines in a file."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

SECONDS_BETWEEN_LINES = 5.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@contextmanager
def _bar(description: str, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    start = time.monotonic()
    done = 0.0
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(description, total=total, rate="")

        def advance(amount: float = 1) -> None:
            nonlocal done
            done += amount
            rate = done / max(time.monotonic() - start, 1e-9)
            bars.update(task, advance=amount, rate=f"{rate:,.1f} {unit}/s")

        yield advance


@contextmanager
def _lines(description: str, total: float | None, unit: str) -> Iterator[Callable[[float], None]]:
    start = last = time.monotonic()
    done = 0.0

    def line(now: float) -> None:
        rate = done / max(now - start, 1e-9)
        text = f"{description}: {done:,.0f}"
        if total:
            text += f" of {total:,.0f} {unit} ({100 * done / total:.0f} %)"
            if rate > 0:
                text += f", {_clock(max(total - done, 0) / rate)} left"
        else:
            text += f" {unit}"
        print(f"{text}, {rate:,.1f} {unit}/s", file=sys.stderr, flush=True)

    def advance(amount: float = 1) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            line(now)

    yield advance
    line(time.monotonic())


@contextmanager
def progress(
    description: str, total: float | None = None, unit: str = "events"
) -> Iterator[Callable[[float], None]]:
    """Give a function that reports `amount` more units done.

    Parameters
    ----------
    description
        What is being done.
    total
        Number of units in all; None when not known.
    unit
        Name of the units, for the rate.
    """
    show = _bar if sys.stderr.isatty() else _lines
    with show(description, total, unit) as advance:
        yield advance


def track(
    items: Iterable[T], description: str, total: float | None = None, unit: str = "events"
) -> Iterator[T]:
    """Give the items of `items` in order, reporting one unit for each."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress(description, total, unit) as advance:
        for item in items:
            yield item
            advance(1)
