"""Mean showers: energy in layers, where along the shower it lies, and how far around its axis."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.geometry import Geometry

Array = NDArray[Any]

CONTAINED = 0.9
"""Part of the energy within the radius that is given."""


def jackknife(sums: Array, quantity: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Give a function of sums over blocks, and its error.

    Parameters
    ----------
    sums
        (blocks, ...): what is summed over the showers of each block.
    quantity
        From sums (..., voxels) to numbers; it may not depend on the scale of the sums.
    """
    total = sums.sum(axis=0)
    blocks = len(sums)
    without = quantity(total - sums)
    variance = (blocks - 1) / blocks * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return quantity(total), np.sqrt(variance)


def profile(voxels: Array, geometry: Geometry) -> Array:
    """Part of the energy in each layer, (..., voxels) -> (..., layers)."""
    layers = np.stack([voxels[..., own].sum(axis=-1) for own in geometry.slices], axis=-1)
    return np.asarray(layers / np.maximum(layers.sum(axis=-1, keepdims=True), 1e-300))


def centre(voxels: Array, geometry: Geometry, depths: Array | None = None) -> Array:
    """Mean position along the shower, (..., 1).

    Parameters
    ----------
    depths
        Where layers begin and end [radiation lengths], (layers, 2); without them the position is
        counted in layers that have voxels, from 0 on.
    """
    parts = profile(voxels, geometry)
    places = np.arange(parts.shape[-1]) if depths is None else depths.mean(axis=1)
    return np.asarray((parts * places).sum(axis=-1, keepdims=True))


def containment_radius(voxels: Array, geometry: Geometry, part: float = CONTAINED) -> Array:
    """Radius within which a part of the energy lies [mm], (..., voxels) -> (..., 1).

    All layers together; within a ring the energy is taken as uniform over the area.
    """
    radii = np.unique(np.concatenate([layer.edges for layer in geometry.layers]))
    within = np.zeros((*voxels.shape[:-1], len(radii)))
    for layer, own in zip(geometry.layers, geometry.slices, strict=True):
        rings = voxels[..., own].reshape(*voxels.shape[:-1], layer.angles, layer.rings)
        energy = np.cumsum(rings.sum(axis=-2), axis=-1)
        energy = np.concatenate([np.zeros_like(energy[..., :1]), energy], axis=-1)
        within += _between(radii**2, np.array(layer.edges) ** 2, energy)
    wanted = part * within[..., -1:]
    above = np.minimum((within < wanted).sum(axis=-1, keepdims=True), len(radii) - 1)
    below = np.maximum(above - 1, 0)
    low, high = (np.take_along_axis(within, place, axis=-1) for place in (below, above))
    step = (wanted - low) / np.where(high > low, high - low, 1.0)
    squares = radii**2
    return np.asarray(np.sqrt(squares[below] + step * (squares[above] - squares[below])))


def _between(at: Array, edges: Array, values: Array) -> Array:
    """Straight lines through values (..., edges) at points, constant outside."""
    place = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(edges) - 2)
    part = np.clip((at - edges[place]) / (edges[place + 1] - edges[place]), 0.0, 1.0)
    return np.asarray(values[..., place] * (1.0 - part) + values[..., place + 1] * part)


def shapes(
    sums: Array, showers: Array, geometry: Geometry, depths: Array | None = None
) -> dict[str, Any]:
    """Give numbers of a mean shower with errors.

    Parameters
    ----------
    sums
        Voxel energies over that of the particle, summed in blocks, (blocks, voxels).
    showers
        In each block, (blocks).
    depths
        As `centre` takes them.

    Returns
    -------
    `profile` (layers), `centre` and `radius`: [value, error] each.
    """
    # A block of another size weighs as much: all are within one shower of each other.
    means = sums / np.maximum(showers, 1)[:, None]
    found: dict[str, Any] = {}
    value, error = jackknife(means, lambda x: profile(x, geometry))
    found["profile"] = [value.tolist(), error.tolist()]
    one, spread = jackknife(means, lambda x: centre(x, geometry, depths))
    found["centre"] = [float(one[0]), float(spread[0])]
    one, spread = jackknife(means, lambda x: containment_radius(x, geometry))
    found["radius"] = [float(one[0]), float(spread[0])]
    return found
