"""What is measured of the uncertainties that a Bayesian tagger gives."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.learning.bootstrap import event_factors
from fullchain.learning.calibration import calibration_error
from fullchain.tagging import comparisons, posterior_columns, pulls
from fullchain.tagging.evaluation_settings import EvaluationSettings
from fullchain.tagging.performance import Sample, calibration, score_histogram
from fullchain.tagging.scored_jets import ScoredJets

Array = npt.NDArray[np.float64]

PULL_EDGES = np.linspace(-5.0, 5.0, 41)


def measure(
    jets: ScoredJets,
    weight: Array,
    names: Sequence[str],
    seeds: int,
    how: EvaluationSettings,
    seed: int,
) -> dict[str, Any]:
    """Distributions, arc, pulls and calibration, for JSON.

    Parameters
    ----------
    jets
        Jets of the test part, with the columns of `posterior_columns.extra_columns`.
    weight
        Their weights of training, under which a score is a probability, (jets,).
    names
        Names of the classes, the signal first.
    seeds
        Number of seeds of the tagger.
    how, seed
        Bins and replicas, and the seed of the bootstrap.
    """
    score = jets.probabilities[:, 0]
    sigma, single = posterior_columns.deviations(jets.columns, seeds)
    resample = _Bootstrap(jets.event, how.replicas, seed)
    found = {
        "sigma": _distributions(sigma, jets.target, weight, names, how.score_bins, resample),
        "arc": _arc(score, sigma, weight, how.calibration_bins, resample),
        "logit_width": resample(lambda weights: _logit_width(score, sigma, weights), weight)[0],
        "at_mean": _at_mean(jets, weight, names, how, seed),
        "pulls": None,
    }
    if seeds > 1:
        values = pulls.against_the_others(jets.single[:, :, 0], single)
        found["pulls"] = pulls.summary(
            values, weight, jets.event, edges=PULL_EDGES, replicas=how.replicas, seed=seed
        )
    return found


class _Bootstrap:
    """Values of a function of weights, with their standard deviations over replicas of events."""

    def __init__(self, event: npt.NDArray[np.intp], replicas: int, seed: int) -> None:
        found = event_factors(event, replicas, seed, "sigma")
        self.factors = [factor.astype(np.uint8) for factor in found]

    def __call__(
        self, function: Callable[[Array], npt.ArrayLike], weight: Array
    ) -> list[dict[str, float]]:
        """Give an entry for each value of the function."""
        draws = [np.atleast_1d(function(weight * factor)) for factor in self.factors]
        with warnings.catch_warnings():
            # A bin that is empty in all replicas has no deviation.
            warnings.simplefilter("ignore", RuntimeWarning)
            deviations = np.nanstd(draws, axis=0, ddof=1)
        return [
            {"value": float(value), "deviation": float(deviation)}
            for value, deviation in zip(np.atleast_1d(function(weight)), deviations, strict=True)
        ]


def _distributions(
    sigma: Array,
    target: npt.NDArray[np.intp],
    weight: Array,
    names: Sequence[str],
    bins: int,
    resample: _Bootstrap,
) -> dict[str, Any]:
    """Histogram of the uncertainty for each class, and its mean."""
    highest = float(sigma.max()) or 1.0
    means = resample(lambda weights: _means(sigma, target, weights, len(names)), weight)
    found: dict[str, Any] = {"edges": np.linspace(0.0, highest, bins + 1).tolist()}
    for number, name in enumerate(names):
        mine = target == number
        content = score_histogram(sigma[mine] / highest, weight[mine], bins)
        found[name] = {**content, "mean": means[number]}
    return found


def _arc(
    score: Array, sigma: Array, weight: Array, bins: int, resample: _Bootstrap
) -> dict[str, Any]:
    """Uncertainty in bins of the score: mean with its deviation, and central 68 % of the jets.

    Bins with fewer than two jets are None.
    """
    index = np.minimum((score * bins).astype(np.intp), bins - 1)
    scores = _means(score, index, weight, bins)
    means = resample(lambda weights: _means(sigma, index, weights, bins), weight)
    rows: list[dict[str, Any] | None] = []
    for number in range(bins):
        mine = sigma[index == number]
        # A lone event is absent from a third of the replicas, and says the same in the others.
        if len(mine) < 2 or not np.isfinite([scores[number], *means[number].values()]).all():
            rows.append(None)
            continue
        low, high = np.quantile(mine, [0.16, 0.84])
        rows.append(
            {
                "score": float(scores[number]),
                "sigma": means[number],
                "low": float(low),
                "high": float(high),
                "jets": len(mine),
            }
        )
    return {"edges": np.linspace(0.0, 1.0, bins + 1).tolist(), "bins": rows}


def _logit_width(score: Array, sigma: Array, weight: Array) -> float:
    r"""Factor k of the arc \sigma = k p (1 - p) that fits best.

    It is the width of the logit, if that was small and the same for all jets: a change dz of the
    logit changes the probability by p (1 - p) dz.
    """
    arc = score * (1 - score)
    total = (weight * arc**2).sum()
    return float((weight * arc * sigma).sum() / total) if total > 0 else np.nan


def _at_mean(
    jets: ScoredJets, weight: Array, names: Sequence[str], how: EvaluationSettings, seed: int
) -> dict[str, Any]:
    """Calibration at the means of the weights, as a network without distributions has it."""
    chances = posterior_columns.at_mean(jets.columns, names)
    score = comparisons.discriminant(chances, 0, range(1, len(names)))
    sample = Sample(score, jets.target == 0, weight, jets.event)
    found = calibration_error(
        chances,
        jets.target,
        weight,
        jets.event,
        bins=how.calibration_bins,
        replicas=how.replicas,
        seed=seed,
    )
    return {
        "calibration": calibration(sample, how.calibration_bins, how.replicas, seed),
        "expected_calibration_error": {
            "value": found.error.value,
            "deviation": found.error.deviation,
            "if_perfect": found.if_perfect,
        },
    }


def _means(values: Array, group: npt.NDArray[np.intp], weight: Array, groups: int) -> Array:
    """Weighted mean of the values in each group; NaN where weights do not sum to something."""
    total = np.bincount(group, weight, groups)
    sums = np.bincount(group, weight * values, groups)
    return np.divide(sums, total, out=np.full(groups, np.nan), where=total > 0)
