"""Files of showers in the format of the CaloChallenge (C. Krause et al., 2410.21611).

HDF5 with `incident_energies` (n, 1) and `showers` (n, voxels), both in MeV, gzip.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import atomic
from fullchain.calorimetry.geometry import Geometry
from fullchain.errors import InputError

Array = NDArray[Any]

ENERGIES, SHOWERS = "incident_energies", "showers"


@dataclass(frozen=True)
class Showers:
    """Showers of one geometry.

    Parameters
    ----------
    energies
        Of the incident particles [MeV], (n), float64.
    voxels
        Energy in each voxel [MeV], (n, voxels), float32.
    """

    energies: Array
    voxels: Array

    def __len__(self) -> int:
        return len(self.energies)

    def select(self, chosen: Array | slice) -> "Showers":
        """Give some of the showers."""
        return Showers(self.energies[chosen], self.voxels[chosen])


def write(path: Path, showers: Showers) -> None:
    """Write a file, whole or not at all.

    The content depends on the showers only: no time is kept in the file.
    """
    import h5py

    with atomic(path) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        for name, values in (
            (ENERGIES, showers.energies.reshape(-1, 1)),
            (SHOWERS, showers.voxels.astype(np.float32)),
        ):
            file.create_dataset(
                name, data=values, compression="gzip", compression_opts=1, track_times=False
            )


def read(path: Path, geometry: Geometry, first: int = 0, number: int | None = None) -> Showers:
    """Read showers from a file, all or `number` of them from `first`.

    Raises
    ------
    InputError
        The file is missing, cannot be read, is no such file, disagrees with the geometry in the
        number of voxels, or has numbers that cannot be energies.
    """
    import h5py

    last = None if number is None else first + number
    try:
        with h5py.File(path, "r") as file:
            missing = [name for name in (ENERGIES, SHOWERS) if name not in file]
            if missing:
                raise InputError(
                    f"{path}: no data set {missing[0]!r}; it has {', '.join(file) or 'none'}"
                )
            energies = np.asarray(file[ENERGIES][first:last], dtype=float).reshape(-1)
            voxels = np.asarray(file[SHOWERS][first:last], dtype=np.float32)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    # h5py gives what HDF5 finds damaged as any of these
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, MemoryError) as problem:
        raise InputError(f"{path}: cannot be read as HDF5 ({problem}); it is damaged") from None
    return checked(Showers(energies, voxels), geometry, str(path))


def checked(showers: Showers, geometry: Geometry, where: str) -> Showers:
    """Give the showers if they can be showers of the geometry.

    Raises
    ------
    InputError
        They cannot; says why.
    """
    shape = showers.voxels.shape
    if len(shape) != 2 or shape[1] != geometry.voxels:
        raise InputError(
            f"{where}: showers have shape {shape}, the geometry {geometry.name!r} has "
            f"{geometry.voxels} voxels; give the XML file that belongs to the data"
        )
    if len(showers.energies) != shape[0]:
        raise InputError(f"{where}: {len(showers.energies)} energies for {shape[0]} showers")
    for name, values in ((ENERGIES, showers.energies), (SHOWERS, showers.voxels)):
        wrong = int((~np.isfinite(values)).sum())
        if wrong:
            raise InputError(f"{where}: {name!r} is not finite in {wrong} places")
    if (showers.energies <= 0).any():
        raise InputError(f"{where}: {int((showers.energies <= 0).sum())} energies are not positive")
    negative = (showers.voxels < 0).any(axis=0)
    if negative.any():
        raise InputError(f"{where}: negative energies, first in voxel {int(negative.argmax())}")
    return showers
