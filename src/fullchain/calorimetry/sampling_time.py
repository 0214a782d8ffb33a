"""Time that drawing showers takes, and how much of a network runs for it."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fullchain.calorimetry.timing_settings import TimingSettings
from fullchain.seeds import stream

Array = NDArray[Any]

Clock = Callable[[], float]

DRAWS = 400
"""Replicas of the bootstrap of a median."""

PROBE = 0.1
"""Part of the limit of time that foreseeing may take."""

FEWEST = 2
"""Measurements without which there is no spread."""


@dataclass(frozen=True)
class Times:
    """Milliseconds per shower at one batch size.

    Parameters
    ----------
    batch
        Showers drawn at once.
    cpu, wall
        Of each measurement: time of the process on all its CPUs, and of the clock on the wall.
    calls
        Batches in each measurement.
    """

    batch: int
    cpu: Array
    wall: Array
    calls: int

    def as_dict(self) -> dict[str, Any]:
        """Give medians with errors, and all measurements."""
        return {
            "batch": self.batch,
            "repeats": len(self.cpu),
            "calls": self.calls,
            "cpu_ms": list(median(self.cpu)),
            "wall_ms": list(median(self.wall)),
            "cpu_ms_all": self.cpu.tolist(),
        }


def median(values: Array) -> tuple[float, float]:
    """Give the median and its error by the bootstrap over measurements."""
    random = stream(0, "median")
    drawn = np.median(random.choice(values, (DRAWS, len(values))), axis=1)
    return float(np.median(values)), float(drawn.std(ddof=1))


def measure(
    draw: Callable[[Array], object],
    energies: Array,
    settings: TimingSettings,
    advance: Callable[[float], None] = lambda amount: None,
    clocks: tuple[Clock, Clock] = (time.process_time, time.perf_counter),
) -> tuple[list[Times], dict[int, float]]:
    """Measure the time of drawing at each batch size.

    Parameters
    ----------
    draw
        Draws a shower for each of the energies (batch).
    energies
        To draw at, any number [MeV]; they are repeated as needed.
    clocks
        CPU and wall time [s].

    Returns
    -------
    Times, and for each batch size that would take too long the time foreseen for one batch [s].
    """
    found: list[Times] = []
    left_out: dict[int, float] = {}
    each: float | None = None
    for batch in sorted(settings.batches):
        at = np.resize(energies, batch)
        calls = max(1, math.ceil(settings.showers / batch))
        if each is None:
            # The first batches set things up; they also say how long the others take.
            draw(at)
            each = _once(draw, at, 1, clocks)[0]
        elif batch > 1:
            # What the one before took would be far too much where a batch has a time of its own.
            few = max(1, min(batch // 10, int(PROBE * settings.limit_s / max(each, 1e-9))))
            each = min(each, _once(draw, at[:few], 1, clocks)[0])
        seconds = each * batch
        repeats = min(settings.repeats, int(settings.limit_s / max(seconds * calls, 1e-9)))
        if repeats < FEWEST:
            left_out[batch] = seconds
            continue
        several = np.array([_once(draw, at, calls, clocks) for _ in range(repeats)])
        each = float(np.median(several[:, 0]))
        found.append(Times(batch, 1e3 * several[:, 0], 1e3 * several[:, 1], calls))
        advance(1)
    return found, left_out


def _once(
    draw: Callable[[Array], object], at: Array, calls: int, clocks: Sequence[Clock]
) -> tuple[float, float]:
    """CPU and wall time per shower of some calls [s]."""
    begin = [clock() for clock in clocks]
    for _ in range(calls):
        draw(at)
    cpu, wall = (clock() - before for clock, before in zip(clocks, begin, strict=True))
    return cpu / (calls * len(at)), wall / (calls * len(at))


@contextmanager
def counted(network: nn.Module) -> Iterator[dict[str, int]]:
    """Count how often each part that has weights of its own runs inside the block."""
    counts: dict[str, int] = {}
    hooks = []

    def hook(name: str) -> Callable[..., None]:
        def count(*_: Any) -> None:
            counts[name] = counts.get(name, 0) + 1

        return count

    for name, part in network.named_modules():
        if next(part.parameters(recurse=False), None) is not None:
            hooks.append(part.register_forward_pre_hook(hook(name)))
    try:
        yield counts
    finally:
        for one in hooks:
            one.remove()


def evaluations(network: nn.Module, draw: Callable[[], object]) -> int:
    """How often the busiest part of a network runs for one batch.

    One for a flow whose inverse takes one pass, the number of steps times that of stages for one
    that follows a velocity, the number of numbers for an autoregressive one.
    """
    with counted(network) as counts:
        draw()
    return max(counts.values(), default=0)
