"""Files of showers in the format of the CaloChallenge (C. Krause et al., 2410.21611).

HDF5 with `incident_energies` (n, 1) and `showers` (n, voxels), both in MeV, gzip.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Give the data sets of a file: a function of their names.

    Raises
    ------
    InputError
        The file is missing, is no HDF5 or damaged, or has no data set of a name that is asked for.
    """
    import h5py

    def data(name: str) -> Any:
        found = file.get(name)
        if found is None:
            raise InputError(f"{path}: no data set {name!r}; it has {', '.join(file) or 'none'}")
        if not isinstance(found, h5py.Dataset) or not found.shape:
            raise InputError(
                f"{path}: {name!r} is no data set with a row for each shower but a "
                f"{'scalar' if isinstance(found, h5py.Dataset) else type(found).__name__.lower()}"
            )
        return found

    try:
        with h5py.File(path, "r") as file:
            yield data
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder, and an HDF5 file is needed") from None
    # h5py gives what HDF5 finds damaged as any of these
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, MemoryError) as problem:
        raise InputError(f"{path}: cannot be read as HDF5 ({problem}); it is damaged") from None


def count(path: Path) -> int:
    """Give the number of showers of a file.

    Raises
    ------
    InputError
        As `opened`.
    """
    with opened(path) as data:
        return int(data(SHOWERS).shape[0])


def read_energies(path: Path, first: int = 0, last: int | None = None) -> Array:
    """Read energies of incident particles alone [MeV], (n), all or from `first` to `last`.

    Raises
    ------
    InputError
        As `opened`; or they cannot be energies: says which is the first.
    """
    with opened(path) as data:
        energies = _numbers(data(ENERGIES), path, ENERGIES, first, last, float).reshape(-1)
    check_energies(energies, str(path), first)
    return energies


def read(path: Path, geometry: Geometry, first: int = 0, number: int | None = None) -> Showers:
    """Read showers from a file, all or `number` of them from `first`.

    Raises
    ------
    InputError
        The file is missing, cannot be read, is no such file, disagrees with the geometry in the
        number of voxels, or has numbers that cannot be energies.
    """
    last = None if number is None else first + number
    with opened(path) as data:
        energies = _numbers(data(ENERGIES), path, ENERGIES, first, last, float).reshape(-1)
        voxels = _numbers(data(SHOWERS), path, SHOWERS, first, last, np.float32)
    return checked(Showers(energies, voxels), geometry, str(path), first)


def _numbers(data: Any, path: Path, name: str, first: int, last: int | None, kind: type) -> Array:
    """Read rows of a data set of numbers."""
    if data.dtype.kind not in "fiu":
        raise InputError(f"{path}: {name!r} has no numbers but {data.dtype}; MeV are needed")
    return np.asarray(data[first:last], dtype=kind)


def check_energies(energies: Array, where: str, first: int = 0) -> None:
    """Check that numbers (n) can be energies of incident particles.

    Parameters
    ----------
    where, first
        Name of the file, and the row of it that the first one is of, for messages.

    Raises
    ------
    InputError
        One is not finite or not positive; names the first row.
    """
    for told, wrong in (("finite", ~np.isfinite(energies)), ("positive", energies <= 0)):
        if wrong.any():
            raise InputError(
                f"{where}: {int(wrong.sum())} {ENERGIES} are not {told}, first in "
                f"{_place(first, wrong)}: {energies[wrong.argmax()]:g}"
            )


def _place(first: int, wrong: Array) -> str:
    """Name the first row of a file in which something is wrong."""
    return f"row {first + int(wrong.argmax())} (from 0)"


def checked(showers: Showers, geometry: Geometry, where: str, first: int = 0) -> Showers:
    """Give the showers if they can be showers of the geometry.

    Parameters
    ----------
    where, first
        Name of the file, and the row of it that the first shower is, for messages.

    Raises
    ------
    InputError
        They cannot; says why, and which is the first that cannot.
    """
    shape = showers.voxels.shape
    if len(shape) != 2 or shape[1] != geometry.voxels:
        raise InputError(
            f"{where}: showers have shape {shape}, the geometry {geometry.name!r} has "
            f"{geometry.voxels} voxels; give the XML file that belongs to the data"
        )
    if len(showers.energies) != shape[0]:
        shorter = min(len(showers.energies), shape[0])
        raise InputError(
            f"{where}: {len(showers.energies)} energies for {shape[0]} showers: from row "
            f"{first + shorter} (from 0) on one of the two is missing"
        )
    check_energies(showers.energies, where, first)
    for told, wrong in (
        ("energies that are not finite", ~np.isfinite(showers.voxels)),
        ("negative energies", showers.voxels < 0),
    ):
        rows = np.asarray(wrong.any(axis=1))
        if rows.any():
            row = int(rows.argmax())
            voxel = int(wrong[row].argmax())
            raise InputError(
                f"{where}: {int(rows.sum())} {SHOWERS} have {told}, first in "
                f"{_place(first, rows)}, voxel {voxel}: {showers.voxels[row, voxel]:g}"
            )
    return showers
