"""Matching of objects by direction within events."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled
from fullchain.jets.declustering import separation_squared

Array = NDArray[Any]


@compiled
def nearest(
    eta: Array,
    phi: Array,
    event: Array,
    other_eta: Array,
    other_phi: Array,
    other_offsets: Array,
    radius: float,
) -> Array:
    """Find the nearest of the others in the same event.

    Parameters
    ----------
    eta, phi, event
        (n) direction of the objects, and number of the event of each.
    other_eta, other_phi
        Directions of the others, those of event `i` at ``other_offsets[i]:other_offsets[i + 1]``.
    radius
        Largest distance.

    Returns
    -------
    index
        (n) place in `other_eta`; -1 where none is within the radius.
    """
    index = np.full(len(eta), -1, np.int64)
    for i in range(len(eta)):
        best = radius * radius
        for k in range(other_offsets[event[i]], other_offsets[event[i] + 1]):
            distance = separation_squared(eta[i], phi[i], other_eta[k], other_phi[k])
            if distance < best:
                best = distance
                index[i] = k
    return index


def take(values: Array, index: Array) -> Array:
    """Give `values[index]`, NaN where the index is -1."""
    result = np.full(len(index), np.nan)
    found = index >= 0
    result[found] = np.asarray(values)[index[found]]
    return result
