"""Numbers of a model: float, each quantised point and every emulation of it, on the same jets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.evaluation_settings import EvaluationSettings
from fullchain.firmware.performance import (
    Judged,
    Truth,
    confusion,
    judge_anomalies,
    judge_classes,
    log_odds,
    mistags,
    ties,
)
from fullchain.firmware.stimuli import Stimuli, comparison
from fullchain.firmware.trigger_scores import Score, scores_of
from fullchain.learning.roc import event_numbers

Array = NDArray[np.float64]

BACKGROUND = "background"
"""Name of the background of anomaly scores among the classes of a truth."""


@dataclass(frozen=True)
class Emulated:
    """A quantised point: its vectors, and what emulations made of them.

    Parameters
    ----------
    vectors
        Test vectors, those of jets first, with the outputs of the quantised model.
    emulations
        (vectors, outputs) by name of the emulation.
    """

    vectors: Stimuli
    emulations: Mapping[str, Array]


@dataclass(frozen=True)
class Jets:
    """Which of the jets are judged, and as what.

    `kept` are indices of jets, and `truth` is of those.
    """

    kept: NDArray[np.intp]
    truth: Truth

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of jets of each class."""
        numbers = np.bincount(self.truth.target, minlength=len(self.truth.classes))
        return dict(zip(self.truth.classes, numbers.tolist(), strict=True))


def events(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.intp]:
    """Number the events of jets from the columns of stimuli, (jets)."""
    return event_numbers(*(columns[name] for name in ("sample", "run", "luminosityBlock", "event")))


def class_jets(columns: Mapping[str, NDArray[Any]], classes: tuple[str, ...]) -> Jets:
    """Take the jets that have a class."""
    kept = np.flatnonzero(columns["target"] >= 0)
    truth = Truth(columns["target"][kept].astype(np.intp), events(columns)[kept], classes)
    return Jets(kept, truth)


def anomaly_jets(
    columns: Mapping[str, NDArray[Any]],
    samples: tuple[str, ...],
    classes: tuple[str, ...],
    settings: EvaluationSettings,
) -> Jets:
    """Take background jets and those of signals: classes, and samples that have no class.

    Raises
    ------
    InputError
        A background is no class, or a signal is neither class nor sample.
    """
    target, sample = columns["target"], columns["sample"]
    unknown = [name for name in settings.background if name not in classes]
    if unknown:
        raise InputError(
            f"firmware.evaluation.background: {', '.join(unknown)} is no class; there are "
            f"{', '.join(classes)}"
        )
    free = [
        name for number, name in enumerate(samples) if not (target[sample == number] >= 0).any()
    ]
    possible = [name for name in classes if name not in settings.background] + free
    signals = possible if settings.signals is None else list(settings.signals)
    wrong = [name for name in signals if name not in possible]
    if wrong or not signals:
        raise InputError(
            f"firmware.evaluation.signals: {', '.join(wrong) or 'nothing'} cannot be a signal; "
            f"there are {', '.join(possible)}"
        )
    found = np.full(len(target), -1, dtype=np.intp)
    found[np.isin(target, [classes.index(name) for name in settings.background])] = 0
    for number, name in enumerate(signals, start=1):
        chosen = sample == samples.index(name) if name in free else target == classes.index(name)
        found[chosen] = number
    kept = np.flatnonzero(found >= 0)
    return Jets(kept, Truth(found[kept], events(columns)[kept], (BACKGROUND, *signals)))


