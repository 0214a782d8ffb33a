"""The trainings of hep-ml behind `boosting`, and their trees as a module of torch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.decorrelation.method_settings import BoostingSettings
from fullchain.errors import InputError
from fullchain.progress import progress
from fullchain.seeds import derive
from fullchain.tagging.trees import TreeEnsemble, rounded_down

Array = NDArray[Any]

JETS_IN_A_BIN = 5
"""Background jets in a bin of the flatness loss, at least: as of the penalty of moments."""

NEIGHBOURHOODS = 5
"""Background jets over neighbours, at least: else a local efficiency is almost that of all."""

NodeValues = tuple[Any, Array]
"""A tree of scikit-learn, and what each of its nodes adds to the score of signal, (nodes,)."""


@dataclass(frozen=True)
class Rows:
    """Jets of positive weight.

    Parameters
    ----------
    features
        (jets, features) float32, without NaN.
    signal
        1 for signal, 0 for background, as hep-ml has it; (jets,).
    weight
        (jets,).
    ranks
        Ranks of the variables over background in [0, 1], (jets, columns).
    """

    features: Array
    signal: Array
    weight: Array
    ranks: Array


@dataclass(frozen=True)
class Size:
    """Number of trees, of uBoost for each efficiency, and factor on each."""

    trees: int
    rate: float


Stages = Callable[[Rows], Iterator[Array]]
"""Gives log-odds of signal, or what is like them, after each round."""


def _check(rows: Rows, wanted: Mapping[int, int], need: str) -> None:
    """Raise InputError where background (0) or signal (1) has fewer jets than `wanted`."""
    background, signal = (int(number) for number in np.bincount(rows.signal, minlength=2))
    if any((background, signal)[one] < least for one, least in wanted.items()):
        raise InputError(
            f"{background} background and {signal} signal jets of positive weight are there to "
            f"train on, and {need}, make more events, or widen the selection of the tagger"
        )


def flatness(
    rows: Rows,
    settings: BoostingSettings,
    strength: float,
    size: Size,
    seed: int,
    description: str,
) -> tuple[TreeEnsemble, Stages]:
    """Minimise exponential and flatness loss by gradient boosting.

    Raises InputError where bins have too few background jets.
    """
    wanted = JETS_IN_A_BIN * settings.bins
    _check(
        rows,
        {0: wanted},
        f"the flatness loss needs {wanted}, {JETS_IN_A_BIN} for each of its {settings.bins} bins: "
        "lower method.bins",
    )
    # Here, because whoever only applies trees has no need to wait for hep-ml.
    import pandas  # type: ignore[import-untyped]
    from hep_ml.gradientboosting import BinFlatnessLossFunction, UGradientBoostingClassifier

    count, columns = rows.features.shape[1], rows.ranks.shape[1]
    uniform = [f"rank{number}" for number in range(columns)]
    trained = [f"feature{number}" for number in range(count)]

    class Reporting(BinFlatnessLossFunction):
        """The loss, which is asked for its value once in each round."""

        def __call__(self, pred: Array) -> float:
            advance(1)
            return float(super().__call__(pred))

    loss = Reporting(
        uniform,
        uniform_label=0,
        n_bins=settings.bins,
        power=settings.power,
        fl_coefficient=strength,
    )
    booster = UGradientBoostingClassifier(
        loss=loss,
        n_estimators=size.trees,
        learning_rate=size.rate,
        subsample=settings.subsample,
        min_samples_leaf=settings.min_jets_in_leaf,
        max_depth=settings.max_depth,
        train_features=trained,
        random_state=derive(seed, "trees"),
    )
    table = pandas.DataFrame(
        np.concatenate([rows.features, rows.ranks], axis=1, dtype=np.float64),
        columns=[*trained, *uniform],
    )
    with progress(description, size.trees, "trees") as advance:
        booster.fit(table, rows.signal, sample_weight=rows.weight)
    fitted = [(tree.tree_, size.rate * values) for tree, values in booster.estimators]

    def stages(jets: Rows) -> Iterator[Array]:
        return _summed(fitted, float(booster.initial_step), jets.features)

    return ensemble([fitted], [float(booster.initial_step)], count), stages


def uboost(
    rows: Rows,
    settings: BoostingSettings,
    strength: float,
    size: Size,
    seed: int,
    description: str,
) -> tuple[TreeEnsemble, Stages]:
    """Boost for each of several efficiencies.

    Raises InputError where a class has fewer jets than neighbours are looked at, or background so
    few that the neighbours of a jet are a large part of it.
    """
    from hep_ml.commonutils import compute_knn_indices_of_same_class
    from hep_ml.uboost import uBoostBDT
    from sklearn.tree import DecisionTreeClassifier

    wanted = NEIGHBOURHOODS * settings.neighbours
    _check(
        rows,
        {0: wanted, 1: settings.neighbours},
        f"uBoost needs {wanted} of background and {settings.neighbours} of signal, for it looks at "
        f"the {settings.neighbours} nearest of a class: lower method.neighbours",
    )
    base = DecisionTreeClassifier(
        max_depth=settings.max_depth, min_samples_leaf=settings.min_jets_in_leaf
    )
    near = compute_knn_indices_of_same_class(rows.ranks, rows.signal, settings.neighbours)
    # As hep-ml's own uBoostClassifier, which passes on neither uniforming nor learning rate.
    width = settings.width or 10.0 / settings.efficiencies
    targets = np.linspace(0.0, 1.0, settings.efficiencies + 2)[1:-1]
    if settings.spacing == "quadratic":
        targets = targets**2
    fitted, cuts = [], []
    with progress(description, settings.efficiencies, "efficiencies") as advance:
        for number, efficiency in enumerate(targets):
            booster = uBoostBDT(
                uniform_features=None,
                uniform_label=0,
                target_efficiency=float(efficiency),
                n_neighbors=settings.neighbours,
                subsample=settings.subsample,
                base_estimator=base,
                n_estimators=size.trees,
                learning_rate=size.rate,
                uniforming_rate=strength,
                smoothing=width,
                random_state=derive(seed, "efficiency", number),
            )
            booster.fit(
                rows.features, rows.signal, sample_weight=rows.weight, neighbours_matrix=near
            )
            fitted.append(
                [
                    (one.tree_, factor * _votes(one))
                    for one, factor in zip(
                        booster.estimators_, booster.estimator_weights_, strict=True
                    )
                ]
            )
            cuts.append([float(cut) for cut in booster.score_cuts_])
            advance(1)

    def stages(jets: Rows) -> Iterator[Array]:
        sums = [_summed(one, 0.0, jets.features) for one in fitted]
        for stage, scores in enumerate(zip(*sums, strict=True)):
            steps = [
                torch.sigmoid(torch.from_numpy((score - own[stage]) / width)).numpy()
                for score, own in zip(scores, cuts, strict=True)
            ]
            signal = np.clip(np.mean(steps, axis=0), 1e-12, 1.0 - 1e-12)
            yield np.log(signal) - np.log1p(-signal)

    return ensemble(fitted, [-own[-1] for own in cuts], rows.features.shape[1], width), stages


def _votes(classifier: Any) -> Array:
    """What each node of a tree of AdaBoost says: 1 for signal, -1 for background."""
    chosen = classifier.classes_[classifier.tree_.value[:, 0].argmax(axis=1)]
    return np.asarray(2.0 * chosen - 1.0)


def _summed(fitted: Sequence[NodeValues], start: float, features: Array) -> Iterator[Array]:
    total = np.full(len(features), start)
    for tree, values in fitted:
        total = total + values[tree.apply(features)]
        yield total


def ensemble(
    fitted: Sequence[Sequence[NodeValues]],
    start: Sequence[float],
    features: int,
    width: float | None = None,
) -> TreeEnsemble:
    """Give trees of scikit-learn as a module whose class 0 is the signal.

    Parameters
    ----------
    fitted
        For each classifier (one, or one for each efficiency): its trees, each with what its nodes
        add to the score of signal, (nodes,).
    start
        What the score of each classifier begins with.
    features
        Number of features.
    width
        Width of the steps that scores become before their mean is taken; None for one classifier.
    """
    nodes: dict[str, list[Array]] = {"feature": [], "threshold": [], "branches": [], "value": []}
    roots, begin = [], 0
    for trees in zip(*fitted, strict=True):
        for tree, values in trees:
            own = np.arange(tree.node_count)
            leaf = tree.children_left < 0
            nodes["feature"].append(np.where(leaf, 0, tree.feature))
            nodes["threshold"].append(rounded_down(np.where(leaf, 0.0, tree.threshold)))
            branches = np.stack((tree.children_left, tree.children_right), axis=1)
            nodes["branches"].append(begin + np.where(leaf[:, None], own[:, None], branches))
            # The log-odds of the module are those of class 1, the background.
            nodes["value"].append(np.where(leaf, -values, 0.0))
            roots.append(begin)
            begin += tree.node_count
    table = {name: np.concatenate(arrays) for name, arrays in nodes.items()}
    state = {
        "feature": table["feature"].astype(np.int64),
        "threshold": table["threshold"],
        "branches": table["branches"].astype(np.int64),
        "missing_right": np.zeros(begin, dtype=bool),
        "value": table["value"].astype(np.float64),
        "roots": np.array(roots).reshape(-1, len(fitted)),
        "baseline": -np.array(start, dtype=np.float64),
    }
    if width is not None:
        state["width"] = np.array(width)
    result = TreeEnsemble(features, 2)
    result.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    return result.eval()
