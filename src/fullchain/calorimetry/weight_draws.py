"""Uncertainty of generated distributions: their spread over draws of the weights of a model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fullchain.calorimetry import feature_bins, separation
from fullchain.calorimetry.features import kind_of
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_sums import Features
from fullchain.errors import InputError


def spread(
    draws: Sequence[Features], test: Features, geometry: Geometry, threshold: float
) -> dict[str, Any]:
    """Compare histograms of showers that were generated with different weights.

    Parameters
    ----------
    draws
        Features of the showers of each draw, as many showers in each.
    test
        Of the full simulation.

    Returns
    -------
    For each feature mean and standard deviation of the entries of a bin, scaled to the number of
    the test showers, with underflow and overflow; the part of the deviation that showers of one
    model have by their finite number, sqrt of the entries, is in it. `calibration`: for each kind
    of feature the root mean square of (mean - test) / sqrt(spread^2 + test) over the bins with ten
    entries or more, close to one where the uncertainty is right.

    Raises
    ------
    InputError
        There is one draw only.
    """
    if len(draws) < 2:
        raise InputError("draws of weights: two files or more are needed to give a spread")
    histograms: dict[str, Any] = {}
    pulls: dict[str, list[Any]] = {}
    for name, values in test.values.items():
        edges = feature_bins.edges(name, values, geometry, threshold)
        scaled = np.stack(
            [separation.counts(one.values[name], edges) * (len(test) / len(one)) for one in draws]
        )
        mean, width = scaled.mean(axis=0), scaled.std(axis=0, ddof=1)
        histograms[name] = {"mean": mean.tolist(), "spread": width.tolist()}
        counts = separation.counts(values, edges)
        filled = counts >= 10
        pull = (mean - counts)[filled] / np.sqrt(width**2 + counts)[filled]
        pulls.setdefault(kind_of(name), []).append(pull)
    return {
        "number": len(draws),
        "histograms": histograms,
        "calibration": {
            kind: float(np.sqrt(np.mean(np.concatenate(some) ** 2)))
            for kind, some in pulls.items()
            if sum(map(len, some))
        },
    }
