"""How well top jets are told from QCD jets by soft-drop mass and N-subjettiness."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.learning import roc
from fullchain.learning.split import fold
from fullchain.pileup.discrimination_settings import DiscriminantSettings
from fullchain.seeds import derive

Array = NDArray[Any]

NOT_FOUND = -1.0
"""Score of a jet that a method has not found, below all others: it cannot be tagged."""


def areas(score: Array, is_signal: Array, weights: Array) -> Array:
    """Give the area under the ROC curve for each row of weights.

    Parameters
    ----------
    score, is_signal
        (n); a higher score is more like signal, equal ones count one half.
    weights
        (rows, n).

    Returns
    -------
    (rows) NaN where a class has no weight.
    """
    found = np.full(len(weights), np.nan)
    if not is_signal.any() or is_signal.all():
        return found
    rows = roc.Sorted(score, is_signal)
    for row, weight in enumerate(weights):
        if weight[is_signal].sum() > 0 and weight[~is_signal].sum() > 0:
            found[row] = roc.area(rows.curve(weight[rows.order]))
    return found


def crossfitted(
    training: Array,
    applied: Mapping[str, Array],
    is_signal: Array,
    weight: Array,
    identity: Array,
    settings: DiscriminantSettings,
    seed: int,
) -> dict[str, Array] | None:
    """Score jets with boosted trees fitted to other events.

    A hash of its identity puts an event in a part; the jets of a part are scored by trees fitted to
    all other parts. Both classes have the same sum of weights in a fit.

    Parameters
    ----------
    training
        (n, features) what is fitted; a row without any finite number is left out.
    applied
        What is scored, by name (n, features): the same features, and the same jets in the same
        order. NaN is a value that is not known.
    is_signal, weight
        (n).
    identity
        (n, 3) run, luminosity block and number of the event.

    Returns
    -------
    By name (n) the mean over all divisions of the probability of signal, `NOT_FOUND` where no
    feature is finite; None if a fit would have no jet of a class.
    """
    # Here, because the metrics and the figures have no need to wait for scikit-learn.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    usable = np.isfinite(training).any(axis=1) & (weight > 0)
    found = {name: np.zeros(len(weight)) for name in applied}
    for division in range(settings.divisions):
        own_seed = derive(seed, "division", division)
        uniform = fold(identity[:, 0], identity[:, 1], identity[:, 2], own_seed)
        part = (uniform * settings.folds).astype(np.int64)
        for number in range(settings.folds):
            scored, fitted = part == number, usable & (part != number)
            if not scored.any():
                continue
            balanced = _balanced(is_signal[fitted], weight[fitted])
            if balanced is None:
                return None
            trees = HistGradientBoostingClassifier(
                learning_rate=settings.learning_rate,
                max_iter=settings.iterations,
                max_leaf_nodes=settings.max_leaves,
                min_samples_leaf=settings.min_jets_in_leaf,
                max_bins=settings.max_bins,
                l2_regularization=settings.l2,
                early_stopping=False,
                random_state=own_seed,
            )
            # One thread: sums of gradients, and their rounding, depend on the number.
            with threadpool_limits(1, user_api="openmp"):
                trees.fit(training[fitted], is_signal[fitted], sample_weight=balanced)
                for name, features in applied.items():
                    probability = trees.predict_proba(features[scored])[:, 1]
                    found[name][scored] += probability / settings.divisions
    return {
        name: np.where(np.isfinite(applied[name]).any(axis=1), score, NOT_FOUND)
        for name, score in found.items()
    }


def _balanced(is_signal: Array, weight: Array) -> Array | None:
    """Scale the weights of each class to half the number of jets; None if a class has none."""
    sums = weight[is_signal].sum(), weight[~is_signal].sum()
    if min(sums) <= 0:
        return None
    return 0.5 * len(weight) * weight / np.where(is_signal, *sums)
