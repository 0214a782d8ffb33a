"""Write files of showers piece by piece: see `shower_file` for the format."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fullchain.atomic import atomic
from fullchain.calorimetry.shower_file import ENERGIES, SHOWERS, Showers

PIECE = 1_000_000
"""Largest size of what is compressed together [bytes]."""


@contextmanager
def writing(path: Path, number: int, voxels: int) -> Iterator[Callable[[Showers], None]]:
    """Give a function that appends showers; the file is there when the block ends well.

    Parameters
    ----------
    number, voxels
        Of showers in all, and of voxels in each.

    Raises
    ------
    ValueError
        Other than `number` showers were given.
    """
    import h5py

    rows = max(1, min(number, PIECE // (4 * voxels)))
    written = 0
    with atomic(path) as temporary:
        with h5py.File(temporary, "w", track_order=False) as file:
            energies, showers = (
                file.create_dataset(
                    name,
                    shape=(number, columns),
                    dtype=kind,
                    chunks=(rows, columns),
                    compression="gzip",
                    compression_opts=1,
                    track_times=False,
                )
                for name, columns, kind in (
                    (ENERGIES, 1, np.float64),
                    (SHOWERS, voxels, np.float32),
                )
            )

            def append(more: Showers) -> None:
                nonlocal written
                last = written + len(more)
                if last > number:
                    raise ValueError(f"{path}: {last} showers, {number} were announced")
                energies[written:last, 0] = more.energies
                showers[written:last] = more.voxels
                written = last

            yield append
        if written < number:
            raise ValueError(f"{path}: {written} showers, {number} were announced")
