"""How well a score tells signal from background, with weights and uncertainties.

Uncertainties come from a bootstrap over events: each replica gives every event, with all the rows
that belong to it, a weight drawn from a Poisson distribution of mean one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning.bootstrap import event_factors

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RocCurve:
    """Efficiencies of the cut score >= threshold, for falling thresholds.

    The first point is (0, 0) at threshold infinity, the last is (1, 1).
    """

    threshold: Array
    signal: Array
    background: Array


@dataclass(frozen=True)
class Interval:
    """A value with the standard deviation and the central 68 % interval of its replicas."""

    value: float
    deviation: float
    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """What the replicas say.

    `band` holds the 16 % and 84 % quantiles of the background efficiency at each signal
    efficiency of the grid, shape (2, grid).
    """

    area: Interval
    background: dict[float, Interval]
    accuracy: Interval
    band: Array


class Sorted:
    """Scores in falling order, so that each replica costs one cumulative sum.

    Parameters
    ----------
    score, is_signal, weight
        Arrays of shape (rows,).

    Raises
    ------
    ValueError
        No rows of one class, or a score or weight that is not finite.
    """

    def __init__(
        self, score: npt.ArrayLike, is_signal: npt.ArrayLike, weight: npt.ArrayLike | None = None
    ) -> None:
        score = np.asarray(score, dtype=float)
        is_signal = np.asarray(is_signal, dtype=bool)
        weight = np.ones_like(score) if weight is None else np.asarray(weight, dtype=float)
        if not is_signal.any() or is_signal.all():
            raise ValueError("a ROC curve needs rows of signal and of background")
        if not (np.isfinite(score).all() and np.isfinite(weight).all()):
            raise ValueError("a score or a weight is not finite")
        self.order = np.argsort(-score, kind="stable")
        self.is_signal = is_signal[self.order]
        self.weight = weight[self.order]
        falling = score[self.order]
        # Rows of equal score pass together: only the last of them is a point of the curve.
        self.last_of_score = np.flatnonzero(np.append(np.diff(falling) != 0, True))
        self.threshold = falling[self.last_of_score]

    def curve(self, factor: npt.ArrayLike = 1.0) -> RocCurve:
        """Give the curve with each row's weight multiplied by `factor`, in the sorted order."""
        weight = self.weight * factor
        signal = self._efficiency(np.where(self.is_signal, weight, 0.0))
        background = self._efficiency(np.where(self.is_signal, 0.0, weight))
        return RocCurve(np.append(np.inf, self.threshold), signal, background)

    def _efficiency(self, weight: Array) -> Array:
        cumulative = np.cumsum(weight)
        if cumulative[-1] <= 0:
            raise ValueError("the weights of a class do not sum to a positive number")
        return np.append(0.0, cumulative[self.last_of_score] / cumulative[-1])


def roc_curve(
    score: npt.ArrayLike, is_signal: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> RocCurve:
    """Give the curve of all thresholds; arrays of shape (rows,)."""
    return Sorted(score, is_signal, weight).curve()


def area(curve: RocCurve) -> float:
    """Area under the curve; equal scores count one half."""
    return float(np.trapezoid(curve.signal, curve.background))


def background_efficiency(curve: RocCurve, signal_efficiency: npt.ArrayLike) -> Array:
    """Background efficiency of the tightest cut that keeps at least `signal_efficiency`."""
    return np.asarray(curve.background[_position(curve, signal_efficiency)])


def threshold(curve: RocCurve, signal_efficiency: float) -> float:
    """Tightest threshold that keeps at least `signal_efficiency`."""
    return float(curve.threshold[_position(curve, signal_efficiency)])


def accuracy(curve: RocCurve, cut: float) -> float:
    """Part of rows on their right side of score >= `cut`, both classes counting the same."""
    passing = int(np.searchsorted(-curve.threshold, -cut, side="right")) - 1
    return float(0.5 * (curve.signal[passing] + 1.0 - curve.background[passing]))


def _position(curve: RocCurve, signal_efficiency: npt.ArrayLike) -> npt.NDArray[np.intp]:
    # Rounding of the cumulative sums must not push a target beyond the point that equals it.
    target = np.asarray(signal_efficiency) - 1e-12
    rising = np.maximum.accumulate(curve.signal)
    return np.minimum(np.searchsorted(rising, target, side="left"), len(rising) - 1)


def bootstrap(
    rows: Sorted,
    event: npt.ArrayLike,
    *,
    grid: npt.ArrayLike,
    working_points: Sequence[float],
    cut: float,
    replicas: int,
    seed: int,
) -> Bootstrap:
    """Uncertainties of area, background efficiencies and accuracy.

    Parameters
    ----------
    rows
        The sorted scores.
    event
        Number of the event to which each row belongs (before sorting), from 0 to events - 1.
    grid
        Signal efficiencies of the band.
    working_points
        Signal efficiencies whose background efficiency gets an interval.
    cut
        Threshold of the accuracy.
    replicas, seed
        Number of replicas; replica k depends on the seed and k only.

    Raises
    ------
    InputError
        Fewer than two replicas hold both classes with a positive sum of weights.
    """
    event = np.asarray(event)[rows.order]
    events = int(event.max()) + 1
    areas, accuracies = [], []
    at_grid, at_points = [], []
    for factor in event_factors(event, replicas, seed):
        try:
            curve = rows.curve(factor)
        except ValueError:
            # With a handful of events a replica may hold none of one class: it says nothing.
            continue
        areas.append(area(curve))
        accuracies.append(accuracy(curve, cut))
        at_grid.append(background_efficiency(curve, grid))
        at_points.append(background_efficiency(curve, list(working_points)))
    if len(areas) < 2:
        raise InputError(
            f"of {replicas} replicas of the bootstrap over {events} events {len(areas)} hold "
            "signal and background with a positive sum of weights: too few events for an "
            "uncertainty; make more"
        )
    nominal = rows.curve()
    points = np.array(at_points)
    return Bootstrap(
        area=_interval(area(nominal), np.array(areas)),
        background={
            point: _interval(float(background_efficiency(nominal, point)), points[:, index])
            for index, point in enumerate(working_points)
        },
        accuracy=_interval(accuracy(nominal, cut), np.array(accuracies)),
        band=np.quantile(np.array(at_grid), [0.16, 0.84], axis=0),
    )


def _interval(value: float, replicas: Array) -> Interval:
    low, high = np.quantile(replicas, [0.16, 0.84])
    return Interval(value, float(np.std(replicas, ddof=1)), float(low), float(high))


def event_numbers(*columns: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Number the distinct rows of some integer columns, from 0: one number for each event."""
    arrays = [np.asarray(column) for column in columns]
    order = np.lexsort(arrays[::-1])
    new = np.zeros(len(order), dtype=np.intp)
    for array in arrays:
        new[1:] |= array[order][1:] != array[order][:-1]
    numbers = np.empty(len(order), dtype=np.intp)
    numbers[order] = np.cumsum(new)
    return numbers
