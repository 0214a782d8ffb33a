"""Training weights that take the spectrum of the classes out of what a tagger can learn."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Reference = Literal["none", "flat", "signal", "background"]


def training_weights(
    columns: Mapping[str, npt.NDArray[Any]],
    is_signal: npt.NDArray[np.bool_],
    weight: npt.NDArray[np.floating],
    *,
    reference: Reference,
    bins: int,
    largest: float,
) -> Array:
    """Bring both classes to one spectrum and one sum of weights; the mean over all jets is one.

    Parameters
    ----------
    columns
        The variables whose joint spectrum is changed, each of shape (jets,).
    is_signal, weight
        Class and generator weight of the jets.
    reference
        Spectrum that both classes are brought to.
    bins
        Equal bins per variable over the range of the jets.
    largest
        Largest factor on a jet, in units of the median factor of its class: a lone jet in a bin
        must not dominate a batch.

    Raises
    ------
    ValueError
        The weights of a class do not sum to a positive number.
    """
    result = np.asarray(weight, dtype=float).copy()
    if reference != "none":
        index, cells = _cells(list(columns.values()), bins)
        goal = _goal(index, cells, is_signal, result, reference)
        for chosen in (is_signal, ~is_signal):
            result[chosen] *= _factors(index[chosen], cells, result[chosen], goal, largest)
    for chosen in (is_signal, ~is_signal):
        total = result[chosen].sum()
        if total <= 0:
            raise ValueError("the weights of a class do not sum to a positive number")
        result[chosen] *= 0.5 * len(result) / total
    return result


def _cells(variables: Sequence[npt.NDArray[Any]], bins: int) -> tuple[npt.NDArray[np.intp], int]:
    """Number the cell that each jet is in, and give the number of cells."""
    index = np.zeros(len(variables[0]), dtype=np.intp)
    for values in variables:
        edges = np.linspace(values.min(), values.max(), bins + 1)[1:-1]
        index = index * bins + np.searchsorted(edges, values, side="right")
    return index, bins ** len(variables)


def _spectrum(index: npt.NDArray[np.intp], cells: int, weight: Array) -> Array:
    return np.bincount(index, weights=weight, minlength=cells).astype(float)


def _goal(
    index: npt.NDArray[np.intp],
    cells: int,
    is_signal: npt.NDArray[np.bool_],
    weight: Array,
    reference: Reference,
) -> Array:
    if reference == "flat":
        return np.ones(cells)
    chosen = is_signal if reference == "signal" else ~is_signal
    return _spectrum(index[chosen], cells, weight[chosen])


def _factors(
    index: npt.NDArray[np.intp], cells: int, weight: Array, goal: Array, largest: float
) -> Array:
    have = _spectrum(index, cells, weight)
    # Where signed weights cancel in a cell there is nothing to divide by: its jets are left out.
    ratio = np.divide(goal, have, out=np.zeros(cells), where=have > 0)
    factor = ratio[index]
    positive = factor[factor > 0]
    return np.minimum(factor, largest * np.median(positive)) if len(positive) else factor
