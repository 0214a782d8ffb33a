"""One class against others: from the probabilities of a tagger to a receiver curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning import roc
from fullchain.learning.bootstrap import event_factors
from fullchain.tagging.evaluation_settings import EvaluationSettings
from fullchain.tagging.performance import Sample, receiver
from fullchain.tagging.scored_jets import ScoredJets

Array = npt.NDArray[np.float64]


def discriminant(probabilities: Array, signal: int, background: Sequence[int]) -> Array:
    """Probability of the signal if it was as frequent as all background classes together.

    `probabilities` has shape (..., classes), the answer (...). With p_s the probability of the
    signal, and p_b the mean of those of the background classes, it is p_s / (p_s + p_b): the
    likelihood ratio of the signal and an equal mixture of the others, in another form. Of two
    classes it is the score.
    """
    own = probabilities[..., signal]
    others = probabilities[..., list(background)].mean(axis=-1)
    total = own + others
    # Where the tagger thinks of neither, it does not say which.
    return np.divide(own, total, out=np.full(own.shape, 0.5), where=total > 0)


def score_of(discriminant: float, classes: int) -> float:
    """Probability of the signal among all classes, from the discriminant against all others.

    Examples
    --------
    >>> score_of(0.5, 2), score_of(0.5, 5)
    (0.5, 0.2)
    """
    others = (classes - 1) * (1.0 - discriminant)
    return discriminant / (discriminant + others)


def balanced(
    weight: Array, target: npt.NDArray[np.intp], classes: Sequence[int], names: Sequence[str]
) -> Array:
    """Weights under which the given classes have equal sums, with the same mean over them.

    Raises InputError where a class has no jets, or its weights do not sum to a positive number.
    """
    result = np.asarray(weight, dtype=float).copy()
    goal = result[np.isin(target, classes)].sum() / len(classes)
    for number in classes:
        mine = target == number
        if not mine.any():
            raise InputError(
                f"there are no {names[number]} jets in one part of the events: make more events, "
                "widen the selection, or change tagging.split"
            )
        total = result[mine].sum()
        # Not "<= 0": a sum that is no number is no better.
        if not (total > 0 and goal > 0):
            raise InputError(
                f"the weights of the {names[number]} jets in one part of the events sum to "
                f"{total:g}, not to a positive number: look at the column weight "
                "of the jets, make more events, or widen the selection"
            )
        if len(classes) > 1:
            result[mine] *= goal / total
    return result


def sample(
    jets: ScoredJets,
    signal: int,
    background: Sequence[int],
    names: Sequence[str],
    *,
    seed: int | None = None,
) -> Sample:
    """Jets of the signal and of background classes with their discriminant.

    Several background classes have equal weight. `seed` takes the probabilities of one training.
    """
    balanced(jets.columns["weight"], jets.target, [signal], names)
    weight = balanced(jets.columns["weight"], jets.target, background, names)
    chosen = np.isin(jets.target, [signal, *background])
    probabilities = jets.probabilities if seed is None else jets.single[seed]
    return Sample(
        discriminant(probabilities[chosen], signal, background),
        jets.target[chosen] == signal,
        weight[chosen],
        roc.event_numbers(jets.event[chosen]),
    )


def compare(
    jets: ScoredJets,
    signal: int,
    background: Sequence[int],
    names: Sequence[str],
    how: EvaluationSettings,
    seed: int,
) -> dict[str, Any]:
    """Measure one class against others: receiver curve, and its spread over seeds, for JSON."""
    points = how.working_points
    found = receiver(
        sample(jets, signal, background, names),
        cut=0.5,
        working_points=points,
        replicas=how.replicas,
        seed=seed,
    )
    singles = [
        _single(sample(jets, signal, background, names, seed=number), points)
        for number in range(len(jets.single))
    ]
    return {
        "signal": names[signal],
        "background": [names[number] for number in background],
        **found,
        "seeds": _spread(singles, points) if singles else None,
    }


def _single(jets: Sample, points: Sequence[float]) -> dict[str, float]:
    curve = roc.roc_curve(jets.score, jets.is_signal, jets.weight)
    values = {"auc": roc.area(curve), "accuracy": roc.accuracy(curve, 0.5)}
    for point in points:
        passing = float(roc.background_efficiency(curve, point))
        values[f"{point}"] = 1.0 / passing if passing > 0 else np.nan
    return values


def _spread(singles: Sequence[dict[str, float]], points: Sequence[float]) -> dict[str, Any]:
    """Mean and standard deviation over trainings; None where a rejection is not measured."""

    def over(name: str) -> dict[str, float | None]:
        values = np.array([one[name] for one in singles])
        if not np.isfinite(values).all():
            return {"mean": None, "deviation": None}
        return {"mean": float(values.mean()), "deviation": float(values.std(ddof=1))}

    return {
        "number": len(singles),
        "auc": over("auc"),
        "accuracy": over("accuracy"),
        "working_points": [
            {"signal_efficiency": point, "rejection": over(f"{point}")} for point in points
        ],
    }


def class_accuracy(
    jets: ScoredJets, names: Sequence[str], replicas: int, seed: int
) -> dict[str, Any]:
    """Part of jets whose class is the most probable one, all classes counting the same.

    With the matrix of the parts of each class (rows) that each class is given to (columns).
    """
    classes = len(names)
    weight = balanced(jets.columns["weight"], jets.target, range(classes), names)
    guess = jets.probabilities.argmax(axis=1)
    cell = jets.target * classes + guess

    def matrix(factor: npt.NDArray[Any] | float) -> Array:
        content = np.bincount(cell, weight * factor, classes**2).reshape(classes, classes)
        sums = content.sum(axis=1, keepdims=True)
        return np.divide(content, sums, out=np.full_like(content, np.nan), where=sums > 0)

    draws = [
        np.diag(matrix(factor)).mean()
        for factor in event_factors(jets.event, replicas, seed, "classes")
    ]
    nominal = matrix(1.0)
    return {
        "accuracy": {
            "value": float(np.diag(nominal).mean()),
            "deviation": float(np.nanstd(draws, ddof=1)),
        },
        "matrix": nominal.tolist(),
    }


def fixed_cut(
    jets: Sample, threshold: float, replicas: int, seed: int
) -> dict[str, dict[str, float]]:
    """Area, and efficiencies of a cut that is given, with their bootstrap deviations."""
    rows = roc.Sorted(jets.score, jets.is_signal, jets.weight)
    passing = jets.score >= threshold

    def efficiencies(factor: npt.NDArray[Any] | float) -> list[float]:
        weight = jets.weight * factor
        return [
            float(weight[side & passing].sum() / weight[side].sum())
            for side in (jets.is_signal, ~jets.is_signal)
        ]

    draws = []
    for factor in event_factors(jets.event, replicas, seed):
        try:
            area = roc.area(rows.curve(factor[rows.order]))
        except ValueError:
            continue
        draws.append([area, *efficiencies(factor)])
    values = [roc.area(rows.curve()), *efficiencies(1.0)]
    spread = np.std(np.array(draws), axis=0, ddof=1)
    names = ("auc", "signal_efficiency", "background_efficiency")
    return {
        name: {"value": value, "deviation": float(deviation)}
        for name, value, deviation in zip(names, values, spread, strict=True)
    }


def difference(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """`one` less `other`, which are of independent jets."""
    return {
        "value": one["value"] - other["value"],
        "deviation": float(np.hypot(one["deviation"], other["deviation"])),
    }
