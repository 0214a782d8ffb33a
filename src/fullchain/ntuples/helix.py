"""Paths of particles in a solenoid: where they enter the calorimeter, and impact parameters."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples.particles import Particles, pseudorapidity

Array = NDArray[Any]

# Radius of curvature [cm] of pT = 1 GeV in B = 1 T: 100 / 0.299792458.
CURVATURE = 333.564095
# A particle that has turned further before it meets the calorimeter is lost to it: a hadron has
# crossed much of the tracker; an electron has radiated, and its energy is spread over many cells.
LONGEST_TURN = np.pi
LONGEST_TURN_ELECTRON = 0.6


@dataclass(frozen=True)
class Entrance:
    """Where particles enter the calorimeter: position [cm], and whether they do."""

    x: Array
    y: Array
    z: Array
    reached: Array

    @property
    def eta(self) -> Array:
        """Pseudorapidity of the position, seen from the origin."""
        return pseudorapidity(np.hypot(self.x, self.y), self.z)

    @property
    def phi(self) -> Array:
        """Azimuth of the position."""
        return np.arctan2(self.y, self.x)


def calorimeter_entrance(
    particles: Particles, field: float, radius: float, half_length: float
) -> Entrance:
    """Follow particles to a cylinder around the beam line.

    Parameters
    ----------
    particles
        Momenta [GeV] and production vertices [cm].
    field
        Magnetic field along z [T]; zero outside the cylinder.
    radius, half_length
        The cylinder [cm].

    Notes
    -----
    A charged particle turns on a circle of radius pT/(0.3 B), clockwise for positive charge seen
    against z. It meets the barrel where that circle cuts the cylinder, or an endcap before. A
    particle that is made outside stays where it is made.
    """
    x, y, z, reached = straight_entrance(particles, radius, half_length)
    curved = np.flatnonzero(particles.charge)
    if len(curved):
        bent = _helix(particles.select(curved), field, radius, half_length)
        for straight, helical in zip((x, y, z, reached), bent, strict=True):
            straight[curved] = helical
    outside = (np.hypot(particles.x, particles.y) >= radius) | (np.abs(particles.z) >= half_length)
    x[outside], y[outside], z[outside] = (
        particles.x[outside],
        particles.y[outside],
        particles.z[outside],
    )
    reached[outside] = True
    return Entrance(x, y, z, reached)


def straight_entrance(particles: Particles, radius: float, half_length: float) -> tuple[Array, ...]:
    """Intersect straight lines with the cylinder."""
    px, py, pz = particles.px, particles.py, particles.pz
    pt2 = np.maximum(px**2 + py**2, 1e-24)
    inner = particles.x * px + particles.y * py
    missing = np.maximum(radius**2 - particles.x**2 - particles.y**2, 0.0)
    to_barrel = (np.sqrt(inner**2 + pt2 * missing) - inner) / pt2
    safe = np.where(np.abs(pz) < 1e-12, 1e-12, pz)
    to_endcap = (np.copysign(half_length, safe) - particles.z) / safe
    length = np.minimum(to_barrel, to_endcap)
    return (
        particles.x + length * px,
        particles.y + length * py,
        particles.z + length * pz,
        np.ones(len(px), dtype=bool),
    )


def _helix(
    particles: Particles, field: float, radius: float, half_length: float
) -> tuple[Array, ...]:
    """Intersect helices with the cylinder."""
    pt = np.maximum(particles.pt, 1e-9)
    q = np.sign(particles.charge).astype(float)
    bend = CURVATURE * pt / (field * np.abs(particles.charge))
    centre_x, centre_y = circle_centre(particles, bend)
    distance = np.maximum(np.hypot(centre_x, centre_y), 1e-9)
    cosine = (radius**2 - distance**2 - bend**2) / (2.0 * distance * bend)
    opening = np.arccos(np.clip(cosine, -1.0, 1.0))
    begin = np.arctan2(particles.y - centre_y, particles.x - centre_x)
    outward = np.arctan2(centre_y, centre_x)
    turn = np.mod(q * (begin - outward) - opening, 2.0 * np.pi)
    turn = np.where(np.abs(cosine) <= 1.0, turn, np.inf)
    rise = particles.pz / pt * bend  # path along z per radian of turn
    safe = np.where(np.abs(rise) < 1e-12, 1e-12, rise)
    to_endcap = (np.copysign(half_length, safe) - particles.z) / safe
    shortest = np.minimum(turn, to_endcap)
    electron = np.abs(particles.pdg_id) == 11
    reached = shortest < np.where(electron, LONGEST_TURN_ELECTRON, LONGEST_TURN)
    angle = begin - q * np.where(reached, shortest, 0.0)
    return (
        centre_x + bend * np.cos(angle),
        centre_y + bend * np.sin(angle),
        particles.z + np.where(reached, shortest, 0.0) * rise,
        reached,
    )


def circle_centre(particles: Particles, bend: Array) -> tuple[Array, Array]:
    """Centre of the circle [cm] in the transverse plane; `bend` is its radius [cm]."""
    pt = np.maximum(particles.pt, 1e-9)
    q = np.sign(particles.charge)
    return (
        particles.x + q * bend * particles.py / pt,
        particles.y - q * bend * particles.px / pt,
    )


def impact_parameters(particles: Particles, field: float) -> tuple[Array, Array]:
    """Give d0 and z of closest approach to the beam line [cm] of charged particles.

    d0 has the sign convention of CMS, (-x py + y px)/pT for a straight line. z is taken along the
    tangent at the production vertex, whose error is of second order in vertex distance over
    radius of curvature.
    """
    pt = np.maximum(particles.pt, 1e-9)
    q = np.sign(particles.charge)
    bend = CURVATURE * pt / (field * np.abs(particles.charge))
    d0 = q * (bend - np.hypot(*circle_centre(particles, bend)))
    along = (particles.x * particles.px + particles.y * particles.py) / pt
    return d0, particles.z - along * particles.pz / pt
