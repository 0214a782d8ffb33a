"""Response, resolution and their uncertainties from pairs of a quantity and its reference.

The resolution is the interquartile range over 1.349, which is one standard deviation of a Gaussian
and does not feel the tails. Uncertainties are standard deviations over bootstrap replicas of whole
events (each counts as often as a Poisson number with mean 1 says); all methods share the replicas,
so that ratios of methods have the right, smaller, uncertainty.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.pileup.quantities import Pairs
from fullchain.seeds import stream

Array = NDArray[Any]
Number = list[float]
"""Value and standard deviation."""

GAUSSIAN_IQR = 1.349


def replicas(events: int, number: int, weights: Array, seed: int, *keys: str) -> Array:
    """Give the weights of the events in each replica, (number + 1, events); row 0 is the sample."""
    drawn = stream(seed, *keys).poisson(1.0, (number, events)).astype(np.float64)
    return np.concatenate([np.ones((1, events)), drawn]) * weights


def quantiles(values: Array, weights: Array, shares: tuple[float, ...]) -> Array:
    """Give weighted quantiles for each row of weights.

    Parameters
    ----------
    values
        (n).
    weights
        (rows, n), not negative; a row without weight gives NaN.

    Returns
    -------
    (rows, shares) the smallest value with that share of the weight at or below it.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    cumulated = np.cumsum(weights[:, order], axis=1)
    found = np.full((len(weights), len(shares)), np.nan)
    for row in np.flatnonzero(cumulated[:, -1] > 0):
        at = np.searchsorted(cumulated[row], np.array(shares) * cumulated[row, -1])
        found[row] = ordered[np.minimum(at, len(values) - 1)]
    return found


def number(results: Array) -> Number:
    """Give the value of the sample and the spread of the replicas."""
    return [float(results[0]), float(np.nanstd(results[1:]))]


def known_ratio(above: Array, below: Array) -> Array:
    """Divide; NaN where there is nothing to divide by."""
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)


def response(pairs: Pairs, weights: Array) -> dict[str, Array]:
    """Median of value / reference, and its resolution relative to that median; by replica."""
    low, middle, high = quantiles(
        pairs.value / pairs.reference, weights[:, pairs.event], (0.25, 0.5, 0.75)
    ).T
    return {"response": middle, "resolution": (high - low) / GAUSSIAN_IQR / middle}


def difference(pairs: Pairs, weights: Array) -> dict[str, Array]:
    """Resolution of value - reference in its unit; by replica."""
    low, high = quantiles(pairs.value - pairs.reference, weights[:, pairs.event], (0.25, 0.75)).T
    return {"resolution": (high - low) / GAUSSIAN_IQR}


def agreement(pairs: Pairs, weights: Array) -> dict[str, Array]:
    """Median and interquartile range of the percent error, and Pearson correlation; by replica.

    Range and correlation are those of PUMML (arXiv:1707.08600).
    """
    each = weights[:, pairs.event]
    error = 100.0 * (pairs.value / pairs.reference - 1.0)
    low, middle, high = quantiles(error, each, (0.25, 0.5, 0.75)).T
    total = each.sum(axis=1)
    x, y = pairs.value, pairs.reference
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x, mean_y = each @ x / total, each @ y / total
        covariance = each @ (x * y) / total - mean_x * mean_y
        variance_x = each @ (x * x) / total - mean_x**2
        variance_y = each @ (y * y) / total - mean_y**2
        correlation = covariance / np.sqrt(variance_x * variance_y)
    return {"error_median": middle, "error_iqr": high - low, "correlation": correlation}
