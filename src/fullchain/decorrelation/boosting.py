"""Boosted trees whose background efficiency is uniform in the mass: flatness loss and uBoost.

The training is that of the library hep-ml; what comes out is written as tensors, like the trees of
the stage tagging, and saved and applied without it.

* flatness: gradient boosting (Rogozhnikov et al. 1410.4140) of the exponential loss plus a multiple
  of the difference between the distribution of the score of background in bins of the mass, and
  over all masses.
* uboost: AdaBoost (Stevens and Williams 1305.7248) that lowers the weight of background where less
  than its share passes a cut and raises it where more does; a classifier for each of several cuts,
  and the score is the mean of what they say, as smooth steps.

Variables enter as their ranks over background: bins of equal width in a rank have equal occupancy,
and nearest neighbours do not depend on units. hep-ml counts jets, and not weights, in the local
efficiencies of uBoost; everything else is weighted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.decorrelation import uniform_trees
from fullchain.decorrelation.conditions import Conditions
from fullchain.decorrelation.method_settings import BoostingSettings
from fullchain.decorrelation.uniform_trees import Rows, Size
from fullchain.errors import InputError
from fullchain.learning.standardise import weighted_quantiles
from fullchain.learning.training import History
from fullchain.tagging.trees import TreeEnsemble

Array = NDArray[Any]

MISSING = np.float32(-1e30)
"""What stands for an observable that a jet has not: below all others, so left of any cut."""

DEFAULTS = {"flatness": (200, 0.1), "uboost": (30, 1.0)}
"""Number of trees and learning rate where the settings have none."""

GRID = np.linspace(0.01, 0.99, 99)
"""Quantiles of the score at which distributions are compared for the history."""


def fit(
    features: Array,
    target: Array,
    weight: Array,
    against: Array,
    settings: BoostingSettings,
    strength: float,
    *,
    seed: int,
    names: Sequence[str] = (),
    observables: Sequence[str] = (),
    validation: tuple[Array, Array, Array, Array] | None = None,
    description: str = "boosting",
) -> tuple[TreeEnsemble, dict[str, Any]]:
    """Boost trees, and give them as a module.

    Parameters
    ----------
    features
        (jets, features) float32; NaN where a feature does not exist.
    target
        (jets,) 0 for signal, 1 for background.
    weight
        (jets,); a jet of zero or negative weight is left out.
    against
        Variables that background is made uniform in, (jets, columns).
    settings, strength
        Size of the trees; factor on the flatness loss, or uniforming rate of uBoost.
    seed
        Of the choice of jets for each tree.
    names
        Names of the variables, for messages.
    observables
        Names of the features, for messages.
    validation
        Features, target, weight and variables of jets that are looked at after each round; no
        round is chosen by them.

    Returns
    -------
    ensemble, record
        The trees, and the terms after each round: "loss" (exponential loss, of uBoost the cross
        entropy) and "flatness" (mean over bins and quantiles of the difference of distributions, to
        the given power).

    Raises
    ------
    InputError
        More than two classes or one without jets, a feature or variable that is infinite, a
        constant variable, weights of zero sum, or fewer jets of a class than neighbours.
    """
    names = names or [f"variable {number}" for number in range(against.shape[1])]
    observables = observables or [f"feature {number}" for number in range(features.shape[1])]
    conditions = _conditions(target, weight, against, names)
    _check_finite("training", features, observables)
    rows = _rows(features, target, weight, against, conditions)
    parts = {"train": rows}
    if validation is not None:
        _check_finite("validation", validation[0], observables)
        parts["validation"] = _rows(*validation, conditions)
    trees, rate = DEFAULTS[settings.loss]
    size = Size(settings.trees or trees, settings.learning_rate or rate)
    train = uniform_trees.flatness if settings.loss == "flatness" else uniform_trees.uboost
    boosted, stages = train(rows, settings, strength, size, seed, description)
    terms = {
        part: [_terms(one, jets, settings) for one in stages(jets)] for part, jets in parts.items()
    }
    history = History(
        train=terms["train"],
        validation=terms.get("validation", []),
        learning_rate=[size.rate] * size.trees,
        best_epoch=size.trees - 1,
        best_loss=terms.get("validation", terms["train"])[-1]["loss"],
    )
    return boosted, history.as_dict()


def _conditions(target: Array, weight: Array, against: Array, names: Sequence[str]) -> Conditions:
    classes = np.unique(target)
    if not np.isin(classes, (0, 1)).all():
        raise InputError(
            f"boosting to uniformity tells two classes apart, and the tagger has "
            f"{int(target.max()) + 1}; take one of two classes"
        )
    for number, name in enumerate(("signal", "background")):
        rows = target == number
        if not rows.any():
            raise InputError(f"no {name} jets to boost with; widen the selection or make more")
        if not np.clip(weight[rows], 0.0, None).sum() > 0:
            raise InputError(
                f"the weights of the {int(rows.sum())} {name} jets sum to zero; look at the column "
                "weight of the jets"
            )
    background = (target == 1) & (weight > 0)
    return Conditions.measured(against[background].astype(float), weight[background], names)


def _check_finite(part: str, features: Array, observables: Sequence[str]) -> None:
    infinite = np.argwhere(np.isinf(features))
    if len(infinite):
        jet, index = infinite[0]
        raise InputError(
            f"{observables[index]} of {part} jet {jet} is infinite ({len(infinite)} such values); "
            "make the jets again"
        )


def _rows(
    features: Array,
    target: Array,
    weight: Array,
    against: Array,
    conditions: Conditions,
) -> Rows:
    kept = weight > 0
    known = np.where(np.isnan(features), MISSING, features).astype(np.float32)
    ranks = conditions.ranks(against)
    return Rows(
        known[kept], (target[kept] == 0).astype(int), weight[kept].astype(float), ranks[kept]
    )


def _terms(score: Array, jets: Rows, settings: BoostingSettings) -> dict[str, float]:
    """Terms of one round on some jets; the loss has classes of equal weight, as hep-ml's."""
    signs = 2.0 * jets.signal - 1.0
    each = np.bincount(jets.signal, weights=jets.weight, minlength=2)
    weight = jets.weight / each[jets.signal] / 2.0
    margin = -signs * score
    loss = (
        np.exp(np.minimum(margin, 50.0)) if settings.loss == "flatness" else np.logaddexp(0, margin)
    )
    background = jets.signal == 0
    return {
        "loss": float(weight @ loss),
        "flatness": _difference(
            score[background],
            jets.weight[background],
            jets.ranks[background],
            settings.bins,
            settings.power,
        ),
    }


def _difference(score: Array, weight: Array, ranks: Array, bins: int, power: float) -> float:
    """Mean of |F_bin - F|^power over bins of each variable and quantiles of the score."""
    points = weighted_quantiles(score, weight, GRID)
    order = np.argsort(score, kind="stable")
    place = np.searchsorted(score[order], points, side="right")
    found = []
    for column in ranks.T:
        number = np.clip((column * bins).astype(int), 0, bins - 1)[order]
        weights = np.zeros((len(score) + 1, bins))
        weights[np.arange(1, len(score) + 1), number] = weight[order]
        cumulative = np.cumsum(weights, axis=0)
        total = cumulative[-1]
        filled = total > 0
        own = cumulative[place][:, filled] / total[filled]
        everything = cumulative[place].sum(axis=1, keepdims=True) / total.sum()
        found.append(np.average(np.abs(own - everything) ** power, axis=1, weights=total[filled]))
    return float(np.mean(found))
