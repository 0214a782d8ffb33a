"""What tells whether weights of an unfolding can be trusted."""

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from fullchain.learning.standardise import measure
from fullchain.unfolding.sample import Array, Problem

NEIGHBOUR_QUANTILE = 0.99
"""Of the distances between simulated events; what lies farther away is far."""


def effective_sample_size(weights: Array) -> Array:
    """Number of events of equal weight with the same precision: (sum w)^2 / sum w^2, of (..., n).

    Examples
    --------
    >>> float(effective_sample_size(np.array([1.0, 1.0, 0.0])))
    2.0
    """
    result: Array = weights.sum(axis=-1) ** 2 / (weights**2).sum(axis=-1)
    return result


def drift(weights: Array, before: Array) -> Array:
    """Give the sum of absolute changes over the sum of weights, (..., n) to (...)."""
    result: Array = np.abs(weights - before).sum(axis=-1) / weights.sum(axis=-1)
    return result


def outside_support(problem: Problem) -> dict[str, float]:
    """Give fractions of the (weighted) data where the simulation can say nothing.

    Simulated are events of the simulation that pass the detector level, and of the background;
    those of weight zero do not count.

    Returns
    -------
    dict
        `range`: outside of the range of the simulation in one observable or more. `range_<name>`:
        in this one. `far`: farther from the nearest simulated event, in standardised observables,
        than all but 1 % of the simulated events are from theirs; 0.01 is expected of data like
        the simulation.
    """
    data, simulation = problem.data, problem.simulation
    used = simulation.reco.passed & (simulation.weight > 0)
    simulated, weight = simulation.reco.values[used], simulation.weight[used]
    if problem.background is not None:
        simulated = np.concatenate([simulated, problem.background.values])
        weight = np.concatenate([weight, problem.background.weight])
    beyond = (data.values < simulated.min(axis=0)) | (data.values > simulated.max(axis=0))
    found = {"range": _fraction(beyond.any(axis=1), data.weight)}
    for number, name in enumerate(data.names):
        found[f"range_{name}"] = _fraction(beyond[:, number], data.weight)
    found["far"] = _fraction(_far(data.values, simulated, weight), data.weight)
    return found


def _far(values: Array, simulated: Array, weight: Array) -> npt.NDArray[np.bool_]:
    if len(simulated) < 2:
        return np.ones(len(values), dtype=bool)
    scale = measure(simulated, weight)
    known = (simulated - scale.subtract) * scale.multiply
    tree = cKDTree(known)
    # The nearest one of a simulated event is itself.
    usual = np.quantile(tree.query(known, k=2)[0][:, 1], NEIGHBOUR_QUANTILE)
    distance = tree.query((values - scale.subtract) * scale.multiply)[0]
    far: npt.NDArray[np.bool_] = distance > usual
    return far


def _fraction(chosen: npt.NDArray[np.bool_], weight: Array) -> float:
    return float(weight[chosen].sum() / weight.sum())
