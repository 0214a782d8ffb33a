"""Fixed-point numbers as bits of a port, and back."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError

Array: TypeAlias = NDArray[np.float64]
Formats: TypeAlias = Sequence[tuple[int, int, int]]


def widths(formats: Formats) -> list[int]:
    """Give the bits of each number; 0 for one that is always 0."""
    return [max(sum(one), 0) for one in formats]


def to_bits(values: Array, formats: Formats) -> NDArray[np.bool_]:
    """Give the bits of numbers in two's complement, (rows, bits), from the lowest bit.

    A number of the network that nothing depends on may have fewer bits in the port than its value
    needs: those are left out.

    Parameters
    ----------
    values
        (rows, numbers), multiples of 2^-fractional each.
    formats
        Sign bit, integer and fractional bits of each number.

    Raises
    ------
    InputError
        There are more or fewer numbers than formats.
    """
    if values.shape[1] != len(formats):
        raise InputError(f"{values.shape[1]} numbers for a port of {len(formats)}")
    columns = [np.empty((len(values), 0), dtype=np.bool_)]
    for column, (_, _, fractional), width in zip(values.T, formats, widths(formats), strict=True):
        whole = np.floor(column * 2.0**fractional).astype(np.int64)
        columns.append(((whole[:, None] >> np.arange(width)) & 1).astype(np.bool_))
    return np.concatenate(columns, axis=1)


def from_bits(bits: NDArray[np.bool_], formats: Formats) -> Array:
    """Give numbers, (rows, numbers), of the bits of a port; the reverse of `to_bits`.

    Raises
    ------
    InputError
        There are more or fewer bits than the formats have.
    """
    if bits.shape[1] != sum(widths(formats)):
        raise InputError(
            f"a port of {bits.shape[1]} bits for numbers of {sum(widths(formats))} bits"
        )
    values = np.zeros((len(bits), len(formats)))
    place = 0
    for number, ((signed, _, fractional), width) in enumerate(
        zip(formats, widths(formats), strict=True)
    ):
        weights = np.exp2(np.arange(width) - float(fractional))
        if signed and width:
            weights[-1] = -weights[-1]
        values[:, number] = bits[:, place : place + width] @ weights
        place += width
    return values
