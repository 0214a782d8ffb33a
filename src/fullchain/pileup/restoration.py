"""Differences and peaks of substructure observables, for each row of weights.

What is a ratio to a reference is in `fullchain.pileup.performance`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.pileup.performance import GAUSSIAN_IQR, quantiles
from fullchain.pileup.quantities import Pairs

Array = NDArray[Any]


def difference(pairs: Pairs, weights: Array) -> dict[str, Array]:
    """Median of value - reference, and its interquartile range; by replica of the events."""
    low, middle, high = quantiles(
        pairs.value - pairs.reference, weights[:, pairs.event], (0.25, 0.5, 0.75)
    ).T
    return {"shift": middle, "iqr": high - low}


def peak(pairs: Pairs, weights: Array) -> dict[str, Array]:
    """Place and width of a peak of the values: of the shortest interval with half of the weight.

    Its centre and its length / 1.349 are mean and standard deviation of a Gaussian, and tails do
    not move them (the shorth: Andrews et al., Robust Estimates of Location, Princeton 1972).
    """
    order = np.argsort(pairs.value, kind="stable")
    ordered = pairs.value[order]
    position = np.full(len(weights), np.nan)
    width = np.full(len(weights), np.nan)
    for row, weight in enumerate(weights[:, pairs.event[order]]):
        above = np.cumsum(weight)
        if len(weight) == 0 or above[-1] <= 0:
            continue
        last = np.searchsorted(above, above - weight + 0.5 * above[-1] * (1 - 1e-12))
        inside = (last < len(ordered)) & (weight > 0)
        first = np.flatnonzero(inside)
        length = ordered[last[inside]] - ordered[first]
        best = int(np.argmin(length))
        position[row] = 0.5 * (ordered[last[inside][best]] + ordered[first[best]])
        width[row] = length[best] / GAUSSIAN_IQR
    return {"position": position, "width": width}
