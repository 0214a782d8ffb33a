r"""Separation of two samples: how far apart their histograms are, between 0 and 1.

With histograms h and g that are normalised to one, <S^2> = 1/2 \sum (h - g)^2 / (h + g), the
triangular discrimination (S. Diefenbacher et al., 2009.03796, eq. 15), as the CaloChallenge uses it
(2410.21611). Its public code leaves out what lies outside the bins before it normalises; here
underflow and overflow are two bins more, so that no difference is lost.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def bin_numbers(values: Array, edges: Array) -> Array:
    """Give the bin of each value: 0 below the edges, 1 to bins inside, bins + 1 above.

    A value at the last edge belongs to the last bin, as in `numpy.histogram`.
    """
    found = np.searchsorted(edges, values, side="right")
    found[values == edges[-1]] = len(edges) - 1
    return np.asarray(found)


def counts(values: Array, edges: Array) -> Array:
    """Count values in bins, with underflow first and overflow last, (bins + 2)."""
    return np.bincount(bin_numbers(values, edges), minlength=len(edges) + 1)


def separation(first: Array, second: Array, edges: Array) -> float:
    """Give the separation of two samples in the bins of `edges`, and beside them.

    Examples
    --------
    >>> separation(np.array([0.2, 0.7]), np.array([0.2, 9.0]), np.array([0.0, 0.5, 1.0]))
    0.5
    """
    return float(of_counts(counts(first, edges), counts(second, edges)))


def of_counts(first: Array, second: Array) -> Array:
    """Give the separation of histograms, (..., bins) -> (...)."""
    h = first / first.sum(axis=-1, keepdims=True)
    g = second / second.sum(axis=-1, keepdims=True)
    both = h + g
    return np.asarray(
        0.5 * np.divide((h - g) ** 2, both, out=np.zeros_like(both), where=both > 0).sum(axis=-1)
    )


def expected(first: Array, second: Array) -> float:
    """Give the separation that two samples of one distribution have because they are finite.

    The mean over all ways to divide the entries of both samples into two of these sizes, exact for
    equal sizes.

    Parameters
    ----------
    first, second
        Entries in bins, (bins).
    """
    together = first + second
    n, m = float(first.sum()), float(second.sum())
    total = n + m
    filled = together[together > 0]
    if total <= 1:
        return 0.0
    return float(0.25 * total / (n * m) * (total - filled).sum() / (total - 1.0))


def expected_of_pairs(first: Array, second: Array, bins: int) -> float:
    """Give what `expected` is for samples whose i-th entries belong together, as by one energy.

    The mean over all exchanges of the two entries of pairs, exact.

    Parameters
    ----------
    first, second
        Bin numbers of the entries, (n) each.
    """
    filled = np.bincount(first, minlength=bins) + np.bincount(second, minlength=bins)
    same = np.bincount(first[first == second], minlength=bins)
    differing = filled - 2 * same
    return float(0.5 / len(first) * (differing[filled > 0] / filled[filled > 0]).sum())


def expected_of_spectra(first: Array, second: Array, paired: bool) -> float:
    """Give what is expected where each shower has a histogram of its own, as of its voxels.

    Entries of one shower belong together, so that showers are exchanged and not entries.

    Parameters
    ----------
    first, second
        Entries of showers in bins, (n, bins) and (m, bins), with equal sums of rows.
    paired
        Whether the i-th showers belong together.
    """
    n, m = len(first), len(second)
    inside = float(first[0].sum())
    h, g = first.mean(axis=0) / inside, second.mean(axis=0) / inside
    if paired:
        # In single precision, which holds these whole numbers.
        difference = first.astype(np.float32) - second
        variance = (difference.astype(np.float32) ** 2).sum(axis=0, dtype=float) / (n * inside) ** 2
    else:
        spread = first.var(axis=0) * n + second.var(axis=0) * m
        variance = spread / (n + m) / inside**2 * (1.0 / n + 1.0 / m)
    filled = h + g > 0
    return float(0.5 * (variance[filled] / (h + g)[filled]).sum())


class Resampled:
    """Bootstrap samples of a number of showers, the same for all that is counted of them.

    Parameters
    ----------
    number
        Of showers.
    bootstraps
        Of bootstrap samples.
    """

    def __init__(self, number: int, bootstraps: int, random: np.random.Generator) -> None:
        self.weights = np.empty((bootstraps, number), dtype=np.float32)
        for row in self.weights:
            row[:] = np.bincount(random.integers(number, size=number), minlength=number)

    def counts(self, numbers: Array, bins: int) -> Array:
        """Histograms of bin numbers (n) in each bootstrap sample, (bootstraps, bins)."""
        return np.stack([np.bincount(numbers, weights=row, minlength=bins) for row in self.weights])

    def means(self, values: Array) -> Array:
        """Means of values (n, ...) in each bootstrap sample, (bootstraps, ...)."""
        number = self.weights.sum(axis=1).reshape(-1, *(1 for _ in values.shape[1:]))
        return np.asarray(np.tensordot(self.weights, values, axes=1) / number)

    def select(self, chosen: Array) -> "Resampled":
        """Give the samples of some of the showers, which fluctuate in number then."""
        part = object.__new__(Resampled)
        part.weights = self.weights[:, chosen]
        return part
