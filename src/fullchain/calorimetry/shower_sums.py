"""What is kept of showers that are read in pieces: features, spectra of voxels, mean showers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fullchain.calorimetry import features, shower_physics
from fullchain.calorimetry.energy_groups import EnergyGroups
from fullchain.calorimetry.features import without_faint
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.separation import bin_numbers
from fullchain.calorimetry.shower_file import Showers
from fullchain.calorimetry.shower_physics import Reduced

Array = NDArray[Any]

BLOCKS = 20
"""Parts of the showers of an energy that are left out in turn for errors of mean showers."""


@dataclass(frozen=True)
class Features:
    """Features of all showers of a sample.

    Parameters
    ----------
    energies
        Of the particles [MeV], (n).
    values
        Of `features.features`, (n) each.
    highest
        Highest energy of a voxel [MeV].
    """

    energies: Array
    values: dict[str, Array]
    highest: float

    def __len__(self) -> int:
        return len(self.energies)


@dataclass(frozen=True)
class VoxelSums:
    """What is kept of voxels.

    Parameters
    ----------
    spectra
        For each shower the number of voxels in bins of energy, with the empty and faint ones first
        and overflow last, (n, bins + 2), uint32.
    shapes
        Sums of voxel energies over the energy of the particle, (groups, blocks, voxels).
    showers
        Number of showers in each of these sums, (groups, blocks).
    reduced
        Energies of layers, and within radii.
    """

    spectra: Array
    shapes: Array
    showers: Array
    reduced: Reduced


def measure(chunks: Iterable[Showers], geometry: Geometry, threshold: float) -> Features:
    """Take the features of showers that come in chunks."""
    energies, found, highest = [], [], 0.0
    for chunk in chunks:
        energies.append(chunk.energies)
        found.append(features.features(chunk, geometry, threshold))
        highest = max(highest, float(chunk.voxels.max(initial=0.0)))
    return Features(np.concatenate(energies), features.joined(found), highest)


def add_voxels(
    chunks: Iterable[Showers],
    geometry: Geometry,
    groups: EnergyGroups,
    edges: Array,
    threshold: float,
    radii: Array,
) -> VoxelSums:
    """Take spectra of voxels, mean showers and energies within radii [mm], from chunks."""
    spectra, reduced = [], []
    shapes = np.zeros((len(groups) * BLOCKS, geometry.voxels))
    showers = np.zeros(len(groups) * BLOCKS, dtype=int)
    first = 0
    for chunk in chunks:
        number, voxels = len(chunk), without_faint(chunk.voxels, threshold)
        spectra.append(_spectra(voxels, edges))
        reduced.append(shower_physics.reduce(Showers(chunk.energies, voxels), geometry, radii))
        group = groups.assign(chunk.energies)
        key = group * BLOCKS + (first + np.arange(number)) % BLOCKS
        inside = np.flatnonzero(group >= 0)
        # Each row of the matrix adds the showers of one group and block.
        add = sparse.csr_array(
            (1.0 / chunk.energies[inside], (key[inside], inside)), shape=(len(showers), number)
        )
        shapes += add @ voxels
        showers += np.bincount(key[inside], minlength=len(showers))
        first += number
    return VoxelSums(
        np.concatenate(spectra),
        shapes.reshape(len(groups), BLOCKS, -1),
        showers.reshape(len(groups), BLOCKS),
        Reduced.joined(reduced),
    )


def _spectra(voxels: Array, edges: Array) -> Array:
    """Number of voxels in bins of energy, for each shower."""
    bins = len(edges) + 1
    rows, columns = np.nonzero(voxels)
    numbers = bin_numbers(voxels[rows, columns], edges.astype(voxels.dtype))
    flat = np.bincount(rows * bins + numbers, minlength=len(voxels) * bins)
    found = flat.reshape(len(voxels), bins)
    found[:, 0] += voxels.shape[1] - found.sum(axis=1)
    return found.astype(np.uint32)
