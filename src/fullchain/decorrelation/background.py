"""Training background that penalties take their scale from, and what of it is wrong."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.tagging.reweighting import training_weights

Array = npt.NDArray[np.float64]


def checked(
    against: npt.NDArray[Any], weight: npt.NDArray[Any], names: Sequence[str] = ()
) -> tuple[Array, Array]:
    """Give columns and weights in double precision, without the jets of weight zero or below.

    Parameters
    ----------
    against
        Columns of the background jets, shape (jets, k).
    weight
        Shape (jets,); jets of negative weight have no place in a distance or a distribution.
    names
        Names of the columns, for messages.

    Raises
    ------
    InputError
        No jets, no jet of positive weight, weights that sum to nothing, a value that is not
        finite, or a column that does not vary.
    """
    against, weight = np.asarray(against, dtype=float), np.asarray(weight, dtype=float)
    names = names or [f"number {number}" for number in range(against.shape[1])]
    if not len(against):
        raise InputError(
            "there are no background jets to decorrelate: widen the selection of the tagger, or "
            "make more events"
        )
    # Not "<= 0": a sum that is no number is no better.
    if not weight.sum() > 0:
        raise InputError(
            f"the weights of the {len(weight)} background jets sum to {weight.sum():g}: "
            "decorrelation needs a positive sum; look at the column weight of the jets"
        )
    kept = weight > 0
    against, weight = against[kept], weight[kept]
    for name, column in zip(names, against.T, strict=True):
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            raise InputError(
                f"column {name} of background jet {bad[0]} is {column[bad[0]]} ({len(bad)} such "
                "jets): leave it out of decorrelation.against, or cut such jets away by "
                "a range in the selection of the tagger"
            )
        # In single precision, in which the loop has it.
        if np.ptp(column.astype(np.float32)) == 0:
            raise InputError(
                f"column {name} is {column[0]:g} for all {len(column)} background jets: a constant "
                "has nothing to decorrelate; look at decorrelation.against, the "
                "selection of the tagger, and the jets"
            )
    return against, weight


def mean_and_spread(against: Array, weight: Array) -> tuple[Array, Array]:
    """Give weighted mean and standard deviation of columns (jets, k), shapes (k,)."""
    mean = weight @ against / weight.sum()
    return mean, np.sqrt(weight @ (against - mean) ** 2 / weight.sum())


def flat_factors(
    against: Array, weight: Array, bins: int, largest: float
) -> tuple[list[Array], Array]:
    """Factors that make weighted jets flat in their columns: inner edges of each, and the factors.

    Bins are equal over the range of the jets; the factors have shape (bins,) * k and the largest is
    `largest` times the median over jets. A cell without jets has the factor zero.
    """
    columns = against.shape[1]
    edges = [np.linspace(one.min(), one.max(), bins + 1)[1:-1] for one in against.T]
    cell = np.zeros(len(against), dtype=np.intp)
    for inner, column in zip(edges, against.T, strict=True):
        cell = cell * bins + np.searchsorted(inner, column, side="right")
    flat = training_weights(
        {str(number): column for number, column in enumerate(against.T)},
        np.zeros(len(against), dtype=np.intp),
        weight,
        classes=1,
        reference="flat",
        bins=bins,
        largest=largest,
    )
    factors = np.zeros(bins**columns)
    factors[cell] = flat / weight
    return edges, factors.reshape((bins,) * columns)
