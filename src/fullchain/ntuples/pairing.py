"""Pairs of entries of the same event, for flat arrays with counts per event."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def pairs(counts: Array, others: Array) -> tuple[Array, Array]:
    """All pairs (i, j) of entries of the same event of two lists with these counts per event.

    i and j are positions in the flat lists, ordered by i.

    Examples
    --------
    >>> i, j = pairs(np.array([1, 2]), np.array([2, 1]))
    >>> i.tolist(), j.tolist()
    ([0, 0, 1, 2], [0, 1, 2, 2])
    """
    per_entry = np.repeat(others, counts)
    i = np.repeat(np.arange(int(counts.sum())), per_entry)
    first = np.repeat(np.cumsum(others) - others, counts)
    j = np.arange(len(i)) - np.repeat(np.cumsum(per_entry) - per_entry, per_entry) + first[i]
    return i, j


def distance(eta1: Array, phi1: Array, eta2: Array, phi2: Array) -> Array:
    """Distance in pseudorapidity and azimuth."""
    turn = np.mod(phi1 - phi2 + np.pi, 2.0 * np.pi) - np.pi
    return np.hypot(eta1 - eta2, turn)
