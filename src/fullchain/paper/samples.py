"""What the report says about samples: their size, and how many events each cut leaves."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fullchain.errors import InputError

NOMINAL = "nominal"


@dataclass(frozen=True)
class SampleRow:
    """One sample: its files, events, sum of weights and cross section in pb (None: not known)."""

    name: str
    layout: str
    files: int
    skipped: int
    events: int
    sum_of_weights: float
    cross_section_pb: float | None


@dataclass(frozen=True)
class Cut:
    """Events and sum of weights left after one cut, summed over the parts of a sample."""

    name: str
    events: int
    sum_of_weights: float


@dataclass(frozen=True)
class Cutflow:
    """The cuts of one sample in order, for each variation; one of them is `NOMINAL`."""

    sample: str
    variations: Mapping[str, tuple[Cut, ...]]
    skipped: int

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """The cuts without any shift."""
        return self.variations[NOMINAL]

    @property
    def shifts(self) -> dict[str, float]:
        """Relative change of the sum of weights after all cuts, for each shift."""
        reference = self.cuts[-1].sum_of_weights
        return {
            name: cuts[-1].sum_of_weights / reference - 1
            for name, cuts in self.variations.items()
            if name != NOMINAL and reference
        }


@dataclass(frozen=True)
class AccountRow:
    """What one step did with the events or jets (`what`) of a sample."""

    sample: str
    step: str
    what: str
    read: int
    written: int
    rejected: Mapping[str, int]
    sum_of_weights: float | None

    @property
    def reasons(self) -> str:
        """The reasons with their numbers, the largest first; those of which there are some."""
        found = sorted(self.rejected.items(), key=lambda item: -item[1])
        return "; ".join(f"{name} {number:,}" for name, number in found if number)


def read_accounts(path: Path) -> list[AccountRow]:
    """Read what `paper account` wrote, summed over the parts of each sample.

    Raises
    ------
    InputError
        The file is missing or lacks a key.
    """
    with _content(path, "file of accounts") as content:
        return [
            AccountRow(
                sample=row["sample"],
                step=row["step"],
                what=row["what"],
                read=row["read"],
                written=row["written"],
                rejected=row["rejected"],
                sum_of_weights=row["sum_read"]
                if row["sum_written"] is None
                else row["sum_written"],
            )
            for row in content["samples"]
        ]


def read_sample(path: Path) -> SampleRow:
    """Read the manifest of a sample.

    Raises
    ------
    InputError
        The file is missing or lacks a key.
    """
    with _content(path, "sample manifest") as content:
        return SampleRow(
            name=content["sample"],
            layout=content["layout"],
            files=sum(len(part["files"]) for part in content["parts"]),
            skipped=content["files_skipped"],
            events=content["events"],
            sum_of_weights=content["sum_of_weights"],
            cross_section_pb=content["cross_section_pb"],
        )


def read_cutflows(paths: Iterable[Path]) -> list[Cutflow]:
    """Read the summaries of the parts and add them up by sample, in order of appearance.

    Raises
    ------
    InputError
        A file is missing or lacks a key, or two parts of a sample have different cuts.
    """
    found: dict[str, Cutflow] = {}
    for path in paths:
        with _content(path, "part summary") as content:
            one = _cutflow(content)
        known = found.get(one.sample)
        found[one.sample] = one if known is None else _sum(path, known, one)
    return list(found.values())


def _cutflow(content: Mapping[str, Any]) -> Cutflow:
    variations = {
        name: tuple(Cut(cut, n["events"], n["sum_of_weights"]) for cut, n in cuts.items())
        for name, cuts in content["cutflow"].items()
    }
    if not variations[NOMINAL]:
        raise KeyError(NOMINAL)
    return Cutflow(content["sample"], variations, len(content["files_skipped"]))


def _sum(path: Path, one: Cutflow, two: Cutflow) -> Cutflow:
    def names(flow: Cutflow) -> dict[str, list[str]]:
        return {name: [cut.name for cut in cuts] for name, cuts in flow.variations.items()}

    if names(one) != names(two):
        raise InputError(f"{path}: its cuts are not those of the other parts of {one.sample}")
    variations = {
        name: tuple(
            Cut(a.name, a.events + b.events, math.fsum((a.sum_of_weights, b.sum_of_weights)))
            for a, b in zip(cuts, two.variations[name], strict=True)
        )
        for name, cuts in one.variations.items()
    }
    return Cutflow(one.sample, variations, one.skipped + two.skipped)


@contextmanager
def _content(path: Path, what: str) -> Iterator[dict[str, Any]]:
    """Give what a file holds, and name the file where the block does not find something in it."""
    content = _read(path, what)
    try:
        yield content
    except (AttributeError, KeyError, TypeError) as problem:
        raise InputError(f"{path}: not a {what} ({problem!r})") from None


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what}; rerun the step that writes it") from None
    except json.JSONDecodeError as problem:
        raise InputError(f"{path}: not a {what} ({problem})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a {what}: it holds no mapping")
    return content
