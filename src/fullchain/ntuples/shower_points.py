"""Voxels of a shower as points across the direction of the particle."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FINEST = 4.0
"""Size of the pieces of a voxel near the middle [mm]."""

COARSENING = 0.25
"""Their size further out, as part of the radius, where the density of energy hardly changes."""

MM_TO_CM = 0.1


@dataclass(frozen=True)
class VoxelPlaces:
    """Where the voxels of a geometry lie across the direction of the particle.

    Parameters
    ----------
    radii
        Inner and outer radius [mm], (voxels, 2).
    angles
        First and last angle alpha, (voxels, 2).
    """

    radii: Array
    angles: Array


@dataclass(frozen=True)
class Points:
    """Points that stand for the voxels: voxels one behind another share theirs.

    Parameters
    ----------
    column
        Which column of voxels a voxel belongs to, (voxels).
    parent
        The column of each point, (points).
    share
        Part of the column's energy at each point, (points).
    x, y
        Place across the direction [cm], r cos(alpha) and r sin(alpha), (points).
    """

    column: Array
    parent: Array
    share: Array
    x: Array
    y: Array

    @property
    def reach(self) -> float:
        """Largest distance of a point from the middle [cm]."""
        return float(np.hypot(self.x, self.y).max())

    def energies(self, voxels: Array) -> Array:
        """Energies at the points, (n, points), of showers (n, voxels), in float64."""
        number = int(self.column.max()) + 1
        behind = np.zeros((len(voxels), number))
        order = np.argsort(self.column, kind="stable")
        begin = np.flatnonzero(np.r_[True, np.diff(self.column[order]) > 0])
        behind[:] = np.add.reduceat(voxels[:, order], begin, axis=1, dtype=float)
        return np.asarray(behind[:, self.parent] * self.share)


def points(places: VoxelPlaces) -> Points:
    """Divide voxels into pieces of equal area, small against crystals, with a point in each.

    A point lies at the mean radius of its piece, so that pieces do not move the centre of energy.
    """
    shape = np.column_stack([places.radii, places.angles])
    columns, column = np.unique(shape, axis=0, return_inverse=True)
    parts = [_pieces(*values) for values in columns.tolist()]
    sizes = [len(part[0]) for part in parts]
    x, y = (np.concatenate([part[axis] for part in parts]) for axis in (0, 1))
    return Points(
        column=column.reshape(-1),
        parent=np.repeat(np.arange(len(parts)), sizes),
        share=np.repeat(1.0 / np.array(sizes), sizes),
        x=MM_TO_CM * x,
        y=MM_TO_CM * y,
    )


def _pieces(inner: float, outer: float, first: float, last: float) -> tuple[Array, Array]:
    size = max(FINEST, COARSENING * 0.5 * (inner + outer))
    rings = max(1, int(np.ceil((outer - inner) / size)))
    sectors = max(1, int(np.ceil(0.5 * (inner + outer) * (last - first) / size)))
    # A whole turn in one piece would put all its energy on one side.
    sectors = max(sectors, int(np.ceil((last - first) / (0.25 * np.pi) - 1e-9)))
    square = np.sqrt(np.linspace(inner**2, outer**2, rings + 1))
    below, above = square[:-1], square[1:]
    radius = 2.0 / 3.0 * (above**3 - below**3) / (above**2 - below**2)
    edges = np.linspace(first, last, sectors + 1)
    angle = 0.5 * (edges[1:] + edges[:-1])
    r, a = (grid.ravel() for grid in np.meshgrid(radius, angle))
    return r * np.cos(a), r * np.sin(a)