def judged_model(
    float_scores: Array,
    points: Mapping[str, Emulated],
    jets: Jets,
    score: Score,
    settings: EvaluationSettings,
    seed: int,
) -> dict[str, Any]:
    """Give all numbers of a model, for JSON.

    Parameters
    ----------
    float_scores
        (jets, classes) logits or (jets, 1) anomaly scores, of all jets of the vectors.
    points
        By name.
    jets
        Which jets are judged.
    score
        `classes` for logits, else what the anomaly score is made of.
    settings
        Efficiencies, replicas, grid.
    seed
        Of the bootstrap: one for all models, so that their numbers are paired too.

    Raises
    ------
    InputError
        As `judge_classes`; an emulation left out jets.
    """
    judge, describe = _methods(jets.truth, score, settings, seed)
    reference = judge(float_scores[jets.kept])
    content: dict[str, Any] = {
        "jets": jets.counts,
        "events": len(np.unique(jets.truth.event)),
        "float": {"numbers": reference.measured(), **describe(float_scores[jets.kept])},
        "points": {},
    }
    for name, point in points.items():
        scores = _judged_scores(point.vectors.outputs, point.vectors, jets, score)
        quantised = judge(scores)
        content["points"][name] = {
            "quantised": {
                "numbers": quantised.measured(),
                "minus_float": quantised.minus(reference),
                **describe(scores),
            },
            "emulations": {
                emulation: _emulation(
                    outputs, f"{emulation} of {name}", point.vectors, quantised, jets, score, judge
                )
                for emulation, outputs in point.emulations.items()
            },
        }
    return content


def _judged_scores(outputs: Array, vectors: Stimuli, jets: Jets, score: Score) -> Array:
    return scores_of(outputs[: vectors.jets], vectors.inputs[: vectors.jets], score)[jets.kept]


def _methods(
    truth: Truth, score: Score, settings: EvaluationSettings, seed: int
) -> tuple[Callable[[Array], Judged], Callable[[Array], dict[str, Any]]]:
    """Give how scores of this truth are judged, and what else is said of them."""
    grid = np.linspace(0.0, 1.0, settings.grid + 1)[1:]
    common = (settings.efficiencies, settings.bootstraps, seed)
    if score != "classes":

        def judge(scores: Array) -> Judged:
            return judge_anomalies(scores[:, 0], truth, *common)

        def describe(scores: Array) -> dict[str, Any]:
            curves = {}
            for number, name in enumerate(truth.classes[1:], start=1):
                some = (truth.target == 0) | (truth.target == number)
                curves[name] = mistags(
                    scores[some, 0], truth.target[some] == number, np.ones(some.sum()), grid
                ).tolist()
            return {"roc": {"signal": grid.tolist(), "background": curves}}

        return judge, describe

    def judge_all(scores: Array) -> Judged:
        return judge_classes(scores, truth, *common)

    def describe_all(scores: Array) -> dict[str, Any]:
        numbers, parts, errors = confusion(scores, truth, settings.bootstraps, seed)
        odds, weight = log_odds(scores), truth.balanced(np.ones(len(scores)))
        curves = {
            name: mistags(odds[:, number], truth.target == number, weight, grid).tolist()
            for number, name in enumerate(truth.classes)
        }
        return {
            "ties": ties(scores),
            "confusion": {
                "jets": numbers.tolist(),
                "parts": parts.tolist(),
                "errors": errors.tolist(),
            },
            "roc": {"signal": grid.tolist(), "background": curves},
        }

    return judge_all, describe_all


def _emulation(
    outputs: Array,
    name: str,
    vectors: Stimuli,
    quantised: Judged,
    jets: Jets,
    score: Score,
    judge: Callable[[Array], Judged],
) -> dict[str, Any]:
    number = len(outputs)
    if number < vectors.jets or number > len(vectors.outputs):
        raise InputError(
            f"{name}: outputs of {number} vectors, not of the {len(vectors.outputs)} of the test "
            f"({vectors.jets} of them jets); emulate again"
        )
    compared = comparison(vectors.outputs[:number], outputs, vectors.origin[:number])
    if compared["by_origin"]["jets"]["mismatches"] == 0:
        # The same scores have the same numbers: the differences are 0 without an error.
        judged = quantised
    else:
        judged = judge(_judged_scores(outputs, vectors, jets, score))
    return {
        **compared,
        "equal": compared["mismatches"] == 0,
        "numbers": judged.measured(),
        "minus_quantised": judged.minus(quantised),
    }
