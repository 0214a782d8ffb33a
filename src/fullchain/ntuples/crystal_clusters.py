"""Clusters of crystals: each crystal belongs to the maximum that the energy climbs to."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LOG_WEIGHT = 4.2
"""Crystals with less than exp(-4.2) of the energy do not count for the position; ours."""


REACH = 4
"""How many crystals away a maximum is looked for that a small one may belong to."""

NEAR = 2
"""How many of them are near."""

FAR_FRACTION = 0.1
"""Of the least fraction of a seed, for maxima that are further than near."""


@dataclass(frozen=True)
class Seeds:
    """What begins a cluster beside a higher maximum.

    Parameters
    ----------
    energy
        Least energy of the crystal [GeV].
    fraction
        Least part of the highest crystal that is at most two away; a tenth of it, of those that
        are at most four away.
    """

    energy: float
    fraction: float


def labels(
    event: Array,
    row: Array,
    column: Array,
    energy: Array,
    seeds: Seeds,
    turn: int,
    closed_rows: int,
) -> Array:
    """Number the clusters that crystals belong to.

    From each crystal the path goes to the highest of its eight neighbours, until none is higher.
    Such a maximum begins a cluster; but where it has less than `seeds` ask for, the path goes on to
    the highest crystal that is at most two, or four, away: the rim of a large shower is no
    particle.

    Parameters
    ----------
    event, row, column
        Place of each crystal, (n); no place stands twice.
    energy
        [GeV], (n).
    seeds
        What a maximum must have.
    turn, closed_rows
        Rows below `closed_rows` have `turn` columns, the last of which is beside the first.

    Returns
    -------
    Position of the crystal where the path ends, for each crystal, (n).
    """
    if not len(energy):
        return np.zeros(0, dtype=np.int64)
    crystals = _Sorted(event, row, column, energy, turn, closed_rows)
    everyone = np.arange(len(energy))
    goal = crystals.highest(everyone, _around(1))
    for reach, fraction in ((NEAR, seeds.fraction), (REACH, FAR_FRACTION * seeds.fraction)):
        maxima = np.flatnonzero(goal == everyone)
        beyond = crystals.highest(maxima, _around(reach))
        own, other = crystals.energy[maxima], crystals.energy[beyond]
        # Far away, a lone crystal of little energy may be a particle.
        small = own < fraction * other
        if reach == NEAR:
            small |= own < seeds.energy
        goes_on = (other > own) & small
        goal[maxima[goes_on]] = beyond[goes_on]
    while not np.array_equal(after := goal[goal], goal):
        goal = after
    result = np.empty_like(goal)
    result[crystals.order] = crystals.order[goal]
    return result


def _around(size: int) -> list[tuple[int, int]]:
    steps = range(-size, size + 1)
    return [(down, along) for down in steps for along in steps if (down, along) != (0, 0)]


class _Sorted:
    """Crystals in the order of their keys."""

    def __init__(
        self, event: Array, row: Array, column: Array, energy: Array, turn: int, closed_rows: int
    ) -> None:
        self.rows = int(row.max()) + 1 + 2 * REACH
        self.columns = max(int(column.max()) + 1, turn) + 2 * REACH
        self.turn, self.closed_rows = turn, closed_rows
        key = self._key(event, row, column)
        self.order = np.argsort(key)
        self.key = key[self.order]
        self.event, self.row, self.column = (values[self.order] for values in (event, row, column))
        self.energy = energy[self.order]

    def _key(self, event: Array, row: Array, column: Array) -> Array:
        # Empty rows and columns around: a step never leads to another event or row.
        whole = np.where(row < self.closed_rows, np.mod(column, self.turn), column)
        return (event.astype(np.int64) * self.rows + row + REACH) * self.columns + whole + REACH

    def highest(self, at: Array, steps: list[tuple[int, int]]) -> Array:
        """Give the highest of a crystal and those some steps away."""
        best, highest = at.copy(), self.energy[at].copy()
        event, row, column = self.event[at], self.row[at], self.column[at]
        for down, along in steps:
            wanted = self._key(event, row + down, column + along)
            place = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
            energy = self.energy[place]
            # Of equal ones the first: otherwise both would be maxima.
            higher = (energy > highest) | ((energy == highest) & (place < best))
            there = (self.key[place] == wanted) & higher
            best[there], highest[there] = place[there], self.energy[place[there]]
        return best


def log_weights(energy: Array, cluster: Array, number: int) -> Array:
    """Weights of crystals for the position of their cluster, max(0, w_0 + log(E / E_cluster)).

    The density of energy falls exponentially, so that weights with the energy itself would draw the
    position to the middle of the crystal that was hit.

    Parameters
    ----------
    energy
        Of crystals [GeV], (n).
    cluster
        Number of the cluster, below `number`, (n).
    """
    total = np.bincount(cluster, energy, minlength=number)
    part = energy / np.maximum(total[cluster], 1e-30)
    return np.maximum(0.0, LOG_WEIGHT + np.log(np.maximum(part, 1e-30)))
