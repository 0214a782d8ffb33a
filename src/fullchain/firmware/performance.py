"""How well scores tell classes of jets apart, with uncertainties that know what is shared.

All implementations of one network see the same jets, so their numbers rise and fall together. Every
implementation is therefore judged with the same replicas of the bootstrap over events, and the
error of a difference is that of the difference in each replica.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.learning import roc
from fullchain.learning.bootstrap import event_factors

Array = NDArray[np.float64]
Pair = list[float | None]
"""A number with its standard deviation; None where the jets do not fix one."""


@dataclass(frozen=True)
class Truth:
    """What is known of jets whose scores are judged.

    Parameters
    ----------
    target
        (jets) number of the class in `classes`; none is negative.
    event
        (jets) number of the event, from 0.
    classes
        Names of the classes.
    """

    target: NDArray[np.intp]
    event: NDArray[np.intp]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that each class has jets.

        Raises
        ------
        InputError
            One has none.
        """
        for name, number in zip(self.classes, self._sizes(np.ones(len(self.target))), strict=True):
            if number == 0:
                raise InputError(
                    f"no jets of class {name} to judge: make more events, or drop the class from "
                    "firmware.classes"
                )

    def factors(self, replicas: int, seed: int) -> Iterator[Array]:
        """Give the factors of jets, (jets), first all one, then those of each replica.

        Replicas in which a class has no jets are left out: they say nothing.

        Raises
        ------
        InputError
            Fewer than two replicas have jets of all classes.
        """
        yield np.ones(len(self.target))
        kept = 0
        for factor in event_factors(self.event, replicas, seed):
            if self._sizes(factor).min() > 0:
                kept += 1
                yield factor
        if kept < 2:
            raise InputError(
                f"of {replicas} replicas of the bootstrap {kept} have jets of all classes: too "
                "few events for an uncertainty; make more"
            )

    def balanced(self, factor: Array) -> Array:
        """Scale factors of jets such that each class sums to 1."""
        return np.asarray(factor / self._sizes(factor)[self.target])

    def _sizes(self, factor: Array) -> Array:
        return np.bincount(self.target, weights=factor, minlength=len(self.classes)).astype(float)


@dataclass(frozen=True)
class Judged:
    """Numbers of one implementation.

    Parameters
    ----------
    names
        Names of the numbers, dotted.
    values
        (numbers) those of the jets; NaN where the jets do not fix one.
    replicas
        (replicas, numbers) those of each replica.
    """

    names: tuple[str, ...]
    values: Array
    replicas: Array

    def measured(self) -> dict[str, Pair]:
        """Give each number with the standard deviation of its replicas."""
        return _pairs(self.names, self.values, self.replicas)

    def minus(self, reference: "Judged") -> dict[str, Pair]:
        """Give differences from a reference, with the deviations of the paired differences."""
        return _pairs(
            self.names, self.values - reference.values, self.replicas - reference.replicas
        )


def _pairs(names: Sequence[str], values: Array, replicas: Array) -> dict[str, Pair]:
    errors = replicas.std(axis=0, ddof=1)
    return {
        name: [float(value), float(error)] if np.isfinite(value + error) else [None, None]
        for name, value, error in zip(names, values, errors, strict=True)
    }


def log_odds(scores: Array) -> Array:
    """Give the score of each class against the rest, (jets, classes), of logits of that shape.

    It is the logarithm of p / (1 - p), p being the softmax: it rises with p and, unlike p, does not
    run into 1, where different jets would seem equal.
    """
    found = np.empty_like(scores, dtype=np.float64)
    for number in range(scores.shape[1]):
        others = np.delete(scores, number, axis=1)
        top = others.max(axis=1)
        total = np.log(np.exp(others - top[:, None]).sum(axis=1)) + top
        found[:, number] = scores[:, number] - total
    return found


