"""Photons that convert in the material of the tracker."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples.helix import straight_entrance
from fullchain.ntuples.particles import Particles, concatenate

Array = NDArray[Any]

# Thickness in radiation lengths against |eta|: rounded numbers of ours, in the manner of the
# material budget that CMS shows for its tracker (arXiv:1405.6569).
REACH = np.array([0.0, 0.5, 0.9, 1.2, 1.5, 1.8, 2.1, 2.5, 3.0])
RADIATION_LENGTHS = np.array([0.40, 0.48, 0.80, 1.30, 1.80, 1.60, 1.30, 1.15, 1.20])
# Pair production per radiation length at high energy, 7/9.
PAIRS_PER_LENGTH = 7.0 / 9.0
LOWEST_ENERGY = 0.010  # GeV; below, pair production is no longer what happens to a photon
FIRST, LAST = 0.03, 0.90  # where the material stands, in parts of the way to the calorimeter
ELECTRON = 11
ELECTRON_MASS = 0.000511


def conversion_probability(eta: Array) -> Array:
    """Probability that a photon from the centre makes a pair before the calorimeter."""
    thickness = np.interp(np.abs(eta), REACH, RADIATION_LENGTHS, right=0.0)
    return 1.0 - np.exp(-PAIRS_PER_LENGTH * thickness)


def convert(
    particles: Particles, radius: float, half_length: float, random: np.random.Generator
) -> Particles:
    """Replace converting photons by electron and positron.

    The pair is made at a uniformly drawn part of the way, both along the photon, the energy shared
    uniformly (the Bethe-Heitler spectrum is flat within 30 %). Soft pairs then turn in the field
    and are lost, which is why an experiment sees about half of the soft photons of pile-up.

    Parameters
    ----------
    particles
        All particles; the order of what is returned is another one.
    radius, half_length
        Entrance of the calorimeter [cm].
    """
    photons = np.flatnonzero((particles.pdg_id == 22) & (particles.e > LOWEST_ENERGY))
    candidates = particles.select(photons)
    converts = random.random(len(photons)) < conversion_probability(candidates.eta)
    photons, parents = photons[converts], candidates.select(converts)
    part = random.uniform(FIRST, LAST, len(photons))
    share = random.uniform(0.01, 0.99, len(photons))
    end = straight_entrance(parents, radius, half_length)
    place = [
        start + part * (stop - start)
        for start, stop in zip((parents.x, parents.y, parents.z), end[:3], strict=True)
    ]
    unconverted = np.ones(len(particles), dtype=bool)
    unconverted[photons] = False
    pair = [
        _lepton(parents, place, fraction, code)
        for fraction, code in ((share, ELECTRON), (1.0 - share, -ELECTRON))
    ]
    return concatenate([particles.select(unconverted), *pair])


def _lepton(parents: Particles, place: list[Array], share: Array, code: int) -> Particles:
    energy = share * parents.e
    scale = np.sqrt(np.maximum(energy**2 - ELECTRON_MASS**2, 0.0)) / parents.e
    number = len(parents)
    return Particles(
        event=parents.event,
        interaction=parents.interaction,
        pdg_id=np.full(number, code, dtype=parents.pdg_id.dtype),
        charge=np.full(number, -np.sign(code), dtype=np.int8),
        px=scale * parents.px,
        py=scale * parents.py,
        pz=scale * parents.pz,
        e=energy,
        x=place[0],
        y=place[1],
        z=place[2],
    )
