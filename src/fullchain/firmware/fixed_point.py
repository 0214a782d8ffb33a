"""Fixed-point numbers: what values a format has, rounding and saturation.

All values are dyadic fractions in float64, where every sum and product of a trigger's network is
exact (`fixed_network` checks that), so that arrays can be compared with `==` and no integer needs a
scale beside it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bits = NDArray[np.int64]

EXACT_BITS = 53
"""Bits of the mantissa of float64."""


@dataclass(frozen=True)
class Format:
    """Formats of numbers: `ap_fixed<signed + integer + fractional, signed + integer, RND, SAT>`.

    Parameters
    ----------
    signed
        (channels) bool, whether there is a sign bit.
    integer
        (channels) bits left of the point, the sign bit not counted; may be negative.
    fractional
        (channels) bits right of the point; may be negative.

    A channel whose bits, with the sign, sum to nothing holds the value 0 only: it is pruned.
    """

    signed: NDArray[np.bool_]
    integer: Bits
    fractional: Bits

    def __post_init__(self) -> None:
        shapes = {self.signed.shape, self.integer.shape, self.fractional.shape}
        if len(shapes) != 1 or self.signed.ndim != 1:
            raise ValueError(f"a format needs three arrays of one length, not {sorted(shapes)}")

    @classmethod
    def uniform(cls, channels: int, *, signed: bool, integer: int, fractional: int) -> "Format":
        """Give one format for all channels."""
        return cls(
            np.full(channels, signed),
            np.full(channels, integer, dtype=np.int64),
            np.full(channels, fractional, dtype=np.int64),
        )

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Format":
        """Give what `as_dict` gave."""
        return cls(
            np.array(content["signed"], dtype=bool),
            np.array(content["integer"], dtype=np.int64),
            np.array(content["fractional"], dtype=np.int64),
        )

    def as_dict(self) -> dict[str, Any]:
        """Give plain lists, for JSON."""
        names = ("signed", "integer", "fractional")
        return {name: getattr(self, name).tolist() for name in names}

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.signed)

    @property
    def bits(self) -> Bits:
        """Bits without the sign, (channels)."""
        return np.maximum(self.integer + self.fractional, 0)

    @property
    def width(self) -> Bits:
        """Bits with the sign, (channels); 0 where a channel is pruned."""
        return np.maximum(self.integer + self.fractional + self.signed, 0)

    @property
    def step(self) -> Array:
        """Distance of neighbouring values, (channels)."""
        return np.asarray(np.exp2(-self.fractional.astype(np.float64)))

    @property
    def highest(self) -> Array:
        """Largest value, (channels)."""
        top = np.exp2(self.integer.astype(np.float64)) - self.step
        return np.where(self.width > 0, top, 0.0)

    @property
    def lowest(self) -> Array:
        """Smallest value, (channels)."""
        bottom = -np.exp2(self.integer.astype(np.float64))
        return np.where(self.signed & (self.width > 0), bottom, 0.0)

    def quantise(self, values: Array) -> Array:
        """Round half up, then saturate (`RND`, `SAT`); the last axis of `values` is channels."""
        rounded = np.floor(values / self.step + 0.5) * self.step
        return np.asarray(np.clip(rounded, self.lowest, self.highest))

    def overflows(self, values: Array) -> Bits:
        """Count values that saturate, (channels); the last axis of `values` is channels.

        A ReLU makes no negative values, so that below zero nothing overflows in an unsigned format.
        """
        rounded = np.floor(values / self.step + 0.5) * self.step
        below = np.where(self.signed, rounded < self.lowest, False)
        beyond = (rounded > self.highest) | below
        return np.asarray(beyond.reshape(-1, self.channels).sum(axis=0), dtype=np.int64)


def mantissa_bits(values: Array) -> Bits:
    """Bits between the first and the last 1 of |values|, both counted; 0 for zeros.

    This is the width that a constant costs in a multiplication (EBOPs of HGQ, arXiv:2405.00645).

    Raises
    ------
    ValueError
        A value is not finite.
    """
    if not np.isfinite(values).all():
        raise ValueError("values that are not finite have no bits")
    mantissa, _ = np.frexp(np.abs(values))
    integers = np.round(mantissa * 2.0**EXACT_BITS).astype(np.int64)
    trailing = np.where(integers > 0, integers & -integers, 1)
    lowest = np.round(np.log2(trailing.astype(np.float64))).astype(np.int64)
    return np.where(integers > 0, EXACT_BITS - lowest, 0)


def enclosing(values: Array) -> tuple[bool, int, int]:
    """Give sign, integer and fractional bits of the narrowest format that holds all values."""
    bits = mantissa_bits(values)
    if not bits.any():
        return False, 0, 0
    present = values[bits > 0]
    _, exponents = np.frexp(np.abs(present))
    fractional = int((bits[bits > 0] - exponents).max())
    signed = bool((present < 0).any())
    # -2^i is in a signed format although 2^i is not.
    powers = (present < 0) & (mantissa_bits(present) == 1)
    integer = int(np.where(powers, exponents - 1, exponents).max())
    return signed, integer, fractional
