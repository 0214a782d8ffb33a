"""Training weights that take the spectrum of the classes out of what a tagger can learn."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.tagging.settings import TaggerSettings

Array = npt.NDArray[np.float64]
Reference = str | int
"""flat, none, or the number of a class."""


def tagger_weights(columns: Mapping[str, npt.NDArray[Any]], tagger: TaggerSettings) -> Array:
    """Weights of training as a tagger wants them, mean one, shape (jets,).

    `columns` has `target` (number of the class), `weight` and the variables of the reweighting.
    Where it has `second` (jets of a second generator), each class of each generator has an equal
    sum of weights, and the spectrum of reference, where it is that of a class, is the first's.

    Raises ValueError as `training_weights`.
    """
    how = tagger.reweighting
    reference: Reference = how.reference
    if how.reference not in ("flat", "none"):
        signal = how.reference == "signal"
        reference = 0 if signal else tagger.class_names.index(how.reference)
    target, classes = columns["target"], len(tagger.classes)
    if "second" in columns:
        target, classes = target + classes * columns["second"], 2 * classes
    return training_weights(
        {name: columns[name] for name in how.variables},
        target,
        columns["weight"],
        classes=classes,
        reference=reference,
        bins=how.bins,
        largest=how.largest,
    )


def training_weights(
    columns: Mapping[str, npt.NDArray[Any]],
    target: npt.NDArray[np.integer],
    weight: npt.NDArray[np.floating],
    *,
    classes: int,
    reference: Reference,
    bins: int,
    largest: float,
) -> Array:
    """Bring all classes to one spectrum and one sum of weights; the mean over all jets is one.

    Parameters
    ----------
    columns
        The variables whose joint spectrum is changed, each of shape (jets,).
    target, weight
        Number of the class, from 0, and generator weight of the jets.
    classes
        Number of classes; each needs a jet.
    reference
        Spectrum that all classes are brought to.
    bins
        Equal bins per variable over the range of the jets, and one for those where it is NaN.
    largest
        Largest factor on a jet, in units of the median factor of its class: a lone jet in a bin
        must not dominate a batch.

    Raises
    ------
    ValueError
        The weights of a class do not sum to a positive number; a variable is infinite, or NaN for
        all jets.
    """
    result = np.asarray(weight, dtype=float).copy()
    members = [target == number for number in range(classes)]
    if reference != "none":
        index, cells = _cells(columns, bins)
        goal = np.ones(cells)
        if reference != "flat":
            chosen = members[int(reference)]
            goal = _spectrum(index[chosen], cells, result[chosen])
        for chosen in members:
            result[chosen] *= _factors(index[chosen], cells, result[chosen], goal, largest)
    for chosen in members:
        total = result[chosen].sum()
        # Not "<= 0": a sum that is no number is no better.
        if not total > 0:
            raise ValueError("the weights of a class do not sum to a positive number")
        result[chosen] *= len(result) / (classes * total)
    return result


def _cells(columns: Mapping[str, npt.NDArray[Any]], bins: int) -> tuple[npt.NDArray[np.intp], int]:
    """Number the cell that each jet is in, and give the number of cells.

    Where a variable is NaN, as tau32 is where tau2 is zero, is a bin after the others.
    """
    index: npt.NDArray[np.intp] = np.zeros(len(next(iter(columns.values()))), dtype=np.intp)
    for name, values in columns.items():
        exists = ~np.isnan(values)
        known = values[exists]
        if not len(known):
            raise ValueError(f"{name} is NaN for all jets")
        if np.isinf(known).any():
            raise ValueError(f"{name} is infinite for {int(np.isinf(known).sum())} jets")
        edges = np.linspace(known.min(), known.max(), bins + 1)[1:-1]
        own = np.where(exists, np.searchsorted(edges, values, side="right"), bins)
        index = index * (bins + 1) + own
    return index, (bins + 1) ** len(columns)


def _spectrum(index: npt.NDArray[np.intp], cells: int, weight: Array) -> Array:
    return np.bincount(index, weights=weight, minlength=cells).astype(float)


def _factors(
    index: npt.NDArray[np.intp], cells: int, weight: Array, goal: Array, largest: float
) -> Array:
    have = _spectrum(index, cells, weight)
    # Where signed weights cancel in a cell there is nothing to divide by: its jets are left out.
    ratio = np.divide(goal, have, out=np.zeros(cells), where=have > 0)
    factor = ratio[index]
    positive = factor[factor > 0]
    return np.minimum(factor, largest * np.median(positive)) if len(positive) else factor
