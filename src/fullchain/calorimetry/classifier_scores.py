"""How well a classifier tells showers apart: AUC, Jensen-Shannon divergence, calibration."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.learning import calibration, roc
from fullchain.learning.bootstrap import event_factors

Array = NDArray[Any]

SCORE_BINS = 20


@dataclass(frozen=True)
class Scores:
    """Probabilities of rows that took no part in training and calibration.

    Parameters
    ----------
    learned, calibrated
        Probability that a shower is a simulated one, (n).
    simulated
        1 for a simulated shower, 0 for a generated one, (n).
    weight
        Of mean one in each kind, (n).
    """

    learned: Array
    calibrated: Array
    simulated: Array
    weight: Array


def auc(probability: Array, simulated: Array, weight: Array) -> float:
    """Area under the curve; 0.5 where nothing is told apart, and less by chance only."""
    return roc.area(roc.roc_curve(probability, simulated, weight))


def divergence(probability: Array, simulated: Array, weight: Array) -> float:
    """Jensen-Shannon divergence in bits, as far as the classifier sees it: 1 - H / ln 2.

    H is the cross-entropy with both kinds counting the same. It is below zero for a classifier that
    is more certain than right.
    """
    kept = np.clip(probability, 1e-12, 1.0 - 1e-12)
    losses = -np.where(simulated > 0, np.log(kept), np.log1p(-kept))
    means = [
        float(np.average(losses[simulated == kind], weights=weight[simulated == kind]))
        for kind in (0, 1)
    ]
    return 1.0 - 0.5 * sum(means) / math.log(2.0)


def judged(scores: Scores, replicas: int, seed: int) -> dict[str, list[float]]:
    """Give AUC and divergence, calibrated and as learned, as [value, error].

    Errors are standard deviations of a bootstrap over the showers.

    Raises
    ------
    InputError
        Too few showers for it.
    """
    ways = {"": scores.calibrated, "_uncalibrated": scores.learned}
    sorted_rows = {
        way: roc.Sorted(values, scores.simulated > 0, scores.weight) for way, values in ways.items()
    }
    found: dict[str, list[float]] = {f"{what}{way}": [] for way in ways for what in ("auc", "jsd")}
    for factor in event_factors(np.arange(len(scores.simulated)), replicas, seed, "classifier"):
        weight = scores.weight * factor
        if any(weight[scores.simulated == kind].sum() <= 0 for kind in (0, 1)):
            continue
        for way, values in ways.items():
            rows = sorted_rows[way]
            found[f"auc{way}"].append(roc.area(rows.curve(factor[rows.order])))
            found[f"jsd{way}"].append(divergence(values, scores.simulated, weight))
    if len(found["auc"]) < 2:
        raise InputError(f"{len(scores.simulated)} test showers are too few for an uncertainty")
    nominal = {}
    for way, values in ways.items():
        nominal[f"auc{way}"] = roc.area(sorted_rows[way].curve())
        nominal[f"jsd{way}"] = divergence(values, scores.simulated, scores.weight)
    return {
        name: [nominal[name], float(np.std(several, ddof=1))] for name, several in found.items()
    }


def averaged(several: list[Mapping[str, list[float]]]) -> dict[str, list[float]]:
    """Average over trainings on the same showers.

    The statistical error, which they share, and the spread of the starts add in quadrature.
    """
    found = {}
    for name in several[0]:
        values = np.array([one[name][0] for one in several])
        statistical = float(np.mean([one[name][1] for one in several]))
        spread = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
        found[name] = [float(values.mean()), math.hypot(statistical, spread)]
    return found


def calibrated(scores: Scores, replicas: int, seed: int) -> dict[str, Any]:
    """Say whether calibrated probabilities are frequencies: curve, and expected error."""
    curve = calibration.reliability(
        scores.calibrated, scores.simulated, scores.weight, bins=10, replicas=replicas, seed=seed
    )
    pair = np.stack([1.0 - scores.calibrated, scores.calibrated], axis=1)
    error = calibration.calibration_error(
        pair,
        scores.simulated.astype(np.intp),
        scores.weight,
        bins=10,
        replicas=replicas,
        seed=seed,
    )
    return {
        "predicted": curve.predicted.tolist(),
        "observed": curve.observed.tolist(),
        "low": curve.low.tolist(),
        "high": curve.high.tolist(),
        "error": [error.error.value, error.error.deviation],
        "error_if_perfect": error.if_perfect,
    }


def distribution(scores: Scores) -> dict[str, Any]:
    """Histogram the probability as learned, for both kinds, each of sum one, with errors."""
    edges = np.linspace(0.0, 1.0, SCORE_BINS + 1)
    found: dict[str, Any] = {"edges": edges.tolist()}
    for name, kind in (("simulated", 1), ("generated", 0)):
        own = scores.simulated == kind
        weight = scores.weight[own]
        counts = np.histogram(scores.learned[own], edges, weights=weight)[0] / weight.sum()
        squares = np.histogram(scores.learned[own], edges, weights=weight**2)[0]
        found[name] = counts.tolist()
        found[f"{name}_error"] = (np.sqrt(squares) / weight.sum()).tolist()
    return found
