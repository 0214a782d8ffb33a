"""Photons that convert in the material of the tracker, and what the pairs radiate."""

from dataclasses import replace
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
    return 1.0 - np.exp(-PAIRS_PER_LENGTH * radiation_lengths(eta))


def radiation_lengths(eta: Array) -> Array:
    """Thickness of the tracker in radiation lengths."""
    return np.asarray(np.interp(np.abs(eta), REACH, RADIATION_LENGTHS, right=0.0))


def convert(
    particles: Particles, radius: float, half_length: float, random: np.random.Generator
) -> Particles:
    """Replace converting photons by electron and positron, and by what these radiate.

    The pair is made at a uniformly drawn part of the way, both along the photon, the energy shared
    uniformly (the Bethe-Heitler spectrum is flat within 30 %). Over the t radiation lengths that
    are left, an electron keeps the part exp(-u) of its energy, with u from a gamma distribution of
    shape t / ln 2 (Bethe and Heitler, Proc. R. Soc. A 146 (1934) 83). What both radiate goes on as
    one photon along the first one, unless it converts again, over t / 2 on average: then it is
    lost, as are pairs so soft that they turn in the field. Where the tracker is thick, most photons
    of pile-up are radiated ones.

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
    left = (1.0 - part) * radiation_lengths(parents.eta)
    kept = np.exp(-random.gamma(np.maximum(left, 1e-6) / np.log(2.0), size=(2, len(photons))))
    shares = np.array([share, 1.0 - share])
    pair = [
        _lepton(parents, place, fraction, code)
        for fraction, code in zip(shares * kept, (ELECTRON, -ELECTRON), strict=True)
    ]
    radiated = np.sum(shares * (1.0 - kept), axis=0)
    goes_on = random.random(len(photons)) < np.exp(-PAIRS_PER_LENGTH * left / 2.0)
    goes_on &= radiated * parents.e > LOWEST_ENERGY
    light = _photon(parents, place, radiated).select(goes_on)
    return concatenate([particles.select(unconverted), *pair, light])


def _photon(parents: Particles, place: list[Array], share: Array) -> Particles:
    return replace(
        parents,
        px=share * parents.px,
        py=share * parents.py,
        pz=share * parents.pz,
        e=share * parents.e,
        x=place[0],
        y=place[1],
        z=place[2],
    )


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
