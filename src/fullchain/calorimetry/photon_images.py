"""Images of single photons and of the two photons of a pi0 in a layer of fine square cells.

Showers are those of `gflash` on a polar grid that is finer than the cells; what a polar voxel has,
drawn from its gamma distribution, falls at a random point of it. Gamma numbers add up to gamma
numbers, so that a cell has the fluctuations that the parameterisation gives to its content.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry import gflash
from fullchain.calorimetry.geometry import Geometry, Layer
from fullchain.calorimetry.refinement_settings import FineLayerSettings, PhotonsSettings
from fullchain.errors import InputError

Array = NDArray[Any]

PION_MASS = 134.9768
"""Of the neutral pion [MeV]."""

FINEST = 8
"""Rings to a fine cell, near the axis."""

GROWTH = 1.25
"""From one ring to the next, farther out."""

ANGLES = 24
"""Divisions of a ring."""

CHUNK = 1000


@dataclass(frozen=True)
class Images:
    """Images of a layer.

    Parameters
    ----------
    fine
        Energies of cells [MeV], (n, side, side), float32.
    photons
        1 or 2, (n).
    angle
        Opening angle [mrad], (n); a single photon has that of the decay that it has the energy of.
    energy
        Of the photon or pi0 [MeV], (n).
    """

    fine: Array
    photons: Array
    angle: Array
    energy: Array

    def __len__(self) -> int:
        return len(self.fine)


def drawn(
    number: int, layer: FineLayerSettings, photons: PhotonsSettings, random: np.random.Generator
) -> Images:
    """Draw images, a single photon and a pi0 in turn.

    A decay has an opening angle theta and an energy sharing z = E1/E, both uniform; the energy is
    then m / (2 sqrt(z (1 - z)) sin(theta / 2)). Single photons have energies of the same law.
    The line of the particle crosses the layer anywhere in a coarse cell in the middle.
    """
    twice = np.arange(number) % 2 == 1
    angle = random.uniform(*photons.angles, number)
    share = 0.5 + 0.5 * photons.asymmetry * random.uniform(-1.0, 1.0, number)
    energy = PION_MASS / (2.0 * np.sqrt(share * (1.0 - share)) * np.sin(5e-4 * angle))
    wide = layer.cell * layer.factor
    centre = random.uniform(-0.5 * wide, 0.5 * wide, (number, 2))
    azimuth = random.uniform(-math.pi, math.pi, number)
    apart = layer.distance * np.tan(1e-3 * angle)
    along = np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1) * apart[:, None]
    # The line of the pi0 is the centre of gravity of its photons.
    first = centre + np.where(twice, 1.0 - share, 0.0)[:, None] * along
    second = centre - share[:, None] * along
    fine = photon_images(np.where(twice, share, 1.0) * energy, first, layer, random)
    fine[twice] += photon_images((1.0 - share[twice]) * energy[twice], second[twice], layer, random)
    fine[fine < layer.threshold] = 0.0
    if (fine.sum(axis=(1, 2)) <= 0).any():
        # A photon may convert behind a layer; it says nothing about cells.
        kept = fine.sum(axis=(1, 2)) > 0
        fine, twice, angle, energy = fine[kept], twice[kept], angle[kept], energy[kept]
    return Images(fine, 1 + twice.astype(int), angle, energy)


def photon_images(
    energies: Array, places: Array, layer: FineLayerSettings, random: np.random.Generator
) -> Array:
    """Draw what photons leave in the cells.

    Parameters
    ----------
    energies
        [MeV], (n).
    places
        Where their lines cross the layer, from its middle [mm], (n, 2).

    Returns
    -------
    Energies of cells [MeV], (n, side, side), float32, without threshold; what falls beyond the
    layer is lost.

    Raises
    ------
    InputError
        Energies that are not positive numbers, or a place outside the layer.
    """
    side = layer.coarse * layer.factor
    half = 0.5 * side * layer.cell
    if not (np.isfinite(energies) & (energies > 0)).all():
        raise InputError("photons: energies must be positive numbers [MeV]")
    if not (np.abs(places) < half).all():
        raise InputError(
            f"photons hit up to {np.abs(places).max():.0f} mm from the middle of a layer that ends "
            f"at {half:.0f} mm: lower photons.angles or layer.distance, or raise layer.coarse"
        )
    detector, edges = _polar(layer)
    result = np.zeros((len(energies), side, side), dtype=np.float32)
    for start in range(0, len(energies), CHUNK):
        some = slice(start, start + CHUNK)
        voxels = gflash.showers(energies[some], detector, random, photons=True)
        rows, numbers = np.nonzero(voxels)
        angle_bin, ring = np.divmod(numbers, len(edges) - 1)
        chance = random.random((2, len(rows)))
        square = edges[ring] ** 2 + chance[0] * (edges[ring + 1] ** 2 - edges[ring] ** 2)
        angle = 2.0 * math.pi * (angle_bin + chance[1]) / ANGLES
        x = np.sqrt(square) * np.cos(angle) + places[some][rows, 0]
        y = np.sqrt(square) * np.sin(angle) + places[some][rows, 1]
        column = np.floor((x + half) / layer.cell).astype(int)
        line = np.floor((y + half) / layer.cell).astype(int)
        inside = (column >= 0) & (column < side) & (line >= 0) & (line < side)
        cell = (rows * side + line) * side + column
        size = len(voxels) * side * side
        sums = np.bincount(cell[inside], voxels[rows, numbers][inside], minlength=size)
        result[some] = sums.reshape(-1, side, side)
    return result


def _polar(layer: FineLayerSettings) -> tuple[gflash.Detector, Array]:
    """The polar grid [mm], and its radii."""
    step = layer.cell / FINEST
    edges = [step * number for number in range(FINEST + 1)]
    farthest = math.sqrt(2.0) * layer.coarse * layer.factor * layer.cell
    while edges[-1] < farthest:
        step *= GROWTH
        edges.append(edges[-1] + step)
    geometry = Geometry(22, "photon", (Layer(0, tuple(edges), ANGLES),))
    medium = gflash.Medium(layer.atomic_number, layer.critical_energy, layer.moliere_radius)
    detector = gflash.Detector(geometry, medium, ((layer.begin, layer.end),), 0.0)
    return detector, np.array(edges)


def coarse_of(fine: Array, factor: int) -> Array:
    """Sum blocks of factor x factor cells, (n, side / factor, side / factor), float32.

    Raises
    ------
    InputError
        The side is no multiple of the factor, or energies are negative or not finite.
    """
    number, side = len(fine), fine.shape[-1]
    if fine.ndim != 3 or fine.shape[1] != side or side % factor:
        raise InputError(
            f"images of shape {fine.shape} cannot be divided in blocks of {factor} x {factor} cells"
        )
    if not np.isfinite(fine).all() or (fine < 0).any():
        raise InputError("images have energies that are negative or not finite")
    blocks = fine.reshape(number, side // factor, factor, side // factor, factor)
    return blocks.sum(axis=(2, 4), dtype=np.float64).astype(np.float32)