def ties(scores: Array) -> int:
    """Count jets whose highest score two or more classes share; the first of them is chosen."""
    return int(((scores == scores.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())


def judge_classes(
    scores: Array, truth: Truth, efficiencies: Sequence[float], replicas: int, seed: int
) -> Judged:
    """Judge scores of several classes.

    Numbers: `accuracy` of the jets as they are and `balanced_accuracy`, in which each class counts
    the same (the mean of `recall.CLASS`); `auc.CLASS` and `rejection.CLASS.EFFICIENCY` (the inverse
    background efficiency at a signal efficiency) of a class against an even mixture of all others,
    and `auc.macro`, the mean over classes. The uncertainty of a rejection is propagated from that
    of the background efficiency.

    Parameters
    ----------
    scores
        (jets, classes) logits.
    truth
        Classes and events of the jets.
    efficiencies
        Signal efficiencies of the rejections.
    replicas, seed
        Replicas of the bootstrap over events.

    Raises
    ------
    InputError
        As `Truth.factors`.
    """
    right = (scores.argmax(axis=1) == truth.target).astype(float)
    odds = log_odds(scores)
    rows = [
        roc.Sorted(odds[:, number], truth.target == number) for number in range(len(truth.classes))
    ]
    names = ["accuracy", "balanced_accuracy", "auc.macro"]
    for one in truth.classes:
        names += [f"recall.{one}", f"auc.{one}", *_rejection_names(one, efficiencies)]
    found: list[list[float]] = []
    for factor in truth.factors(replicas, seed):
        weight = truth.balanced(factor)
        recalls = np.bincount(truth.target, weights=right * weight, minlength=len(truth.classes))
        curves = [one.curve(weight[one.order]) for one in rows]
        areas = [roc.area(curve) for curve in curves]
        numbers = [
            float((right * factor).sum() / factor.sum()),
            float(recalls.mean()),
            float(np.mean(areas)),
        ]
        for recall, curve, area in zip(recalls, curves, areas, strict=True):
            passing = roc.background_efficiency(curve, list(efficiencies))
            numbers += [float(recall), area, *passing.tolist()]
        found.append(numbers)
    return _judged(names, np.array(found))


def judge_anomalies(
    scores: Array, truth: Truth, efficiencies: Sequence[float], replicas: int, seed: int
) -> Judged:
    """Judge scores of an anomaly: high for what is not like the background.

    The first class of `truth` is the background, its jets as they are; every other one is a
    signal. Numbers: `auc.SIGNAL`, `auc.macro` (their mean) and `rejection.SIGNAL.EFFICIENCY`, as in
    `judge_classes`.

    Parameters
    ----------
    scores
        (jets).
    truth, efficiencies, replicas, seed
        As in `judge_classes`.

    Raises
    ------
    InputError
        As `Truth.factors`.
    """
    signals = range(1, len(truth.classes))
    rows = []
    for number in signals:
        kept = np.flatnonzero((truth.target == number) | (truth.target == 0))
        rows.append((kept, roc.Sorted(scores[kept], truth.target[kept] == number)))
    names = ["auc.macro"]
    for number in signals:
        one = truth.classes[number]
        names += [f"auc.{one}", *_rejection_names(one, efficiencies)]
    found: list[list[float]] = []
    for factor in truth.factors(replicas, seed):
        curves = [one.curve(factor[kept][one.order]) for kept, one in rows]
        areas = [roc.area(curve) for curve in curves]
        numbers = [float(np.mean(areas))]
        for curve, area in zip(curves, areas, strict=True):
            numbers += [area, *roc.background_efficiency(curve, list(efficiencies)).tolist()]
        found.append(numbers)
    return _judged(names, np.array(found))


def _rejection_names(one: str, efficiencies: Sequence[float]) -> list[str]:
    return [f"rejection.{one}.{efficiency:g}" for efficiency in efficiencies]


def _judged(names: Sequence[str], found: Array) -> Judged:
    """Turn background efficiencies into rejections, linearly around those of all jets.

    A replica may have no background at all behind a cut; its inverse would be infinite.
    """
    for column, name in enumerate(names):
        if name.startswith("rejection."):
            passing = found[0, column]
            inverse = 1.0 / passing if passing > 0 else np.nan
            found[:, column] = inverse - (found[:, column] - passing) * inverse**2
    return Judged(tuple(names), found[0], found[1:])


def confusion(
    scores: Array, truth: Truth, replicas: int, seed: int
) -> tuple[NDArray[np.int64], Array, Array]:
    """Give what becomes of jets of each class, rows being true classes and columns chosen ones.

    Returns numbers of jets, their parts of the true class, and the errors of the parts, each
    (classes, classes).
    """
    classes = len(truth.classes)
    cell = truth.target * classes + scores.argmax(axis=1)
    parts = np.array(
        [
            np.bincount(cell, weights=truth.balanced(factor), minlength=classes**2)
            for factor in truth.factors(replicas, seed)
        ]
    ).reshape(-1, classes, classes)
    numbers = np.bincount(cell, minlength=classes**2).reshape(classes, classes)
    return numbers, parts[0], parts[1:].std(axis=0, ddof=1)


def mistags(scores: Array, is_signal: NDArray[np.bool_], weight: Array, grid: Array) -> Array:
    """Give background efficiencies at the signal efficiencies `grid`, for drawing a curve.

    `scores`, `is_signal` and `weight` have shape (jets).
    """
    return roc.background_efficiency(roc.roc_curve(scores, is_signal, weight), grid)
