"""Pile-up: minimum-bias collisions of a pool laid over the hard collisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples.particles import Particles

Array = NDArray[Any]


@dataclass(frozen=True)
class Pool:
    """Minimum-bias collisions: flat arrays of final particles with collision at the origin.

    Particles of collision i are offsets[i]:offsets[i+1]; `particles.event` is not used.
    """

    offsets: Array
    particles: Particles


@dataclass(frozen=True)
class Overlay:
    """Pile-up particles of a block of events, and per event the mean and the drawn number."""

    particles: Particles
    mean: Array
    number: Array


def draw_means(
    events: int, mean: float, profile: Mapping[int, float], random: np.random.Generator
) -> Array:
    """Draw the mean number of interactions of each event: from the profile, or the same for all."""
    if not profile:
        return np.full(events, mean)
    values = np.array(sorted(profile), dtype=float)
    probability = np.array([profile[int(value)] for value in values], dtype=float)
    return np.asarray(random.choice(values, size=events, p=probability / probability.sum()))


def overlay(pool: Pool, means: Array, spot_length: float, random: np.random.Generator) -> Overlay:
    """Lay Poisson numbers of pool collisions over events.

    A collision is drawn with replacement, turned by a random azimuth, mirrored in z with
    probability one half, and put at a Gaussian place along the beam, so that a small pool looks
    like a larger one.

    Parameters
    ----------
    pool
        Collisions to draw from.
    means
        Mean number of interactions per event.
    spot_length
        Standard deviation of the place along the beam [cm].
    """
    number = random.poisson(means)
    total = int(number.sum())
    picks = random.integers(len(pool.offsets) - 1, size=total)
    turn = random.uniform(0.0, 2.0 * np.pi, size=total)
    mirror = np.where(random.random(total) < 0.5, -1.0, 1.0)
    place = random.normal(0.0, spot_length, size=total)
    event = np.repeat(np.arange(len(means), dtype=np.int32), number)
    begin = np.cumsum(number) - number
    interaction = (np.arange(total) - np.repeat(begin, number) + 1).astype(np.int32)

    size = pool.offsets[picks + 1] - pool.offsets[picks]
    which = np.repeat(np.arange(total), size)
    first = np.cumsum(size) - size
    chosen = np.arange(len(which)) - first[which] + pool.offsets[picks][which]
    drawn = pool.particles.select(chosen)
    cosine, sine = np.cos(turn)[which], np.sin(turn)[which]
    sign = mirror[which]
    particles = Particles(
        event=event[which],
        interaction=interaction[which],
        pdg_id=drawn.pdg_id,
        charge=drawn.charge,
        px=cosine * drawn.px - sine * drawn.py,
        py=sine * drawn.px + cosine * drawn.py,
        pz=sign * drawn.pz,
        e=drawn.e,
        x=cosine * drawn.x - sine * drawn.y,
        y=sine * drawn.x + cosine * drawn.y,
        z=sign * drawn.z + place[which],
    )
    return Overlay(particles, means, number)
