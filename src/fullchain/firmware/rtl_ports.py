"""Ports of the Verilog: which bits are which number."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.fixed_point import EXACT_BITS

Array = NDArray[np.float64]
Words = NDArray[np.uint32]

Bits = NDArray[np.bool_]

WORD = 32

ROWS = 8192
"""Vectors that are turned into words at a time."""


@dataclass(frozen=True)
class Number:
    """Format of a number of a port; 0 bits in all for one that is always 0."""

    signed: int
    integer: int
    fractional: int

    @property
    def width(self) -> int:
        """Bits with the sign."""
        return self.signed + self.integer + self.fractional


@dataclass(frozen=True)
class Ports:
    """What the emulation must know of a pipeline.

    Parameters
    ----------
    top
        Name of the module, with `clk`, `model_inp` and `model_out`.
    stages
        Of logic; there is a register before each, and one behind the last.
    inputs, outputs
        Numbers in their order, the first one in the lowest bits.
    names
        Names of the outputs.
    clock_period
        That the constraints ask for [ns]; None where the report does not say, as one of own
        Verilog need not.
    """

    top: str
    stages: int
    inputs: tuple[Number, ...]
    outputs: tuple[Number, ...]
    names: tuple[str, ...]
    clock_period: float | None = None


def read(path: Path) -> Ports:
    """Read the ports from the report of `firmware trace`.

    Raises
    ------
    InputError
        The file is not there or not such a report, or an output has more bits than float64 holds.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not str(content["top"]).isidentifier():
            raise ValueError(f"top is {content['top']!r}")
        ports = Ports(
            str(content["top"]),
            int(content["stages"]),
            tuple(Number(*number) for number in content["inputs"]),
            tuple(Number(*number) for number in content["outputs"]),
            tuple(str(name) for name in content["output_names"]),
            float(content["clock_period"]) if "clock_period" in content else None,
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such report; run firmware trace") from None
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(
            f"{path}: not a report of Verilog ({problem!r}); run firmware trace again"
        ) from None
    for name, number in zip(ports.names, ports.outputs, strict=True):
        if number.width > EXACT_BITS:
            raise InputError(
                f"{path}: output {name} has {number.width} bits, and {EXACT_BITS} can be compared "
                "exactly; take fewer bits for weights or activations"
            )
    return ports


def words(numbers: tuple[Number, ...]) -> int:
    """Give how many 32-bit words hold a port."""
    return -(-sum(number.width for number in numbers) // WORD)


def to_bits(values: Array, numbers: tuple[Number, ...]) -> Bits:
    """Give the bits of a port in two's complement for each vector, (vectors, bits).

    Parameters
    ----------
    values
        (vectors, numbers).
    numbers
        Their formats; the first one has the lowest bits.

    Raises
    ------
    InputError
        The number of values is another one, or a value is not in its format (names the input).
    """
    if values.shape[1] != len(numbers):
        raise InputError(
            f"the vectors have {values.shape[1]} inputs and the Verilog has {len(numbers)}: they "
            "are of different networks; run firmware stimulate again"
        )
    bits = np.zeros((len(values), sum(number.width for number in numbers)), dtype=np.bool_)
    place = 0
    for index, number in enumerate(numbers):
        if not number.width:
            continue
        scaled = values[:, index] * 2.0**number.fractional
        low = -number.signed * 2.0 ** (number.width - 1)
        inside = (scaled == np.floor(scaled)) & (scaled >= low)
        inside &= scaled < low + 2.0**number.width
        if not inside.all():
            raise InputError(
                f"input {index} is {values[~inside, index][0]} in {int((~inside).sum())} vectors, "
                "which its bits in the Verilog cannot be: vectors and Verilog are of different "
                "networks; run firmware stimulate again"
            )
        shifts = np.arange(number.width)
        bits[:, place : place + number.width] = scaled.astype(np.int64)[:, None] >> shifts & 1
        place += number.width
    return bits


def from_bits(bits: Bits, numbers: tuple[Number, ...]) -> Array:
    """Give the values of a port, (vectors, numbers), exactly; bits beyond its width are left out.

    Raises
    ------
    InputError
        There are fewer bits than the numbers have.
    """
    width = sum(number.width for number in numbers)
    if bits.shape[1] < width:
        raise InputError(f"{bits.shape[1]} bits for numbers of {width} bits")
    values = np.zeros((len(bits), len(numbers)))
    place = 0
    for index, number in enumerate(numbers):
        if number.width:
            weights = 1 << np.arange(number.width, dtype=np.int64)
            if number.signed:
                weights[-1] = -weights[-1]
            whole = bits[:, place : place + number.width].astype(np.int64) @ weights
            values[:, index] = whole * 2.0**-number.fractional
        place += number.width
    return values


def to_words(values: Array, numbers: tuple[Number, ...]) -> Words:
    """Give the bits of a port in 32-bit words, (vectors, words); raises as `to_bits`."""
    return np.concatenate(
        [_packed(to_bits(values[start : start + ROWS], numbers)) for start in _starts(values)]
    )


def from_words(given: Words, numbers: tuple[Number, ...]) -> Array:
    """Give the values of a port, (vectors, words) to (vectors, outputs), exactly."""
    return np.concatenate(
        [from_bits(_unpacked(given[start : start + ROWS]), numbers) for start in _starts(given)]
    )


def _starts(rows: NDArray[Any]) -> range:
    return range(0, len(rows), ROWS)


def _packed(bits: Bits) -> Words:
    whole = np.zeros((len(bits), -(-bits.shape[1] // WORD) * WORD), dtype=np.bool_)
    whole[:, : bits.shape[1]] = bits
    return np.packbits(whole, axis=1, bitorder="little").view("<u4")


def _unpacked(given: Words) -> Bits:
    parts = np.ascontiguousarray(given, dtype="<u4").view(np.uint8)
    return np.unpackbits(parts, axis=1, bitorder="little").astype(np.bool_)
