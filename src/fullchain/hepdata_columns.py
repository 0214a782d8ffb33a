"""Columns of HEPData tables: headers, bins, numbers, and matrices as lists of their entries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Table = dict[str, Any]
"""Mapping with the keys `independent_variables` and `dependent_variables`."""

DIGITS = 8
"""Significant digits of the numbers in a table."""


@dataclass(frozen=True)
class Axis:
    """How an observable is called: label with $maths$, and unit, "" for a pure number."""

    label: str
    unit: str


def number(value: float) -> float:
    """Round to the digits of a table.

    Examples
    --------
    >>> number(1 / 3)
    0.33333333
    """
    return float(f"{value:.{DIGITS}g}") + 0.0


def header(name: str, unit: str = "") -> dict[str, Any]:
    """Give the head of a column."""
    found = {"name": name, "units": unit} if unit else {"name": name}
    return {"header": found}


def ranges(low: Array, high: Array) -> list[dict[str, float]]:
    """Give the values of a column of intervals."""
    return [
        {"low": number(one), "high": number(other)} for one, other in zip(low, high, strict=True)
    ]


def bins(edges: Array, axis: Axis) -> dict[str, Any]:
    """Give the column of the bins of an observable."""
    return {**header(axis.label, axis.unit), "values": ranges(edges[:-1], edges[1:])}


def matrices(
    columns: Mapping[str, Array], qualifiers: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Give a column for each matrix, row after row."""
    return [
        {
            **header(name),
            "qualifiers": list(qualifiers),
            "values": [{"value": number(value)} for value in matrix.reshape(-1)],
        }
        for name, matrix in columns.items()
    ]
