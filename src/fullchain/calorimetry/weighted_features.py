"""Distributions of features of generated showers with weights, beside those of simulated ones.

Bins and separations are those of the evaluation, see `feature_bins` and `separation`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.separation import bin_numbers, of_counts
from fullchain.learning.bootstrap import event_factors

Array = NDArray[Any]


def histogram(numbers: Array, weight: Array, bins: int) -> tuple[Array, Array]:
    """Give contents (bins) of sum one of weighted bin numbers (n), and their variances."""
    total = weight.sum()
    contents = np.bincount(numbers, weight, minlength=bins) / total
    return contents, np.bincount(numbers, weight**2, minlength=bins) / total**2


def by_chance(first: tuple[Array, Array], second: tuple[Array, Array]) -> float:
    """Separation that histograms (contents, variances) of one distribution have on average."""
    both = first[0] + second[0]
    filled = both > 0
    # The deviations of a histogram sum to zero, which takes a part 1 / (filled bins) of them.
    degrees = 1.0 - 1.0 / max(int(filled.sum()), 1)
    return float(0.5 * degrees * ((first[1] + second[1])[filled] / both[filled]).sum())


def compared(
    simulated: Array,
    generated: Array,
    weight: Array,
    edges: Array,
    replicas: int,
    seed: int,
) -> dict[str, Any]:
    """Compare one feature before and after weighting.

    Parameters
    ----------
    simulated, generated
        Values, (n) and (m).
    weight
        Of generated showers, (m).
    edges
        Of the bins.
    replicas, seed
        Of the bootstrap over showers; weights are taken as they are.

    Returns
    -------
    Edges; contents with errors, underflow first and overflow last; separations as [value,
    bootstrap error], and as chance alone would give them.
    """
    bins = len(edges) + 1
    numbers = [bin_numbers(values, edges) for values in (simulated, generated)]
    ones = np.ones(len(simulated))
    ways = {"before": np.ones(len(generated)), "after": weight}
    first = histogram(numbers[0], ones, bins)
    draws: dict[str, list[float]] = {name: [] for name in ways}
    for factor in event_factors(np.arange(len(simulated) + len(generated)), replicas, seed):
        of_simulated = np.bincount(numbers[0], factor[: len(simulated)], minlength=bins)
        for name, way in ways.items():
            drawn = np.bincount(numbers[1], way * factor[len(simulated) :], minlength=bins)
            draws[name].append(float(of_counts(of_simulated, drawn)))
    found: dict[str, Any] = {"edges": edges.tolist(), "simulated": _saved(first)}
    for name, way in ways.items():
        second = histogram(numbers[1], way, bins)
        found[name] = _saved(second)
        found[f"separation_{name}"] = [
            float(of_counts(first[0], second[0])),
            float(np.std(draws[name], ddof=1)),
        ]
        found[f"by_chance_{name}"] = by_chance(first, second)
    return found


def _saved(made: tuple[Array, Array]) -> dict[str, list[float]]:
    return {"contents": made[0].tolist(), "errors": np.sqrt(made[1]).tolist()}
