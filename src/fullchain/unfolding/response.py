"""Events in bins at both levels: what the detector makes of each bin of the particle level.

Bins of several observables are the cells of a product, numbered in one row. Each observable has an
outer bin below its edges and one above: an event outside of the edges at one level is no miss and
no fake, it migrates from or into an outer cell, which is unfolded like the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fullchain.unfolding.sample import Array, Flags, Integers, Level


@dataclass(frozen=True)
class Cells:
    """Product of the bins of observables, with their outer bins.

    Parameters
    ----------
    edges
        (bins + 1) of each observable, rising.
    """

    edges: tuple[Array, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of bins of each observable, with both outer ones."""
        return tuple(len(edges) + 1 for edges in self.edges)

    @property
    def size(self) -> int:
        """Number of cells."""
        return int(np.prod(self.shape))

    @property
    def volume(self) -> Array:
        """Product of the widths of each cell, (size); 0 of outer cells."""
        volume = np.ones(())
        for edges in self.edges:
            volume = np.multiply.outer(volume, np.concatenate([[0.0], np.diff(edges), [0.0]]))
        return volume.ravel()

    def numbers(self, values: Array) -> Integers:
        """Number of the cell of each event, (events), of values (events, observables).

        As in `numpy.histogram`, a bin has its lower edge, and the last one its upper edge, too.

        Examples
        --------
        >>> Cells((np.array([0.0, 1.0, 2.0]),)).numbers(np.array([[-1], [0], [1], [2], [3]]))
        array([0, 1, 2, 2, 3])
        """
        found = []
        for edges, column in zip(self.edges, values.T, strict=True):
            number = np.searchsorted(edges, column, side="right")
            found.append(np.where(column == edges[-1], len(edges) - 1, number))
        return np.ravel_multi_index(tuple(found), self.shape).astype(np.int64)

    def inner(self, counts: Array) -> Array:
        """Counts (..., size) without those of outer cells, (..., bins of the first, ...)."""
        inside: Any = (..., *((slice(1, -1),) * len(self.shape)))
        found: Array = counts.reshape(*counts.shape[:-1], *self.shape)[inside]
        return found

    def projected(self, counts: Array, axis: int) -> Array:
        """Counts (..., size) in the bins of one observable with its outer ones, (..., bins + 2)."""
        product = counts.reshape(*counts.shape[:-1], *self.shape)
        first = product.ndim - len(self.shape)
        others = tuple(first + other for other in range(len(self.shape)) if other != axis)
        found: Array = product.sum(axis=others)
        return found


@dataclass(frozen=True)
class Migration:
    """Sums of weights of simulated events, for one or, with leading axes, several weightings.

    Parameters
    ----------
    matched
        (..., reco cells, gen cells) events that pass both levels.
    generated
        (..., gen cells) events that pass the particle level.
    fakes
        (..., reco cells) events that pass the detector level only.
    """

    matched: Array
    generated: Array
    fakes: Array

    @property
    def response(self) -> Array:
        """Probability of reco cell i for an event of gen cell j, (..., i, j); of none, 0."""
        return _ratio(self.matched, self.generated[..., None, :])

    @property
    def efficiency(self) -> Array:
        """Probability that an event of a gen cell passes the detector level, (..., gen cells)."""
        return _ratio(self.matched.sum(axis=-2), self.generated)

    @property
    def acceptance(self) -> Array:
        """Part of the events of a reco cell that pass the particle level, (..., reco cells)."""
        both = self.matched.sum(axis=-1)
        return _ratio(both, both + self.fakes)


@dataclass(frozen=True)
class SimulatedCells:
    """Cells of simulated events; only those that hold events are kept.

    Parameters
    ----------
    gen, reco
        (events) place of the event in `gen_cells` or `reco_cells`; -1 where it fails that level.
    gen_cells, reco_cells
        Numbers of the cells that hold events, rising.
    """

    gen: Integers
    reco: Integers
    gen_cells: Integers
    reco_cells: Integers

    @classmethod
    def of(cls, gen: Level, reco: Level, columns: Sequence[int], cells: Cells) -> "SimulatedCells":
        """Bin events by some of the columns of their values."""
        gen_cells, gen_places = _places(gen, columns, cells)
        reco_cells, reco_places = _places(reco, columns, cells)
        return cls(gen_places, reco_places, gen_cells, reco_cells)

    @property
    def matched(self) -> Flags:
        """Which events pass both levels, (events)."""
        return (self.gen >= 0) & (self.reco >= 0)

    def migration(self, weights: Array) -> Migration:
        """Sum weights, (events) or (weightings, events)."""
        # One sum over pairs of places; the first row and column are of events that fail a level.
        rows, columns = len(self.reco_cells) + 1, len(self.gen_cells) + 1
        pairs = (self.reco + 1) * columns + self.gen + 1
        table = sums(pairs, weights, rows * columns).reshape(*weights.shape[:-1], rows, columns)
        return Migration(table[..., 1:, 1:], table[..., :, 1:].sum(axis=-2), table[..., 1:, 0])


def sums(numbers: Integers, weights: Array, size: int) -> Array:
    """Sum weights (..., events) of events by their number, (..., size)."""
    found = [np.bincount(numbers, row, size) for row in weights.reshape(-1, weights.shape[-1])]
    return np.array(found, dtype=float).reshape(*weights.shape[:-1], size)


def _places(level: Level, columns: Sequence[int], cells: Cells) -> tuple[Integers, Integers]:
    places = np.full(len(level.passed), -1, dtype=np.int64)
    numbers = cells.numbers(level.values[level.passed][:, list(columns)])
    occupied, places[level.passed] = np.unique(numbers, return_inverse=True)
    return occupied, places


def _ratio(part: Array, whole: Array) -> Array:
    shape = np.broadcast_shapes(part.shape, whole.shape)
    return np.divide(part, whole, out=np.zeros(shape), where=whole > 0)
