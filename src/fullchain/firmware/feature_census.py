"""Distributions of features of jets by class: histograms, means, medians, widths with errors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.learning.bootstrap import event_factors

Array = NDArray[Any]

BINS = 40
TAIL = 0.005
"""Part of all jets that lies below, and above, the bins."""


def edges(values: Array) -> NDArray[np.float64]:
    """Give edges of bins that hold all values but the tails; whole numbers have whole bins.

    `values` (jets) are those of all classes together; at least one jet.
    """
    low, high = np.quantile(values, [TAIL, 1.0 - TAIL])
    if (values == np.round(values)).all():
        step = max(1.0, np.ceil((high - low + 1.0) / BINS))
        return np.asarray(np.arange(np.floor(low) - 0.5, np.ceil(high) + step, step))
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def histogram(values: Array, bins: NDArray[np.float64]) -> dict[str, Any]:
    """Count values in bins, and those below and above all."""
    counts, _ = np.histogram(values, bins)
    below, above = int((values < bins[0]).sum()), int((values > bins[-1]).sum())
    return {"counts": counts.tolist(), "below": below, "above": above}


def quantiles(values: Array, weights: Array, parts: Sequence[float]) -> NDArray[np.float64]:
    """Give, for each row of weights, the smallest values with these parts of it at or below.

    Parameters
    ----------
    values
        (jets).
    weights
        (replicas, jets), never negative.
    parts
        Between 0 and 1.

    Returns
    -------
        (replicas, parts); of all values where the weights of a row are all zero.
    """
    order = np.argsort(values, kind="stable")
    drawn = np.where(weights.sum(axis=1, keepdims=True) > 0, weights, 1)[:, order]
    cumulated = np.cumsum(drawn, axis=1)
    found = [np.searchsorted(row, np.asarray(parts) * row[-1]) for row in cumulated]
    return np.asarray(values[order][np.minimum(found, len(values) - 1)])


def summary(values: Array, replicas: Array) -> dict[str, list[float]]:
    """Give mean, median and width of the core (half of 16 % to 84 %), each with its error.

    `replicas` (replicas, jets) says how often a jet counts in each bootstrap replica.
    """
    every = np.concatenate([np.ones((1, len(values))), replicas])
    low, median, high = quantiles(values, every, (0.16, 0.5, 0.84)).T
    width = 0.5 * (high - low)
    total = every.sum(axis=1)
    mean = every @ values / np.where(total > 0, total, 1.0)
    return {
        "mean": [float(mean[0]), float(mean[1:][total[1:] > 0].std(ddof=1))],
        "median": [float(median[0]), float(median[1:].std(ddof=1))],
        "width": [float(width[0]), float(width[1:].std(ddof=1))],
    }


def census(
    features: Mapping[str, Array],
    target: NDArray[np.intp],
    classes: Sequence[str],
    event: NDArray[np.intp],
    replicas: int,
    seed: int,
) -> dict[str, Any]:
    """Describe features class by class.

    Parameters
    ----------
    features
        By name, each (jets).
    target
        (jets) number of the class, -1 for none.
    classes
        Names; each must have a jet.
    event
        (jets) number of the event of each jet, from 0.
    replicas, seed
        Of the bootstrap over events; all features and classes have the same replicas.

    Returns
    -------
        Plain values, `classes` (jets of each), and by feature `edges` and by class `histogram`,
        `mean`, `median`, `width`, the last three each with its standard deviation.
    """
    chosen = [target == number for number in range(len(classes))]
    factors = np.stack(list(event_factors(event, replicas, seed)))
    drawn = [factors[:, one] for one in chosen]
    content: dict[str, Any] = {
        "classes": {
            name: {"jets": int(one.sum()), "events": len(np.unique(event[one]))}
            for name, one in zip(classes, chosen, strict=True)
        },
        "replicas": replicas,
        "features": {},
    }
    for name, values in features.items():
        bins = edges(values[target >= 0])
        content["features"][name] = {
            "edges": bins.tolist(),
            "classes": {
                label: {
                    "histogram": histogram(values[one], bins),
                    **summary(values[one], counted),
                }
                for label, one, counted in zip(classes, chosen, drawn, strict=True)
            },
        }
    return content
