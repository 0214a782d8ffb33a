"""Groups of showers by the energy of the particle: each energy, or slices of a spectrum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TOLERANCE = 1e-4
"""Relative distance at which two energies are the same."""

MOST = 40
"""More energies than this are a spectrum."""

TRAINED, LEFT_OUT, BEYOND = "trained", "left out", "extrapolated"


@dataclass(frozen=True)
class EnergyGroups:
    """Ranges of energies.

    Parameters
    ----------
    low, high
        Ends [MeV], (groups); a group has its lower end and not its upper one.
    centre
        The energy, or the middle in its logarithm [MeV], (groups).
    discrete
        Whether each group is one energy.
    """

    low: Array
    high: Array
    centre: Array
    discrete: bool

    def __len__(self) -> int:
        return len(self.centre)

    def assign(self, energies: Array) -> Array:
        """Give the number of the group of each energy, -1 for none, (n)."""
        place = np.searchsorted(self.low, energies, side="right") - 1
        inside = (place >= 0) & (energies < self.high[np.maximum(place, 0)])
        return np.where(inside, place, -1)

    def kinds(self, left_out: Sequence[float], trained: tuple[float, float] | None) -> list[str]:
        """Say of each group whether it was trained, left out, or lies beyond the trained range.

        A slice counts as left out if an energy that was left out lies in it.
        """
        found = []
        for low, high, centre in zip(self.low, self.high, self.centre, strict=True):
            # The highest energy closes the last slice, so that its middle decides.
            if trained is not None and not (
                trained[0] * (1 - TOLERANCE) <= centre <= trained[1] * (1 + TOLERANCE)
            ):
                found.append(BEYOND)
            elif any(low <= energy < high for energy in left_out):
                found.append(LEFT_OUT)
            else:
                found.append(TRAINED)
        return found


def groups_of(energies: Array, slices: int) -> EnergyGroups:
    """Group by energy where there are few different ones, else in slices equal in number.

    Parameters
    ----------
    energies
        Of the full simulation [MeV], (n).
    slices
        Number of slices of a spectrum.
    """
    values = np.unique(energies)
    # Rounding to single precision makes no new energy.
    new = np.concatenate([[True], np.diff(values) > TOLERANCE * values[1:]])
    values = values[new]
    if len(values) <= MOST:
        return EnergyGroups(
            values * (1 - 2 * TOLERANCE), values * (1 + 2 * TOLERANCE), values, True
        )
    ends = np.quantile(energies, np.linspace(0.0, 1.0, slices + 1))
    ends[-1] *= 1 + TOLERANCE
    return EnergyGroups(ends[:-1], ends[1:], np.sqrt(ends[:-1] * ends[1:]), False)
