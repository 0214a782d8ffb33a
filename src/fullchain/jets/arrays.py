"""Flat arrays: the form in which compiled code takes jagged ones."""

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def offsets_of(counts: Array) -> Array:
    """Where each of the lists with these lengths begins, and where the last one ends."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def flat(array: ak.Array, dtype: Any = None) -> Array:
    """Give all numbers of a jagged array of any depth as one array."""
    values = ak.to_numpy(ak.flatten(array, axis=None))
    return values if dtype is None else np.ascontiguousarray(values, dtype=dtype)


def momenta(pt: Array, eta: Array, phi: Array, mass: Array) -> Array:
    """Give px, py, pz, E [GeV] in double precision as (n, 4)."""
    pt, eta, phi, mass = (np.asarray(x, dtype=np.float64) for x in (pt, eta, phi, mass))
    result = np.empty((len(pt), 4))
    result[:, 0] = pt * np.cos(phi)
    result[:, 1] = pt * np.sin(phi)
    result[:, 2] = pt * np.sinh(eta)
    result[:, 3] = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    return result


@dataclass(frozen=True)
class Kinematics:
    """pt, eta, phi, mass of n objects; GeV and radians."""

    pt: Array
    eta: Array
    phi: Array
    mass: Array

    @classmethod
    def of(cls, momentum: Array) -> "Kinematics":
        """From (n, 4) px, py, pz, E. The mass of a spacelike sum is 0."""
        px, py, pz, energy = momentum.T
        pt = np.hypot(px, py)
        safe = np.where(pt > 0, pt, 1.0)
        mass_squared = (energy + pz) * (energy - pz) - pt**2
        return cls(
            pt, np.arcsinh(pz / safe), np.arctan2(py, px), np.sqrt(np.maximum(mass_squared, 0))
        )


def sums(values: Array, offsets: Array) -> Array:
    """Sum of each list; the rows of `values` (n, ...) lie at offsets[i]:offsets[i + 1]."""
    result = np.zeros((len(offsets) - 1, *values.shape[1:]))
    filled = np.flatnonzero(np.diff(offsets) > 0)
    if len(filled):
        result[filled] = np.add.reduceat(values, offsets[filled], axis=0)[: len(filled)]
    return result
