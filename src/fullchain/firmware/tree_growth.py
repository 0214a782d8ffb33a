"""Growing boosted trees with scikit-learn, and taking them over as plain numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.forest import LEAF, Forest, Tree
from fullchain.firmware.forest_settings import ForestSettings

Array = NDArray[np.float64]

TAILS = (0.0005, 0.9995)
"""Quantiles of a feature that its range of inputs reaches to; what is beyond saturates."""


def ranges(quantities: Array, names: Sequence[str]) -> tuple[Array, NDArray[np.int64]]:
    """Give shift and exponent of each quantity, so that nearly all values are in [-1, 1).

    Raises
    ------
    InputError
        A quantity is not finite or constant; it is named.
    """
    for number, name in enumerate(names):
        column = quantities[:, number]
        wrong = int((~np.isfinite(column)).sum())
        if wrong:
            raise InputError(
                f"{name} has {wrong} values that are not finite in the training part: mend the "
                "inputs, or leave it out of features"
            )
        if np.ptp(column) == 0:
            raise InputError(
                f"{name} is {column[0]:g} for all of the training part: no tree cuts on it; leave "
                "it out of features"
            )
    low, high = np.quantile(quantities, TAILS, axis=0)
    flat = low == high
    low = np.where(flat, quantities.min(axis=0), low)
    high = np.where(flat, quantities.max(axis=0), high)
    exponent = np.ceil(np.log2(0.5 * (high - low))).astype(np.int64)
    # A multiple of 1/16 of the range, so that subtracting the shift needs few bits.
    grid = np.exp2(exponent.astype(float) - 4)
    return np.round(0.5 * (low + high) / grid) * grid, exponent


def grown(
    inputs: tuple[Array, Array],
    target: tuple[NDArray[np.intp], NDArray[np.intp]],
    weight: tuple[Array, Array],
    settings: ForestSettings,
    seed: int,
) -> tuple[Array, list[tuple[Tree, ...]], dict[str, list[float]]]:
    """Grow trees, and keep those of the rounds up to the lowest validation loss.

    Parameters
    ----------
    inputs, target, weight
        Of training and validation part: (jets, features), (jets) class, (jets).
    settings
        Algorithm, size and number of the trees.
    seed
        Of scikit-learn.

    Returns
    -------
    tuple
        First scores (classes), one tree per class for each round, and the weighted mean cross
        entropy after 0, 1, ... rounds of `train` and `validation`.
    """
    # Friedman, Annals of Statistics 29 (2001) 1189: one tree for each class in each round.
    first, rounds = (
        _histogram(inputs, target, weight, settings, seed)
        if settings.algorithm == "histogram"
        else _exact(inputs, target, weight, settings, seed)
    )
    names = ("train", "validation")
    losses: dict[str, list[float]] = {}
    for name, values, truth, factor in zip(names, inputs, target, weight, strict=True):
        scores = np.tile(first, (len(values), 1))
        losses[name] = [_loss(scores, truth, factor)]
        for trees in rounds:
            for number, tree in enumerate(trees):
                scores[:, number] += tree.evaluate(values)
            losses[name].append(_loss(scores, truth, factor))
    best = max(int(np.argmin(losses["validation"])), 1)
    kept = min(best, _patient(losses["validation"], settings.patience))
    return first, rounds[:kept], losses


def _patient(losses: list[float], patience: int) -> int:
    """Give the round of the lowest loss before `patience` rounds without a lower one."""
    best = 1
    for number, loss in enumerate(losses[1:], start=1):
        if loss < losses[best]:
            best = number
        if number - best >= patience:
            break
    return best


def _histogram(
    inputs: tuple[Array, Array],
    target: tuple[NDArray[np.intp], NDArray[np.intp]],
    weight: tuple[Array, Array],
    settings: ForestSettings,
    seed: int,
) -> tuple[Array, list[tuple[Tree, ...]]]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    booster = HistGradientBoostingClassifier(
        learning_rate=settings.learning_rate,
        max_iter=settings.trees,
        max_depth=settings.depth,
        max_leaf_nodes=None,
        min_samples_leaf=settings.min_jets_in_leaf,
        categorical_features=None,
        early_stopping=True,
        scoring="loss",
        n_iter_no_change=settings.patience,
        tol=0.0,
        random_state=seed,
    )
    # Sums of gradients are split among threads, and their rounding depends on the number.
    with threadpool_limits(1):
        booster.fit(
            inputs[0],
            target[0],
            sample_weight=weight[0],
            X_val=inputs[1],
            y_val=target[1],
            sample_weight_val=weight[1],
        )
    return from_histogram(booster)


def from_histogram(booster: Any) -> tuple[Array, list[tuple[Tree, ...]]]:
    """Take first scores and trees from a fitted HistGradientBoostingClassifier of >= 3 classes."""
    rounds = []
    for predictors in booster._predictors:
        trees = []
        for predictor in predictors:
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(bool)
            trees.append(
                Tree(
                    np.where(leaf, LEAF, nodes["feature_idx"]).astype(np.int64),
                    np.where(leaf, 0.0, nodes["num_threshold"]),
                    np.where(leaf, -1, nodes["left"].astype(np.int64)),
                    np.where(leaf, -1, nodes["right"].astype(np.int64)),
                    np.where(leaf, nodes["value"], 0.0),
                )
            )
        rounds.append(tuple(trees))
    return np.asarray(booster._baseline_prediction, dtype=np.float64).ravel(), rounds


def _exact(
    inputs: tuple[Array, Array],
    target: tuple[NDArray[np.intp], NDArray[np.intp]],
    weight: tuple[Array, Array],
    settings: ForestSettings,
    seed: int,
) -> tuple[Array, list[tuple[Tree, ...]]]:
    from sklearn.ensemble import GradientBoostingClassifier

    booster = GradientBoostingClassifier(
        learning_rate=settings.learning_rate,
        n_estimators=settings.trees,
        max_depth=settings.depth,
        min_samples_leaf=settings.min_jets_in_leaf,
        random_state=seed,
    )
    booster.fit(inputs[0], target[0], sample_weight=weight[0])
    return from_exact(booster)


def from_exact(booster: Any) -> tuple[Array, list[tuple[Tree, ...]]]:
    """Take first scores and trees from a fitted GradientBoostingClassifier of >= 3 classes.

    It cuts on single precision: its scores are those of `Forest.evaluate` for such inputs.
    """
    rounds = []
    for estimators in booster.estimators_:
        trees = []
        for estimator in estimators:
            nodes = estimator.tree_
            leaf = nodes.children_left < 0
            values = nodes.value[:, 0, 0] * booster.learning_rate
            trees.append(
                Tree(
                    np.where(leaf, LEAF, nodes.feature).astype(np.int64),
                    np.where(leaf, 0.0, nodes.threshold),
                    nodes.children_left.astype(np.int64),
                    nodes.children_right.astype(np.int64),
                    np.where(leaf, values, 0.0),
                )
            )
        rounds.append(tuple(trees))
    origin = np.zeros((1, booster.n_features_in_))
    return np.asarray(booster._raw_predict_init(origin)[0], dtype=np.float64), rounds


def _loss(scores: Array, target: NDArray[np.intp], weight: Array) -> float:
    top = scores.max(axis=1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(scores - top).sum(axis=1))
    own = scores[np.arange(len(target)), target]
    return float(((total - own) * weight).sum() / weight.sum())


def forest_of(
    quantities: tuple[Array, Array],
    target: tuple[NDArray[np.intp], NDArray[np.intp]],
    classes: tuple[str, ...],
    settings: ForestSettings,
    seed: int,
) -> tuple[Forest, dict[str, list[float]]]:
    """Grow a forest; all classes have one sum of weights, in training and in validation.

    Parameters
    ----------
    quantities, target
        Of training and validation part: (jets, features) in own units, (jets) number of the class.

    Raises
    ------
    InputError
        Fewer than three classes; as `ranges`.
    """
    if len(classes) < 3:
        raise InputError(
            f"trees for {len(classes)} classes: of two, scikit-learn grows one tree a round; "
            "give firmware.classes three or more"
        )
    shift, exponent = ranges(quantities[0], settings.features)
    empty = Forest(tuple(settings.features), shift, exponent, classes, np.zeros(len(classes)), ())
    inputs = (empty.inputs_of(quantities[0]), empty.inputs_of(quantities[1]))
    weight = tuple(_balanced(one, len(classes)) for one in target)
    first, rounds, losses = grown(inputs, target, (weight[0], weight[1]), settings, seed)
    forest = Forest(empty.names, shift, exponent, classes, first, tuple(rounds))
    forest.check()
    return forest, losses


def _balanced(target: NDArray[np.intp], classes: int) -> Array:
    sizes = np.bincount(target, minlength=classes)
    return np.asarray(len(target) / classes / sizes[target])
