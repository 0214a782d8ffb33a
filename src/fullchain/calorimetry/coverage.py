"""Precision, recall, density and coverage: what of two samples lies near the other.

Around each entry is a ball that reaches to its k-th nearest neighbour in its own sample. Precision
is the part of the generated entries in a ball of the reference, recall the part of the reference in
a ball of the generated (T. Kynkaanniemi et al., 1904.06991). Density counts in how many balls of
the reference a generated entry lies, over k, and coverage is the part of the balls of the reference
that hold a generated entry (M. Naeem et al., 2002.09797). For samples of one distribution density
is one on average and coverage close to 1 - 2^-k, see `same`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from fullchain.calorimetry.independent_batches import independent
from fullchain.errors import InputError

Array = NDArray[Any]

ROWS = 1024
"""Rows of a matrix of distances that are held at a time."""

NAMES = ("precision", "recall", "density", "coverage")


def measured(generated: Array, reference: Array, neighbours: int = 5) -> Array:
    """Give precision, recall, density and coverage of samples (m, d) and (n, d)."""
    radius = _radii(reference, neighbours)
    own = _radii(generated, neighbours)
    inside = np.zeros(len(generated), dtype=int)
    covered = np.zeros(len(reference), dtype=bool)
    recalled = np.zeros(len(reference), dtype=bool)
    for start in range(0, len(reference), ROWS):
        rows = slice(start, start + ROWS)
        distance = cdist(reference[rows], generated)
        within = distance <= radius[rows, None]
        inside += within.sum(axis=0)
        covered[rows] = within.any(axis=1)
        recalled[rows] = (distance <= own).any(axis=1)
    return np.array(
        [(inside > 0).mean(), recalled.mean(), inside.mean() / neighbours, covered.mean()]
    )


def _radii(values: Array, neighbours: int) -> Array:
    """Distance of each entry to its k-th nearest neighbour, (n)."""
    found = np.empty(len(values))
    for start in range(0, len(values), ROWS):
        distance = cdist(values[start : start + ROWS], values)
        # The nearest is the entry itself.
        nearest = np.partition(distance, neighbours, axis=1)
        found[start : start + ROWS] = nearest[:, neighbours]
    return found


def same(reference: int, generated: int, neighbours: int = 5) -> float:
    """Give the coverage that is expected of two samples of one distribution, of these sizes.

    An entry is not covered if its k nearest neighbours in both samples are all of its own.
    """
    others = np.arange(reference - 1, reference - 1 - neighbours, -1.0)
    return float(1.0 - np.prod(others / (others + generated)))


def of_subsamples(
    generated: Array,
    reference: Array,
    random: np.random.Generator,
    *,
    neighbours: int = 5,
    size: int = 2000,
    repetitions: int = 5,
    paired: bool = False,
) -> dict[str, tuple[float, float]]:
    """Give each of `NAMES` with the error of its mean over separate subsamples.

    Parameters
    ----------
    generated, reference
        (m, d) and (n, d), already scaled.
    size
        Entries of a subsample at most; results depend on it.
    repetitions
        Number of subsamples; no entry is in two.
    paired
        Whether the i-th entries of both have one energy; see `independent_batches`.

    Raises
    ------
    InputError
        There are not four times `neighbours` entries for each subsample.
    """
    least = min(len(generated), len(reference))
    size = min(size, least // repetitions)
    if size < 4 * neighbours:
        raise InputError(
            f"{repetitions} subsamples with {neighbours} neighbours need "
            f"{4 * neighbours * repetitions} showers or more, not {least}"
        )
    lengths = len(generated), len(reference)
    found = [
        measured(generated[rows], reference[others], neighbours)
        for rows, others in independent(lengths, repetitions, size, paired, random)
    ]
    means = np.mean(found, axis=0)
    errors = np.std(found, axis=0, ddof=1) / np.sqrt(repetitions)
    return {
        name: (float(mean), float(error))
        for name, mean, error in zip(NAMES, means, errors, strict=True)
    }
