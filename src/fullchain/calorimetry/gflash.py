"""Draw parameterised electromagnetic showers: G. Grindhammer and S. Peters, hep-ex/0001020.

Each shower has its own longitudinal profile (see `shower_profiles`). What a voxel gets of the
energy of its layer is drawn from a Dirichlet distribution, gamma distributions of a fixed sum, with
the mean of the radial profile and the variance that the number of spots gives: energies are
continuous, and the energy of a layer is kept. It fluctuates itself in sampling calorimeters: a
gamma distribution with the variance c^2 E.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.media import Medium, Sampling
from fullchain.calorimetry.shower_profiles import (
    contained,
    longitudinal,
    radial,
    scaled_depth,
    spots,
)

__all__ = ["Detector", "Medium", "Sampling", "showers"]

Array = NDArray[Any]

CONVERSION = 9.0 / 7.0
"""Mean depth at which a photon makes a pair [radiation lengths]."""

SLICE = 1.0
"""Largest thickness over which the radial profile is taken as constant [radiation lengths]."""

FEWEST = 1.0
"""Least number of spots in a layer: what energy there is has at least one."""

TINY = 1e-300


@dataclass(frozen=True)
class Detector:
    """A geometry in a medium.

    Parameters
    ----------
    depths
        Where layers begin and end [radiation lengths], (layers, 2), from where the particle
        enters; what is in front of them measures nothing.
    threshold
        Energy below which a voxel is empty [MeV].
    """

    geometry: Geometry
    medium: Medium
    depths: tuple[tuple[float, float], ...]
    threshold: float

    @cached_property
    def slices(self) -> tuple[Array, ...]:
        """Edges of the slices of each layer [radiation lengths]."""
        return tuple(
            np.linspace(begin, end, max(1, int(np.ceil((end - begin) / SLICE - 1e-9))) + 1)
            for begin, end in self.depths
        )


def showers(
    energies: Array, detector: Detector, random: np.random.Generator, photons: bool = False
) -> Array:
    """Draw showers.

    Parameters
    ----------
    energies
        Of the incident particles [MeV], (n).
    photons
        Whether the particles are photons, whose showers begin deeper.

    Returns
    -------
    Energies of voxels [MeV], (n, voxels), float32; 0 below the threshold.
    """
    energies = np.asarray(energies, dtype=float)
    medium = detector.medium
    means = longitudinal(energies, medium)
    peak, alpha = means.draw(random)
    mean_alpha = np.exp(means.log_alpha)
    number, spot_peak, spot_alpha = spots(peak, alpha, energies, medium)
    start = random.exponential(CONVERSION, len(energies)) if photons else np.zeros(len(energies))
    result = np.empty((len(energies), detector.geometry.voxels), dtype=np.float32)
    for layer, place, edges in zip(
        detector.geometry.layers, detector.geometry.slices, detector.slices, strict=True
    ):
        depth = np.maximum(edges - start[:, None], 0.0)
        energy = _in_slices(depth, peak, alpha)
        tau = scaled_depth(0.5 * (depth[:, 1:] + depth[:, :-1]), peak, alpha, mean_alpha)
        radii = np.array(layer.edges) / medium.moliere_radius
        # The cumulative distribution is summed over slices before it is divided into rings.
        inside = np.matmul(energy[:, None, :], contained(radii, *radial(tau, energies, medium)))
        whole = energy.sum(axis=1)
        rings = np.diff(inside[:, 0, :], axis=1) / np.maximum(whole, TINY)[:, None]
        # Spots are distributed otherwise than energy.
        hits = number * _in_slices(depth[:, [0, -1]], spot_peak, spot_alpha)[:, 0]
        voxels = _divided(np.maximum(hits, FEWEST), rings, layer.angles, random)
        voxels *= _measured(energies * whole, medium, random)[:, None]
        voxels[voxels < detector.threshold] = 0.0
        result[:, place] = voxels
    return result


def _in_slices(depth: Array, peak: Array, alpha: Array) -> Array:
    """Part of a gamma distribution between depths (n, slices + 1), (n, slices)."""
    beta = (alpha - 1.0) / peak
    return np.diff(gammainc(alpha[:, None], beta[:, None] * depth), axis=1)


def _divided(hits: Array, rings: Array, angles: int, random: np.random.Generator) -> Array:
    """Draw the part of each voxel, (n, voxels), of what rings get on average (n, rings)."""
    shape = np.repeat((hits[:, None] * rings)[:, None, :] / angles, angles, axis=1)
    drawn = random.standard_gamma(shape.reshape(len(hits), -1))
    outside = random.standard_gamma(np.maximum(hits * (1.0 - rings.sum(axis=1)), 0.0))
    drawn /= np.maximum(drawn.sum(axis=1) + outside, TINY)[:, None]
    return drawn


def _measured(energy: Array, medium: Medium, random: np.random.Generator) -> Array:
    """Draw the measured energy of a layer [MeV]."""
    if medium.resolution == 0.0:
        return energy
    scale = 1000.0 * medium.resolution**2
    return np.asarray(random.standard_gamma(energy / scale) * scale)
