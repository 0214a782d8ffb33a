"""Which background jets a flow is fitted to, and which of them say when to stop.

Where the tagger has folds, the flow of a fold is fitted to all background of the other folds: each
score there is of a training that did not see its jet.

With one fold, scores of jets that the tagger was trained on may be lower than those of other
background. A flow that is fitted to them maps to too large quantiles, perhaps more so at one mass
than at another. On the other hand there are more of them than of others. So they are taken unless a
two-sample Kolmogorov-Smirnov test tells their scores from those of the validation part: a
difference that it does not see is smaller than the error of a flow fitted to the validation part
alone.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import kstwobign

from fullchain.errors import InputError
from fullchain.learning import split
from fullchain.seeds import derive
from fullchain.tagging import members
from fullchain.tagging.scored_jets import ScoredJets

Array = npt.NDArray[np.float64]

LEVEL = 0.05
"""Probability below which scores of the two parts are taken to differ."""

SMALLEST = {"fit": 30, "stop": 10}
"""Background jets of positive weight that a flow is fitted to, and that stop it, at least.

Thirty jets know a quantile to a tenth even where it does not depend on the mass; that is enough to
try a configuration, and far from enough for a measurement.
"""

STOPPING = 0.25
"""Part of the events of the validation part that says when to stop, where it trains the flow."""


@dataclass(frozen=True)
class FlowJets:
    """Background jets for a fit.

    Parameters
    ----------
    rows
        Their positions in the jets that were given, (rows,).
    validation
        Those that say when to stop, (rows,).
    record
        What was taken, and what the test said, for the history.
    """

    rows: npt.NDArray[np.intp]
    validation: npt.NDArray[np.bool_]
    record: dict[str, float | int | str | None]


def choose(
    jets: ScoredJets,
    scores: Array,
    fitted_to: Literal["tested", "both", "validation"],
    seed: int,
    folds: int = 1,
    fold: int = 0,
) -> FlowJets:
    """Choose the background jets for a fit.

    Parameters
    ----------
    jets
        Jets of all classes and parts. With one fold the test part is left out, else all jets of the
        events in `fold`; the validation part of the others says when to stop.
    scores
        Scores of the jets, (jets,).
    fitted_to
        Setting of the flow.
    seed
        Of the division of the validation part, by events.
    folds, fold
        Number of folds of the tagger, and the one that the flow will transform.

    Raises
    ------
    InputError
        There is too little background in the window, or it has no weight.
    """
    background = jets.target > 0
    columns = jets.columns
    part = members.parts_without(columns["split"], columns["fold"], folds, fold)
    weight = np.clip(columns["weight"], 0.0, None)
    train = background & (part == split.TRAIN)
    validation = background & (part == split.VALIDATION)
    if not (train | validation).any():
        raise InputError(
            f"of {len(jets)} jets in the window none is background of the training or the "
            "validation part: widen the selection of the tagger, or make more events"
        )
    if not validation.any():
        raise InputError(
            f"{int(train.sum())} background jets in the window are of the training part and none "
            "of the validation part: make more events, or change tagging.split"
        )
    if not weight[validation].sum() > 0:
        raise InputError(
            f"the weights of the {int(validation.sum())} background jets of the validation part "
            "sum to zero; look at the column weight of the jets"
        )
    enough = bool(weight[train].sum() > 0)
    probability = None
    # Of folds there is nothing to test: no score is of a training that saw its jet.
    if enough and folds == 1:
        probability = same_probability(
            scores[train], weight[train], scores[validation], weight[validation]
        )
    alike = probability is None or probability >= LEVEL
    both = enough and (fitted_to == "both" or (fitted_to == "tested" and alike))
    if both:
        rows = np.flatnonzero(train | validation)
        stopping = validation[rows]
    else:
        rows = np.flatnonzero(validation)
        stopping = _part_of_events(jets, rows, seed)
    numbers = {"fit": ~stopping & (weight[rows] > 0), "stop": stopping & (weight[rows] > 0)}
    if any(int(numbers[name].sum()) < least for name, least in SMALLEST.items()):
        other = ", or set fitted_to to both" if enough and not both else ""
        raise InputError(
            f"there are {int(numbers['fit'].sum())} background jets of positive weight to fit a "
            f"flow to and {int(numbers['stop'].sum())} to stop it by, and at least "
            f"{SMALLEST['fit']} and {SMALLEST['stop']} are needed: make more events, or widen the "
            f"selection of the tagger{other}"
        )
    return FlowJets(
        rows,
        stopping,
        {
            "fitted_to": "both" if both else "validation",
            "same_probability": probability,
            "training": int((~stopping).sum()),
            "stopping": int(stopping.sum()),
        },
    )


def same_probability(
    first: Array, first_weight: Array, second: Array, second_weight: Array
) -> float:
    """Probability of scores as different as these for two samples of one distribution.

    The Kolmogorov-Smirnov test in its limit of large samples, with the effective numbers
    (sum w)^2 / sum w^2 of weighted ones. With many equal scores it is too large.

    Examples
    --------
    >>> one = np.ones(100)
    >>> x = np.linspace(0, 1, 100)
    >>> round(same_probability(x, one, x, one), 2), same_probability(x, one, x + 0.5, one) < 1e-8
    (1.0, True)
    """
    values = np.concatenate([first, second])
    order = np.argsort(values, kind="stable")
    signed = np.concatenate(
        [first_weight / first_weight.sum(), -second_weight / second_weight.sum()]
    )
    difference = np.cumsum(signed[order])
    # Equal scores belong together: only behind the last of them the distributions are compared.
    last = np.append(np.diff(values[order]) > 0, True)
    distance = float(np.abs(difference[last]).max())
    numbers = [_effective(first_weight), _effective(second_weight)]
    root = float(np.sqrt(numbers[0] * numbers[1] / (numbers[0] + numbers[1])))
    return float(kstwobign.sf(root * distance))


def _effective(weight: Array) -> float:
    return float(weight.sum() ** 2 / np.square(weight).sum())


def _part_of_events(
    jets: ScoredJets, rows: npt.NDArray[np.intp], seed: int
) -> npt.NDArray[np.bool_]:
    """Choose a part of the events by a hash that is not that of the parts."""
    names = ("run", "luminosityBlock", "event")
    run, block, event = (jets.columns[name][rows] for name in names)
    return np.asarray(split.fold(run, block, event, derive(seed, "stopping")) < STOPPING)
