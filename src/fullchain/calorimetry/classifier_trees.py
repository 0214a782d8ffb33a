"""Boosted trees beside the networks: a second pair of eyes for what showers tell.

With some ten thousand showers a dense network hardly learns from hundreds of voxels, and an area of
one half then says nothing about the showers. Histogram-based gradient boosting (scikit-learn) finds
occupancies, single voxels and features that are wrong from few showers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.classifier_scores import (
    Scores,
    averaged,
    calibrated,
    distribution,
    judged,
)
from fullchain.calorimetry.classifier_settings import ClassifierSettings
from fullchain.calorimetry.classifier_training import Isotonic, Rows
from fullchain.seeds import derive

Array = NDArray[Any]

ITERATIONS = 400
BINS = 63
"""Of each input: more take twice the time and see no more."""

PATIENCE = 10
"""Iterations without a better loss on a tenth of the training rows, after which boosting ends."""


def log_odds(training: Rows, settings: ClassifierSettings, seed: int) -> Callable[[Array], Array]:
    """Boost trees on rows; give the function of rows (n, inputs) to log-odds (n)."""
    from threadpoolctl import threadpool_limits

    trees = _boosted(training, settings, seed)

    def of(values: Array) -> Array:
        with threadpool_limits(settings.training.threads):
            return np.asarray(trees.decision_function(values), dtype=float)

    return of


def _boosted(training: Rows, settings: ClassifierSettings, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    trees = HistGradientBoostingClassifier(
        max_iter=ITERATIONS,
        max_bins=BINS,
        early_stopping=True,
        n_iter_no_change=PATIENCE,
        random_state=seed,
    )
    with threadpool_limits(settings.training.threads):
        return trees.fit(training.values, training.simulated, sample_weight=training.weight)


def judge_by_trees(
    rows: Rows, some: tuple[Array, Array, Array], settings: ClassifierSettings, seed: int
) -> dict[str, Any]:
    """Train on the first of three parts, calibrate on the second, judge on the last.

    Gives numbers of the same form as `classifier_judgement.judge`.
    """
    from threadpoolctl import threadpool_limits

    training, validation, test = (rows.select(chosen) for chosen in some)
    several, iterations, shown = [], [], None
    for start in range(settings.seeds):
        trees = _boosted(training, settings, derive(seed, "trees", start))
        with threadpool_limits(settings.training.threads):
            learned = [
                np.asarray(trees.predict_proba(part.values)[:, 1]) for part in (validation, test)
            ]
        calibration = Isotonic.fitted(learned[0], validation.simulated, validation.weight)
        scores = Scores(learned[1], calibration(learned[1]), test.simulated, test.weight)
        several.append(judged(scores, settings.replicas, derive(seed, "bootstrap")))
        iterations.append(int(trees.n_iter_))
        shown = shown or scores
    assert shown is not None
    return {
        **averaged(list(several)),
        "starts": [{name: value for name, (value, _) in one.items()} for one in several],
        "inputs": rows.values.shape[1],
        "iterations": iterations,
        "calibration": calibrated(shown, settings.replicas, derive(seed, "calibration")),
        "scores": distribution(shown),
    }
