"""Showers of several files of the CaloChallenge's format, divided into test and reference."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry import shower_file, shower_units
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_file import Showers

Flags = NDArray[np.bool_]

AT_ONCE = 10_000_000
"""Numbers read at once, if that is more than one shower."""


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
        return sum(map(shower_file.count, self.paths))

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
            size = shower_file.count(path)
            for first in range(0, size, step):
                rows = min(step, size - first)
                here = chosen[place : place + rows]
                place += rows
                if not here.any():
                    continue
                showers = shower_file.read(path, self.geometry, first, rows)
                shower_units.check_response(showers, str(path))
                voxels = np.where(showers.voxels < self.threshold, 0.0, showers.voxels)
                yield Showers(showers.energies, voxels.astype(np.float32)).select(here)


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
