"""Incident energies that a user asks showers for: files, and points with counts."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry import shower_file
from fullchain.errors import InputError

Array = NDArray[Any]

_NUMBER = r"(?:\d+\^\d+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
_POINT = re.compile(rf"({_NUMBER})(?:\.\.({_NUMBER}))?:(\d+)")


def read(path: Path) -> Array:
    """Read energies [MeV], (n): from HDF5 with `incident_energies`, or text with one a line.

    Raises
    ------
    InputError
        The file is missing, is neither, or has something else than energies; says the line or row.
    """
    import h5py

    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: a folder; a file with energies is needed, HDF5 or text")
    if h5py.is_hdf5(path):
        return shower_file.read_energies(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: neither HDF5 nor text") from None
    energies = []
    for number, line in enumerate(lines, start=1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        try:
            energies.append(float(text))
        except ValueError:
            raise InputError(
                f"{path}, line {number}: {text!r} is no energy; one number in MeV a line is needed"
            ) from None
    if not energies:
        raise InputError(f"{path}: no energies")
    return np.array(energies)


def points(texts: Sequence[str]) -> Array:
    """Give the energies [MeV] of points such as ``1000:50``, ``2^8:100`` or ``2^8..2^22:100``.

    The last form has all powers of the same base between the two.

    Raises
    ------
    InputError
        A text is not of these forms.

    Examples
    --------
    >>> points(["2^8..2^10:1", "1000:2"])
    array([ 256.,  512., 1024., 1000., 1000.])
    """
    found: list[float] = []
    for text in texts:
        match = _POINT.fullmatch(text)
        if match is None:
            raise _wrong(text)
        first, last, count = match.groups()
        try:
            values = [_value(first)] if last is None else _powers(first, last, text)
        except OverflowError:
            raise _wrong(text) from None
        found += [value for value in values for _ in range(int(count))]
    return np.array(found, dtype=float)


def _value(text: str) -> float:
    base, _, power = text.partition("^")
    return float(base) ** int(power or 1)


def _powers(first: str, last: str, text: str) -> list[float]:
    (base, _, low), (other, _, high) = first.partition("^"), last.partition("^")
    if not low or not high or base != other or int(low) > int(high):
        raise _wrong(text)
    return [float(base) ** power for power in range(int(low), int(high) + 1)]


def _wrong(text: str) -> InputError:
    return InputError(
        f"{text!r} is no energy with a count; examples: 1000:50, 2^8:100, 2^8..2^22:100 [MeV]"
    )
