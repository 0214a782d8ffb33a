"""Simulated showers in blocks, each with random numbers of its own.

What a set holds depends on the seed, the name of the set and the part (train, test, reference), but
not on how many blocks are held in memory at once.
"""

from collections.abc import Callable, Iterator

import numpy as np

from fullchain.calorimetry.shower_file import Array, Showers
from fullchain.calorimetry.showers_settings import (
    ContinuousEnergiesSettings,
    DiscreteEnergiesSettings,
)
from fullchain.seeds import stream

BLOCK = 500
"""Showers of one block; its random numbers are keyed by the number of the block."""

Draw = Callable[[Array, np.random.Generator], Array]
"""Gives voxels (n, voxels) for energies (n) [MeV]."""


def blocks(
    draw: Draw,
    energies: DiscreteEnergiesSettings | ContinuousEnergiesSettings,
    number: int,
    seed: int,
    *keys: str,
) -> Iterator[Showers]:
    """Give `number` showers, block after block.

    Parameters
    ----------
    keys
        What the showers are for: the name of the set, and the part.
    """
    for block, first in enumerate(range(0, number, BLOCK)):
        random = stream(seed, "calorimetry", "showers", *keys, block)
        here = incident(energies, first, min(BLOCK, number - first), random)
        yield Showers(here, draw(here, random))


def incident(
    energies: DiscreteEnergiesSettings | ContinuousEnergiesSettings,
    first: int,
    number: int,
    random: np.random.Generator,
) -> Array:
    """Give the energies [MeV] of showers `first` to `first + number`; discrete ones in turn."""
    if isinstance(energies, DiscreteEnergiesSettings):
        values = np.array(energies.values)
        return values[np.arange(first, first + number) % len(values)]
    low, high = np.log(energies.low), np.log(energies.high)
    return np.exp(random.uniform(low, high, number))
