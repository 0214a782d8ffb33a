"""Shift and scale of the inputs of a network: subtractions and shifts of bits, no products."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError

Array = NDArray[np.float64]

GRID = 3
"""Shifts are multiples of 2^-GRID of the scale, so that subtracting them needs few bits."""


def measure(values: Array, names: Sequence[str], where: str) -> tuple[Array, NDArray[np.int64]]:
    """Give the shifts of quantities, and the exponents of their scales 2^exponent.

    The scale is the power of two nearest to the spread: half the distance of the 16 % and 84 %
    quantiles, or the standard deviation where that is 0. The shift of a feature of the jet is the
    median, rounded. Quantities of candidates are not shifted, so that a candidate that is not there
    (all 0) stays 0, and their spread, around 0, is of candidates that are there.

    Parameters
    ----------
    values
        (jets, quantities), or (jets, candidates, quantities).
    names
        Names of the quantities.
    where
        What the values are of, for messages.

    Raises
    ------
    InputError
        A quantity is not finite, or the same for all jets; it is named.
    """
    for number, name in enumerate(names):
        wrong = int((~np.isfinite(values[..., number])).sum())
        if wrong:
            raise InputError(
                f"{name} has {wrong} values that are not finite in {where}: mend the inputs, or "
                "leave it out of architecture.quantities"
            )
        if np.ptp(values[..., number]) == 0:
            raise InputError(
                f"{name} is {values[..., number].flat[0]:g} for all of {where}: a network learns "
                "nothing from it; leave it out of architecture.quantities"
            )
    if values.ndim == 3:
        present = values[(values != 0).any(axis=2)]
        spread = np.sqrt((present**2).mean(axis=0))
        return np.zeros(len(names)), _exponents(spread)
    low, median, high = np.quantile(values, [0.16, 0.5, 0.84], axis=0)
    half = 0.5 * (high - low)
    exponent = _exponents(np.where(half > 0, half, values.std(axis=0)))
    grid = np.exp2(exponent.astype(float) - GRID)
    return np.round(median / grid) * grid, exponent


def _exponents(spread: Array) -> NDArray[np.int64]:
    return np.asarray(np.round(np.log2(spread)), dtype=np.int64)


def scaled(values: Array, shift: Array, exponent: NDArray[np.int64]) -> Array:
    """Give (values - shift) / 2^exponent, exactly that of `fixed_network.InputNumbers`."""
    return np.asarray((values - shift) * np.exp2(-exponent.astype(float)))
