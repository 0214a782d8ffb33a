"""Thresholds at a fixed background rate, and efficiencies, of scores that may have ties."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fullchain.binomial import clopper_pearson
from fullchain.errors import InputError
from fullchain.learning.bootstrap import event_factors

Array = NDArray[np.float64]

_ROUNDING = 1e-9
"""Relative: sums of weights that equal a target up to rounding do not exceed it."""


class Ranked:
    """Events of a sample in falling order of score; equal scores pass a threshold together.

    Parameters
    ----------
    score, weight
        (events).

    Raises
    ------
    InputError
        No events, a number that is not finite, or no positive sum of weights.
    """

    def __init__(self, score: Array, weight: Array) -> None:
        if not len(score):
            raise InputError("no events; make more, or look at the names of the samples")
        if not (np.isfinite(score).all() and np.isfinite(weight).all()):
            raise InputError("a score or a weight of an event is not finite")
        self.order = np.argsort(-score, kind="stable")
        self.falling = score[self.order]
        self.weight = weight[self.order]
        self.last = np.flatnonzero(np.append(np.diff(self.falling) != 0, True))
        self.values = self.falling[self.last]
        self.passing()

    def __len__(self) -> int:
        return len(self.weight)

    def passing(self, factor: Array | None = None) -> Array:
        """Give the part above each distinct score, that one included, (distinct scores).

        `factor` multiplies the weights of the events, in the order that they were given in.
        """
        scaled = self.weight if factor is None else self.weight * factor[self.order]
        total = np.cumsum(scaled)
        if total[-1] <= 0:
            raise InputError("the weights of the events do not sum to a positive number")
        return np.asarray(total[self.last] / total[-1])

    def above(self, thresholds: Array, factor: Array | None = None) -> Array:
        """Give the part of the events with score >= each threshold, (thresholds)."""
        places = np.searchsorted(-self.values, -thresholds, side="right")
        return np.append(0.0, self.passing(factor))[places]

    def thresholds(self, fractions: Array, factor: Array | None = None) -> Array:
        """Give the loosest threshold that at most a part of the events passes, for each part.

        A threshold is the score of an event; infinity where even the highest score is shared by
        more than the part.
        """
        # With negative weights the part need not rise; its running maximum does.
        passing = np.maximum.accumulate(self.passing(factor))
        places = np.searchsorted(passing, fractions * (1 + _ROUNDING), side="right") - 1
        return np.append(self.values, np.inf)[places]


@dataclass(frozen=True)
class Cut:
    """A threshold that a trigger can have: events with score >= `value` pass.

    `value` is infinity where no threshold keeps the background small enough. `achieved` is the
    part of the background that passes, `looser` that of the next lower threshold (the larger the
    difference, the coarser the score), 1 where there is none.
    """

    value: float
    achieved: float
    looser: float


def cut(background: Ranked, fraction: float) -> Cut:
    """Give the loosest threshold that at most a part of the background passes."""
    value = float(background.thresholds(np.array([fraction]))[0])
    place = int(np.searchsorted(-background.values, -value, side="right"))
    passing = np.concatenate([[0.0], background.passing(), [1.0]])
    return Cut(value, float(passing[place]), float(passing[place + 1]))


@dataclass(frozen=True)
class Efficiency:
    """Part of events that pass, with the 68 % interval of Clopper and Pearson.

    `passed` and `events` are counts without weights.
    """

    value: float
    low: float
    high: float
    passed: int
    events: int


def efficiency(passed: NDArray[np.bool_], weight: Array) -> Efficiency | None:
    """Give the efficiency of events that passed or not; None for no events or no weight."""
    total = float(weight.sum())
    if total <= 0:
        return None
    value = min(max(float(weight[passed].sum()) / total, 0.0), 1.0)
    effective = total**2 / float((weight**2).sum())
    low, high = clopper_pearson(value * effective, effective)
    return Efficiency(value, float(low), float(high), int(passed.sum()), len(passed))


class Areas:
    """Area under the curve of two samples; equal scores count one half.

    Parameters
    ----------
    background, signal
        Events; what does not change from one bootstrap sample to the next is found once.
    """

    def __init__(self, background: Ranked, signal: Ranked) -> None:
        self.samples = (background, signal)
        values = np.unique(np.concatenate([background.values, signal.values]))[::-1]
        self.places = [np.searchsorted(-one.values, -values, side="right") for one in self.samples]

    def area(self, factors: Sequence[Array | None] = (None, None)) -> float:
        """Give the area, with factors on the weights of background and signal events."""
        x, y = (
            np.append(0.0, np.append(0.0, one.passing(factor))[place])
            for one, factor, place in zip(self.samples, factors, self.places, strict=True)
        )
        return float(np.trapezoid(y, x))


def replicas(
    background: int, signals: Sequence[int], number: int, seed: int
) -> Iterator[tuple[Array, list[Array]]]:
    """Give Poisson factors of events, of the background and of each signal, in each replica.

    Parameters
    ----------
    background, signals
        Numbers of events. Factors depend on these, the seed and the replica only: implementations
        that see the same events get the same factors, and their differences are paired.
    """
    ends = np.cumsum([background, *signals])
    for factors in event_factors(np.arange(int(ends[-1])), number, seed, "trigger"):
        first, *rest = np.split(factors, ends[:-1])
        yield first, rest
