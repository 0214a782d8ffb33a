"""Batches of two samples that have no entry in common, and no energy of a particle either."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def independent(
    lengths: tuple[int, int], batches: int, size: int, paired: bool, random: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    """Give indices of batches of two samples; no entry is in two batches.

    Parameters
    ----------
    lengths
        Entries of the two samples; `batches` times `size` or more.
    paired
        Whether the i-th entries of both belong together, as generated and simulated showers of one
        energy do. They then never meet in a batch: estimates without bias take entries as
        independent, and samples with equal energies are closer than that.
    """
    first = random.permutation(lengths[0])
    second = np.roll(first[: batches * size], -size) if paired else random.permutation(lengths[1])
    for number in range(batches):
        rows = slice(number * size, (number + 1) * size)
        yield first[rows], second[rows]
