"""Summaries beside each other: values, errors, differences on the same replicas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = Mapping[str, Any]

REFERENCE = "cross_entropy"

LABELS = {
    "inferno": "INFERNO",
    "cross_entropy": "cross entropy",
    "significance": "Asimov significance",
    "likelihood": "likelihood, learned edges",
}


@dataclass(frozen=True)
class Compared:
    """A summary with its expected uncertainty on the signal strength.

    Parameters
    ----------
    name, label
        Of the loss or the score.
    value, seeds, simulation
        Median over seeds, its error from their spread (0 for a score, which has none), and from
        bootstrap replicas of the test events.
    members
        Of each seed.
    training
        Median over seeds on the events that were trained on.
    ratio, ratio_error
        To the reference, both errors together, replica by replica; None for the reference itself.
    groups
        Medians by what is held fixed.
    """

    name: str
    label: str
    kind: str
    value: float
    seeds: float
    simulation: float
    members: tuple[float, ...]
    training: float
    ratio: float | None
    ratio_error: float
    groups: dict[str, float]
    training_groups: dict[str, float]

    @property
    def error(self) -> float:
        """Seeds and simulation together."""
        return float(np.hypot(self.seeds, self.simulation))


def compare(contents: Sequence[Numbers]) -> list[Compared]:
    """Put the summaries of several files side by side: the reference, further losses, scores."""
    found = {name: one for content in contents for name, one in content["summaries"].items()}
    order = sorted(found, key=lambda name: (found[name]["kind"] != "loss", name != REFERENCE))
    reference = found.get(REFERENCE)
    return [
        _compared(name, found[name], None if name == REFERENCE else reference) for name in order
    ]


def _values(one: Numbers, part: str, what: str) -> Array:
    return np.array([member[part][what] for member in one["members"]])


def _replicas(one: Numbers) -> Array:
    """Median over seeds of each replica, relative to that without resampling."""
    return np.median([member["replicas"] for member in one["members"]], axis=0)


def _error_of_median(values: Array) -> float:
    if len(values) < 2:
        return 0.0
    return float(np.sqrt(np.pi / 2.0) * values.std(ddof=1) / np.sqrt(len(values)))


def _compared(name: str, one: Numbers, reference: Numbers | None) -> Compared:
    values = _values(one, "test", "all")
    value = float(np.median(values))
    ratio, ratio_error = None, 0.0
    if reference is not None:
        theirs = _values(reference, "test", "all")
        ratio = value / float(np.median(theirs))
        paired = float(np.std(_replicas(one) / _replicas(reference), ddof=1))
        seeds = np.hypot(
            _error_of_median(values) / value, _error_of_median(theirs) / np.median(theirs)
        )
        ratio_error = float(np.hypot(paired, ratio * seeds))
    return Compared(
        name,
        LABELS.get(name, name),
        one["kind"],
        value,
        _error_of_median(values),
        float(np.std(_replicas(one), ddof=1)),
        tuple(values.tolist()),
        float(np.median(_values(one, "train", "all"))),
        ratio,
        ratio_error,
        _medians(one, "test"),
        _medians(one, "train"),
    )


def _medians(one: Numbers, part: str) -> dict[str, float]:
    return {what: float(np.median(_values(one, part, what))) for what in one["members"][0][part]}


def median_member(one: Numbers) -> Numbers:
    """The member whose expected uncertainty is the median one."""
    values = _values(one, "test", "all")
    found: Numbers = one["members"][int(np.argsort(values)[(len(values) - 1) // 2])]
    return found
