"""What generated showers and those of the full simulation must have in common to be compared."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.energy_groups import TOLERANCE
from fullchain.calorimetry.features import RESPONSE
from fullchain.calorimetry.shower_file import ENERGIES
from fullchain.calorimetry.shower_sums import Features
from fullchain.errors import InputError

Array = NDArray[Any]

STRANGE = 100.0
"""Factor by which E_tot / E_inc is away from one if a unit is wrong."""


def energies_of(path: Path) -> Array:
    """Read the energies of a file alone [MeV], (n).

    Raises
    ------
    InputError
        The file is missing or has none.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if ENERGIES not in file:
                raise InputError(f"{path}: no data set {ENERGIES!r}")
            return np.asarray(file[ENERGIES], dtype=float).reshape(-1)
    except OSError as problem:
        raise InputError(f"{path}: cannot be read as HDF5 ({problem})") from None


def check_units(found: Features, where: str) -> None:
    """Check that voxels and energies have one unit.

    Raises
    ------
    InputError
        The median of E_tot / E_inc is a hundred times more or less than one.
    """
    median = float(np.median(found.values[RESPONSE]))
    if 1.0 / STRANGE <= median <= STRANGE:
        return
    if median == 0.0:
        raise InputError(
            f"{where}: half of the showers or more have no energy in any voxel; is the threshold "
            "right, and are the voxels in MeV?"
        )
    hint = "the response of a sampling calorimeter must be divided by its sampling fraction"
    if 2e-4 < median < 5e-3:
        hint = "voxels look like GeV where MeV are needed, or energies like keV"
    elif 200.0 < median < 5e3:
        hint = "incident energies look like GeV where MeV are needed, or voxels like keV"
    raise InputError(f"{where}: the median of E_tot / E_inc is {median:.3g}: {hint}")


def check(
    generated: Features, test: Features, where: tuple[str, str], same: bool, least: int
) -> None:
    """Check that two samples can be compared.

    Parameters
    ----------
    same
        Whether energies must be the same, in order.
    least
        Showers that each sample must have.

    Raises
    ------
    InputError
        Number or energies of showers disagree, or there are too few.
    """
    for one, name in zip((generated, test), where, strict=True):
        if len(one) < least:
            raise InputError(
                f"{name}: {len(one)} showers are too few to compare, {least} or more are needed "
                "(calorimetry.evaluation.least)"
            )
    if not same:
        _check_range(generated, test, where)
        return
    if len(generated) != len(test):
        raise InputError(
            f"{where[0]} has {len(generated)} showers and {where[1]} {len(test)}; generate one "
            "for each shower of the test, at its energy"
        )
    apart = np.abs(generated.energies - test.energies) > TOLERANCE * test.energies
    if not apart.any():
        return
    place = int(apart.argmax())
    first, second = float(generated.energies[place]), float(test.energies[place])
    hint = ""
    if np.allclose(np.sort(generated.energies), np.sort(test.energies), rtol=TOLERANCE, atol=0):
        hint = "; they are the same in another order"
    elif np.allclose(1000.0 * generated.energies, test.energies, rtol=TOLERANCE, atol=0):
        hint = "; those of the first look like GeV, and MeV are needed"
    elif np.allclose(generated.energies, 1000.0 * test.energies, rtol=TOLERANCE, atol=0):
        hint = "; those of the second look like GeV, and MeV are needed"
    raise InputError(
        f"{where[0]} and {where[1]}: incident energies differ in {int(apart.sum())} of "
        f"{len(test)} places, first in number {place}: {first:g} and {second:g} MeV{hint}"
    )


def _check_range(generated: Features, test: Features, where: tuple[str, str]) -> None:
    """Check that energies of independent samples have about one range."""
    medians = [float(np.median(one.energies)) for one in (generated, test)]
    if not 1.0 / STRANGE < medians[0] / medians[1] < STRANGE:
        raise InputError(
            f"{where[0]} and {where[1]}: the medians of the incident energies are {medians[0]:g} "
            f"and {medians[1]:g} MeV; is one of them in GeV?"
        )
