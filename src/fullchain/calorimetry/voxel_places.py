"""Where the voxels of a geometry lie, for the electromagnetic calorimeter of `ntuples`."""

import numpy as np

from fullchain.calorimetry.geometry import Geometry
from fullchain.ntuples.shower_points import VoxelPlaces


def voxel_places(geometry: Geometry) -> VoxelPlaces:
    """Give radii [mm] and angles between which each voxel lies; of all depths alike."""
    radii, angles = [], []
    for layer in geometry.layers:
        turn = np.linspace(-np.pi, np.pi, layer.angles + 1)
        radii.append(
            np.tile(np.column_stack([layer.edges[:-1], layer.edges[1:]]), (layer.angles, 1))
        )
        angles.append(np.repeat(np.column_stack([turn[:-1], turn[1:]]), layer.rings, axis=0))
    return VoxelPlaces(np.concatenate(radii), np.concatenate(angles))
