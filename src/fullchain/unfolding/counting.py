"""A part of weighted events, with the error of counting."""

from typing import NamedTuple

import numpy as np

from fullchain.binomial import clopper_pearson
from fullchain.unfolding.sample import Array, Flags

COUNTED, LIMITED = "counting", "binomial, 68 %"
"""Kinds of the error: standard deviation; length of the interval of Clopper and Pearson."""


class Part(NamedTuple):
    """Part of the sum of weights, and its error."""

    value: float
    error: float

    @property
    def kind(self) -> str:
        """Where the error comes from, see `part`."""
        return COUNTED if 0.0 < self.value < 1.0 else LIMITED


def part(chosen: Flags, weight: Array) -> Part:
    """Give the weighted part of the chosen of n events, all (n), weights not negative.

    Where none or all are chosen the standard deviation would be 0 and say nothing: the error is
    then that of `none_or_all`, for as many events as the weights are worth.

    Examples
    --------
    >>> value, error = part(np.array([True, False, False, False]), np.ones(4))
    >>> value, round(error, 3)
    (0.25, 0.217)
    """
    total = float(weight.sum())
    value = float(weight[chosen].sum() / total)
    if 0.0 < value < 1.0:
        return Part(value, float(np.sqrt((weight**2 * (chosen - value) ** 2).sum()) / total))
    return Part(value, none_or_all(float(effective_sample_size(weight))))


def none_or_all(events: float) -> float:
    """Give the length of the 68.3 % interval of Clopper and Pearson for none or all of n events."""
    low, high = clopper_pearson(0.0, events)
    return float(high - low)


def effective_sample_size(weights: Array) -> Array:
    """Number of events of equal weight with the same precision: (sum w)^2 / sum w^2, of (..., n).

    Examples
    --------
    >>> float(effective_sample_size(np.array([1.0, 1.0, 0.0])))
    2.0
    """
    result: Array = weights.sum(axis=-1) ** 2 / (weights**2).sum(axis=-1)
    return result
