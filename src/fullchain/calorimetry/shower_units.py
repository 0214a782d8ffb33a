"""Whether the energies of files of showers can be in MeV, as the CaloChallenge's are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry import shower_file
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_file import Showers
from fullchain.errors import InputError

APART = 300.0
"""Factor between measured and incident energy from which units are suspected; 1000 less what a
calorimeter may lose or gain."""

LOWEST = 1.0
"""Incident energy [MeV] below which there are no showers."""

LOW = 5_000.0
"""Files whose incident energies end below it [MeV] are looked at: the challenge's begin at 256 MeV
or 1 GeV and end at 1 TeV or more, and would end below it if they were in GeV."""

UNSEEN = 1e-3
"""Energy of a voxel [MeV] that no calorimeter reads out: thresholds of the challenge are 15 keV and
1 MeV, and a thousandth of the former in GeV."""

FAR_BELOW = 0.01
"""Part of the threshold of a set below which voxels do not fit to it: in GeV they begin at a
thousandth."""

FAINT = 0.01
"""Quantile of the voxels with energy that counts as their faintest: a few strays do not matter."""

ONE_ENERGY = 1.01
"""Largest over smallest incident energy of a file with one energy."""

LOOKED_AT = 10_000_000
"""Numbers that are looked at in a file, in so many places."""

PLACES = 10


def check_files(paths: Sequence[Path], geometry: Geometry, threshold: float) -> None:
    """Refuse files whose incident and measured energies both seem to be in GeV.

    That is so of a file with incident energies below `LOWEST`, and of one that ends below `LOW` and
    has faint voxels: 1 in 100 of those with energy is below `UNSEEN`, or far below the threshold. A
    file of one energy is left alone where others of the set end above `LOW`.

    Parameters
    ----------
    threshold
        Energy below which voxels of the set are empty [MeV]; 0: not known.

    Raises
    ------
    InputError
        A file seems to be in GeV; says what was seen, and how to say that it is in MeV.
    """
    ranges = {}
    for path in paths:
        energies = shower_file.read_energies(path)
        if len(energies):
            ranges[path] = float(energies.min()), float(energies.max())
    reach = max((high for _, high in ranges.values()), default=0.0)
    least = max(UNSEEN, FAR_BELOW * threshold)
    for path, (low, high) in ranges.items():
        seen = f"{path}: incident energies from {low:g} to {high:g}"
        if low < LOWEST:
            raise _suspected(seen)
        if high >= LOW or (reach >= LOW and high < ONE_ENERGY * low):
            continue
        faintest = _faintest(path, geometry)
        if faintest < least:
            told = f" (threshold {threshold:g} MeV)" if threshold else ""
            raise _suspected(
                f"{seen}, and 1 in 100 voxels with energy is below {faintest:.3g}{told}"
            )


def _suspected(seen: str) -> InputError:
    return InputError(
        f"{seen}: they must be in MeV, and seem to be in GeV; multiply incident energies and "
        "voxels by 1000, or set in_mev: true of this set in calorimetry.showers if they are right"
    )


def _faintest(path: Path, geometry: Geometry) -> float:
    """Energy that few of the voxels with energy are below, in the unit of the file.

    Raises
    ------
    InputError
        Voxels and incident energies have different units.
    """
    number = shower_file.count(path)
    rows = max(1, LOOKED_AT // PLACES // geometry.voxels)
    found: list[NDArray[Any]] = []
    for first in np.unique(np.linspace(0, max(0, number - rows), PLACES, dtype=int)).tolist():
        showers = shower_file.read(path, geometry, first, rows)
        check_response(showers, str(path))
        found.append(showers.voxels[showers.voxels > 0])
    voxels = np.concatenate(found)
    return float(np.quantile(voxels, FAINT)) if len(voxels) else np.inf


def check_response(showers: Showers, where: str) -> None:
    """Refuse showers whose incident and measured energies seem to have different units.

    Raises
    ------
    InputError
        The median of measured over incident energy is near 1000 or 0.001; says which unit is
        suspected.
    """
    if not len(showers):
        return
    response = float(np.median(showers.voxels.sum(axis=1, dtype=float) / showers.energies))
    if response > APART:
        wrong, other = "incident energies seem to be in GeV", "voxels"
    elif 0.0 < response < 1.0 / APART:
        wrong, other = "energies of voxels seem to be in GeV", "incident energies"
    else:
        return
    raise InputError(
        f"{where}: the measured energy is {response:.3g} times the incident one in the median: "
        f"{wrong} and {other} in MeV; both must be in MeV"
    )
