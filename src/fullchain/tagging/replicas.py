"""Numbers with their bootstrap replicas, for what depends on several of them at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.learning.roc import Interval

Array = npt.NDArray[np.float64]

Number = dict[str, float | None]
"""`value` and `deviation`, for JSON; None where there is none."""


@dataclass(frozen=True)
class Replicas:
    """Numbers of shape (...), and their replicas of shape (replicas, ...), NaN where not known."""

    value: Array
    draws: Array

    def __getitem__(self, place: Any) -> "Replicas":
        """Give some of the numbers."""
        place = place if isinstance(place, tuple) else (place,)
        return Replicas(
            np.asarray(self.value[place]), np.asarray(self.draws[(slice(None), *place)])
        )

    def less(self, at: int) -> "Replicas":
        """Give the differences from the entry `at` of the first dimension."""
        return Replicas(self.value - self.value[at], self.draws - self.draws[:, at : at + 1])

    def over(self, at: int) -> "Replicas":
        """Give the relative differences from the entry `at` of the first dimension."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.value / self.value[at] - 1.0
            draws = self.draws / self.draws[:, at : at + 1] - 1.0
        return Replicas(_finite(value), _finite(draws))

    def interval(self) -> Interval:
        """Give a single number with its deviation and central 68 % interval."""
        low, high = np.nanquantile(self.draws, [0.16, 0.84])
        deviation = np.nanstd(self.draws, ddof=1)
        return Interval(float(self.value), float(deviation), float(low), float(high))

    def number(self) -> Number:
        """Give a single number with its deviation, for JSON."""
        known = self.draws[np.isfinite(self.draws)]
        if not np.isfinite(self.value) or len(known) < 2:
            return {"value": None, "deviation": None}
        return {"value": float(self.value), "deviation": float(known.std(ddof=1))}

    def numbers(self) -> list[Number]:
        """Give all numbers of shape (things,), for JSON."""
        return [self[index].number() for index in range(len(self.value))]

    def half_range(self) -> "Replicas":
        """Half of what lies between the largest and the smallest number of shape (things,).

        The replicas are of the same two things, and not of those that are largest and smallest in
        the replica: those would be pulled apart by chance.
        """
        if not np.isfinite(self.value).all():
            return Replicas(np.array(np.nan), np.full(len(self.draws), np.nan))
        high, low = int(self.value.argmax()), int(self.value.argmin())
        return Replicas(
            np.asarray(0.5 * (self.value[high] - self.value[low])),
            0.5 * (self.draws[:, high] - self.draws[:, low]),
        )


def relative_difference(one: Replicas, other: Replicas) -> Replicas:
    """Give `other` less `one` over their mean; the replicas of the two are independent."""
    number = min(len(one.draws), len(other.draws))

    def relative(first: Array, second: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return _finite(2.0 * (second - first) / (second + first))

    return Replicas(
        relative(one.value, other.value), relative(one.draws[:number], other.draws[:number])
    )


def _finite(values: Array) -> Array:
    return np.asarray(np.where(np.isfinite(values), values, np.nan))
