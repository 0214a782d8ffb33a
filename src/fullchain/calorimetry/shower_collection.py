"""Showers of several files of the CaloChallenge's format, divided into test and reference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry import shower_file
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_file import SHOWERS, Showers
from fullchain.errors import InputError

Flags = NDArray[np.bool_]

AT_ONCE = 10_000_000
"""Numbers read at once, if that is more than one shower."""

APART = 300.0
"""Factor between measured and incident energy from which units are suspected; 1000 less what a
calorimeter may lose or gain."""

LOWEST = 1.0
"""Incident energy [MeV] below which there are no showers."""


@dataclass(frozen=True)
class Collection:
    """Files of showers of one geometry, one after the other.

    Parameters
    ----------
    threshold
        Energy below which voxels are set to zero [MeV].
    """

    paths: Sequence[Path]
    geometry: Geometry
    threshold: float = 0.0

    def __len__(self) -> int:
        return sum(map(count, self.paths))

    def blocks(self, chosen: Flags) -> Iterator[Showers]:
        """Give the chosen showers, `chosen` (len(self)), in the order of the files.

        Raises
        ------
        InputError
            A file is no such file, disagrees with the geometry in voxels, has numbers that cannot
            be energies, or has energies in other units.
        """
        place, step = 0, max(1, AT_ONCE // self.geometry.voxels)
        for path in self.paths:
            size = count(path)
            for first in range(0, size, step):
                rows = min(step, size - first)
                here = chosen[place : place + rows]
                place += rows
                if not here.any():
                    continue
                showers = shower_file.read(path, self.geometry, first, rows)
                check_units(showers, str(path))
                voxels = np.where(showers.voxels < self.threshold, 0.0, showers.voxels)
                yield Showers(showers.energies, voxels.astype(np.float32)).select(here)


def count(path: Path) -> int:
    """Give the number of showers of a file.

    Raises
    ------
    InputError
        It is missing or is no file of showers.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return int(file[SHOWERS].shape[0])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except KeyError:
        raise InputError(f"{path}: no data set {SHOWERS!r}") from None
    except OSError as problem:
        raise InputError(f"{path}: cannot be read as HDF5 ({problem})") from None


def check_units(showers: Showers, where: str) -> None:
    """Refuse showers whose energies seem to be off by a factor of 1000.

    Raises
    ------
    InputError
        The median of measured over incident energy is near 1000 or 0.001, or incident energies
        are below 1 MeV; says which unit is suspected.
    """
    if not len(showers):
        return
    if showers.energies.min() < LOWEST:
        raise InputError(
            f"{where}: incident energies down to {showers.energies.min():g}: they must be in MeV, "
            "and seem to be in GeV; multiply by 1000"
        )
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


def split(
    number: int, part: float, most: int | None, random: np.random.Generator
) -> dict[str, Any]:
    """Divide the showers of test files at random.

    Returns
    -------
    Flags (number) of `test` and `reference`; `part` of at most `most` showers are the reference.
    """
    order = random.permutation(number)[:most]
    size = round(part * len(order))
    return {
        "reference": _flags(number, order[:size]),
        "test": _flags(number, order[size:]),
    }


def some(number: int, most: int | None, random: np.random.Generator) -> Flags:
    """Give flags (number) of at most `most` showers, chosen at random."""
    return _flags(number, random.permutation(number)[:most])


def _flags(number: int, chosen: NDArray[Any]) -> Flags:
    found = np.zeros(number, dtype=bool)
    found[chosen] = True
    return found
