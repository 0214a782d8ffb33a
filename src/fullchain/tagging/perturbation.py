"""Constituents of jets that are dropped or smeared at random.

The random numbers of a particle come from a hash of its event, its jet and its place among the
particles in falling pT. They are the same for all strengths: who is dropped with a probability of
10 % is also dropped with 20 %, so that the way from one strength to the next is smooth.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.jets import chance
from fullchain.tagging.jets_reading import FULL
from fullchain.tagging.robustness_settings import PerturbationSettings

Array = npt.NDArray[Any]

PT, ETA, PHI = 0, 1, 2
CHARGE, CODE = FULL.index("charge"), FULL.index("pdgId")

_PURPOSES = 4
"""Random numbers for each particle: one uniform, three normal."""
_PLACES = 2**20
"""More than a jet has particles."""


@dataclass(frozen=True)
class Draws:
    """Random numbers of the particles of some jets, each of shape (jets, particles).

    `uniform` decides who is dropped; the others are standard normal.
    """

    uniform: Array
    pt: Array
    eta: Array
    phi: Array


def draws(words: Array, jet: Array, particles: int) -> Draws:
    """Draw for each of the first `particles` particles of jets.

    Parameters
    ----------
    words
        (jets,) word of the event of each jet, from `fullchain.jets.chance.event_words`.
    jet
        (jets,) number of the jet in its event.
    particles
        Length of the answer. A particle's numbers do not depend on it.
    """
    words = np.repeat(words[:, None], particles, axis=1)
    first = (jet.astype(np.uint64)[:, None] * _PLACES + np.arange(particles, dtype=np.uint64)) * (
        _PURPOSES
    )
    normals = (chance.normal(words, first + np.uint64(k)) for k in range(1, _PURPOSES))
    return Draws(chance.uniform(words, first), *normals)


def chosen(constituents: Array, how: PerturbationSettings) -> npt.NDArray[np.bool_]:
    """Tell which particles a perturbation acts on, shape (jets, particles).

    `constituents` (jets, particles, 6 or more) begin as `FULL`; pT zero is padding.
    """
    keep = np.asarray(constituents[..., PT] > 0)
    if how.particles != "all":
        keep &= (constituents[..., CHARGE] != 0) == (how.particles == "charged")
    if how.pt_below is not None:
        keep &= constituents[..., PT] < how.pt_below
    return keep


def perturbed(
    constituents: Array, random: Draws, how: PerturbationSettings, strength: float
) -> npt.NDArray[np.float32]:
    """Change the particles of jets, and put them in falling pT again; the shape stays.

    Parameters
    ----------
    constituents
        (jets, particles, fields) as `Jets` has them, with the fields of `FULL`.
    random
        Numbers of the same jets and particles.
    how
        What is done, and to which particles.
    strength
        ``drop``: probability to be left out. ``smear_pt``: relative width; the factor is
        exp(s z - s^2 / 2) with s^2 = ln(1 + strength^2), of mean one and never negative, and the
        particle keeps direction and mass. ``smear_angles``: width of the shifts in eta and in phi.
    """
    result = np.array(constituents, dtype=np.float64)
    here = chosen(constituents, how)
    if how.kind == "drop":
        result[here & (random.uniform < strength)] = 0.0
    elif how.kind == "smear_pt":
        width = np.sqrt(np.log1p(strength**2))
        result[..., PT] *= np.where(here, np.exp(width * random.pt - 0.5 * width**2), 1.0)
    else:
        result[..., ETA] += np.where(here, strength * random.eta, 0.0)
        phi = result[..., PHI] + strength * random.phi
        result[..., PHI] = np.where(here, (phi + np.pi) % (2 * np.pi) - np.pi, result[..., PHI])
    order = np.argsort(-result[..., PT], axis=1, kind="stable")
    ordered: npt.NDArray[np.float32] = np.take_along_axis(result, order[..., None], axis=1).astype(
        np.float32
    )
    return ordered


def missing_knowledge(constituents: Array, how: PerturbationSettings) -> str | None:
    """Say why a perturbation means nothing for these jets; None where it does."""
    real = constituents[..., PT] > 0
    known = (constituents[..., CHARGE] != 0) | (constituents[..., CODE] != 0)
    if how.particles != "all" and not known[real].any():
        return "the files do not tell the charge of the particles"
    return None
