"""Maximum mean discrepancy of two samples with a polynomial kernel, without bias.

With the kernel (x . y / d + 1)^4 on physical features it is the KPD of R. Kansal et al.,
2211.10295; it may be negative, and is zero on average for samples of one distribution.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.independent_batches import independent
from fullchain.errors import InputError

Array = NDArray[Any]

POWER = 4

ROWS = 1024
"""Rows of a matrix of kernels that are held at a time."""


def squared(first: Array, second: Array) -> float:
    """Give the unbiased squared discrepancy of samples (n, d) and (m, d)."""
    n, m = len(first), len(second)
    within = _summed(first, first) - _kernel((first**2).sum(axis=1), first.shape[1]).sum()
    other = _summed(second, second) - _kernel((second**2).sum(axis=1), first.shape[1]).sum()
    between = _summed(first, second)
    return float(within / (n * (n - 1)) + other / (m * (m - 1)) - 2.0 * between / (n * m))


def _kernel(products: Array, dimension: int) -> Array:
    return np.asarray((products / dimension + 1.0) ** POWER)


def _summed(first: Array, second: Array) -> float:
    d = first.shape[1]
    return float(
        sum(
            _kernel(first[start : start + ROWS] @ second.T, d).sum()
            for start in range(0, len(first), ROWS)
        )
    )


def null_deviation(first: Array, second: Array) -> float:
    """Give the standard deviation that `squared` has for samples of one distribution.

    With the kernel h of pairs of pairs, h = k(x, x') + k(y, y') - k(x, y') - k(x', y), the variance
    is 2 <h^2> / (n (n - 1)) where the distributions are equal (A. Gretton et al., J. Mach. Learn.
    Res. 13 (2012) 723). Its distribution is skewed: few samples often are all too low, and near.

    Parameters
    ----------
    first, second
        (n, d) each.
    """
    n, d = first.shape
    total = 0.0
    for start in range(0, n, ROWS):
        rows = slice(start, start + ROWS)
        x, y = first[rows], second[rows]
        same = _kernel(x @ first.T, d) + _kernel(y @ second.T, d)
        h = same - _kernel(x @ second.T, d) - _kernel(y @ first.T, d)
        own = np.arange(len(x))
        h[own, start + own] = 0.0
        total += float((h**2).sum())
    return float(np.sqrt(2.0 * total) / (n * (n - 1)))


def of_batches(
    first: Array,
    second: Array,
    random: np.random.Generator,
    *,
    batches: int = 10,
    size: int = 5000,
    paired: bool = False,
) -> tuple[float, float, list[float]]:
    """Give mean, error of the mean, and the discrepancy of each of separate batches.

    The error is that of the spread of the batches, or that by `null_deviation` where it is larger.

    Parameters
    ----------
    first, second
        (n, d) and (m, d), already scaled.
    batches
        Number of batches; no entry is in two, so that their spread gives the error.
    size
        Entries of a batch at most.
    paired
        Whether the i-th entries of both have one energy; see `independent_batches`.

    Raises
    ------
    InputError
        There are fewer than ten entries for each batch.
    """
    least = min(len(first), len(second))
    size = min(size, least // batches)
    if size < 10:
        raise InputError(f"{batches} batches need {10 * batches} showers or more, not {least}")
    drawn = list(independent((len(first), len(second)), batches, size, paired, random))
    found = [squared(first[rows], second[others]) for rows, others in drawn]
    rows, others = drawn[0]
    deviation = max(float(np.std(found, ddof=1)), null_deviation(first[rows], second[others]))
    return float(np.mean(found)), deviation / float(np.sqrt(batches)), found
