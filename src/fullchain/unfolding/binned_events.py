"""Unfolded events in the bins of a histogram of any dimension, and its filling with weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.unfolding.unfolded import Array, Unfolded

Integers = npt.NDArray[np.int64]
Values = npt.ArrayLike | Callable[[Unfolded], npt.ArrayLike]
Edges = npt.ArrayLike | Sequence[npt.ArrayLike]
Norm = Literal["none", "bins", "fiducial"]


@dataclass(frozen=True)
class BinnedEvents:
    """Which bin each event of a sample is in.

    Parameters
    ----------
    name
        Of the histogram.
    edges
        Of each of its dimensions.
    place
        (n) number of the bin, counted with the last dimension fastest; `size` outside of all bins.
    below, above
        (n) whether the event is below or above the bins of the only dimension; with several
        dimensions `below` is whether it is outside of any of them, and `above` nowhere.
    """

    name: str
    edges: tuple[Array, ...]
    place: Integers
    below: npt.NDArray[np.bool_]
    above: npt.NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Number of bins."""
        return int(np.prod([len(one) - 1 for one in self.edges]))


def bin_events(unfolded: Unfolded, name: str, values: Values, edges: Edges) -> BinnedEvents:
    """Find the bin of each event. For the parameters and errors see `projection.histograms`."""
    axes = _axes(name, edges)
    table = _table(unfolded, name, values, len(axes))
    place = np.zeros(len(table), dtype=np.int64)
    below = np.zeros(len(table), dtype=bool)
    above = np.zeros(len(table), dtype=bool)
    for numbers, one in zip(table.T, axes, strict=True):
        found = np.searchsorted(one, numbers, side="right") - 1
        found[numbers == one[-1]] = len(one) - 2
        below |= found < 0
        above |= found > len(one) - 2
        place = place * (len(one) - 1) + np.clip(found, 0, len(one) - 2)
    outside = below | above
    if len(axes) > 1:
        below, above = outside, np.zeros_like(above)
    binned = BinnedEvents(name, axes, place, below, above)
    place[outside] = binned.size
    return binned


def fill(binned: Sequence[BinnedEvents], weight: Array, norm: Norm, what: str) -> Array:
    """Give (bins of all histograms) the sums of weights, normalised.

    Raises InputError, with `what` the weight is called, where there is nothing to divide by.
    """
    filled = []
    for one in binned:
        counts = np.bincount(one.place, weight, one.size + 1)[: one.size]
        if norm != "none":
            total = counts.sum() if norm == "bins" else weight.sum()
            if total <= 0:
                raise InputError(
                    f"{called(one.name)}: the weight {what} has no event to normalise by; widen "
                    "the edges or leave it as numbers of events"
                )
            counts = counts / total
        filled.append(counts)
    return np.concatenate(filled)


def called(name: str) -> str:
    """Name a histogram in a message."""
    return f"histogram {name!r}" if name else "histogram"


def _table(unfolded: Unfolded, name: str, values: Values, dimensions: int) -> Array:
    """Give (n, dimensions) finite values."""
    given = np.asarray(values(unfolded) if callable(values) else values, dtype=float)
    table = given[:, None] if given.ndim == 1 else given
    rows = len(unfolded.values)
    if table.shape != (rows, dimensions):
        raise InputError(
            f"{called(name)}: values of shape {given.shape} for {rows} events and edges of "
            f"{dimensions} dimensions; give one value for each"
        )
    bad = int((~np.isfinite(table)).any(axis=1).sum())
    if bad:
        raise InputError(
            f"{called(name)}: values of {bad} of {rows} events are NaN or infinite; give events "
            "where the observable is not defined a value outside of the bins"
        )
    return table


def _axes(name: str, edges: Edges) -> tuple[Array, ...]:
    several = isinstance(edges, Sequence) and len(edges) > 0 and np.ndim(edges[0]) == 1
    axes = tuple(np.asarray(one, dtype=float) for one in (edges if several else [edges]))  # type: ignore[union-attr]
    for one in axes:
        if one.ndim != 1 or len(one) < 2 or not (np.diff(one) > 0).all():
            raise InputError(
                f"{called(name)}: edges must be two or more numbers that rise, not {one.tolist()}"
            )
    return axes
