"""Whether a classifier's probabilities are frequencies, and a temperature that makes them so.

Weights are those of events. A reliability curve and the expected calibration error are given with
bootstrap uncertainties over events, like the ROC curves.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

from fullchain.errors import InputError
from fullchain.learning.bootstrap import event_factors
from fullchain.learning.roc import Array, Interval
from fullchain.seeds import stream

LIMIT = 100.0
"""Largest temperature that is looked for, and one over the smallest."""


@dataclass(frozen=True)
class Temperature:
    """A temperature, and the mean negative log-likelihood at one and at it.

    `limited` says that the likelihood still rises at the limit of the range: every row is right,
    or the logits know less than nothing.
    """

    value: float
    loss_before: float
    loss_after: float
    limited: bool


@dataclass(frozen=True)
class Reliability:
    """Observed against predicted, in bins of the predicted probability that hold rows.

    All arrays have the shape (bins,): edges of the bin, mean prediction, fraction for which it came
    true with the 16 % and 84 % quantiles of its replicas, and number of rows.
    """

    lower: Array
    upper: Array
    predicted: Array
    observed: Array
    low: Array
    high: Array
    rows: npt.NDArray[np.intp]


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error, and what perfect probabilities would give with as many rows.

    The estimate is a sum of absolute values and cannot fluctuate below zero: it means something
    only where it exceeds `if_perfect` by more than its uncertainty.
    """

    error: Interval
    if_perfect: float


def probabilities(logits: npt.ArrayLike, temperature: float = 1.0) -> Array:
    """Softmax of the logits (rows, classes) over the temperature."""
    return np.asarray(softmax(np.asarray(logits, dtype=float) / temperature, axis=-1))


def fit_temperature(
    logits: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> Temperature:
    """Find the temperature of the smallest negative log-likelihood (Guo et al. 1706.04599).

    The loss is convex in the inverse temperature, and the root of its derivative is bracketed:
    no starting value, no random numbers. Fit on rows that did not train.

    Parameters
    ----------
    logits
        Shape (rows, classes); a single log-odds z is the pair (0, z).
    label
        Number of the true class of each row, shape (rows,).
    weight
        Weight of each row; None for one.

    Raises
    ------
    InputError
        Numbers that are not finite, labels outside the classes, or weights without a positive sum.
    """
    values, label, weight = _checked(logits, label, weight)
    rows = np.arange(len(values))

    def loss(inverse: float) -> float:
        return -float(weight @ log_softmax(inverse * values, axis=1)[rows, label])

    def slope(log_inverse: float) -> float:
        chances = softmax(np.exp(log_inverse) * values, axis=1)
        return float(weight @ ((chances * values).sum(axis=1) - values[rows, label]))

    edge = float(np.log(LIMIT))
    limited = not slope(-edge) < 0 < slope(edge)
    if limited:
        inverse = min(LIMIT, 1 / LIMIT, key=loss)
    else:
        inverse = float(np.exp(brentq(slope, -edge, edge, xtol=1e-12)))
    return Temperature(1 / inverse, loss(1.0), loss(inverse), limited)


def reliability(
    probability: npt.ArrayLike,
    happened: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    event: npt.ArrayLike | None = None,
    *,
    bins: int = 15,
    replicas: int = 200,
    seed: int = 0,
) -> Reliability:
    """Compare a predicted probability with how often it came true.

    Parameters
    ----------
    probability, happened
        Prediction and truth of each row, shape (rows,): for one class of several, its probability
        and whether it is the true one.
    weight
        Weight of each row; None for one.
    event
        Number of the event of each row, from 0; None if each row is an event.
    bins
        Number of bins of equal width in [0, 1].
    replicas, seed
        Of the bootstrap; replica k depends on the seed and k only.

    Raises
    ------
    InputError
        Probabilities outside [0, 1], or weights without a positive sum.
    """
    chance = np.asarray(probability, dtype=float)
    pair = np.stack([1 - chance, chance], axis=1)
    _check_probabilities(pair)
    truth = np.asarray(happened, dtype=bool)
    _, _, weight = _checked(pair, truth.astype(np.intp), weight)
    numbers = _bin(chance, bins)

    def sums(values: Array) -> Array:
        return np.asarray(np.bincount(numbers, values, minlength=bins), dtype=float)

    total, rows = sums(weight), np.bincount(numbers, minlength=bins)
    # Signed weights may leave a bin with nothing to divide by.
    filled = total > 0
    fractions = []
    for draws in _draws(len(chance), event, replicas, seed):
        drawn = sums(weight * draws)
        with np.errstate(divide="ignore", invalid="ignore"):
            fractions.append(np.where(drawn > 0, sums(weight * draws * truth) / drawn, np.nan))
    # A bin with a single event is empty in a third of the replicas: they say nothing of it.
    low, high = np.nanquantile(np.array(fractions)[:, filled], [0.16, 0.84], axis=0)
    edges = np.linspace(0, 1, bins + 1)
    return Reliability(
        lower=edges[:-1][filled],
        upper=edges[1:][filled],
        predicted=sums(weight * chance)[filled] / total[filled],
        observed=sums(weight * truth)[filled] / total[filled],
        low=low,
        high=high,
        rows=rows[filled],
    )


def calibration_error(
    chances: npt.ArrayLike,
    label: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    event: npt.ArrayLike | None = None,
    *,
    bins: int = 15,
    replicas: int = 200,
    seed: int = 0,
) -> CalibrationError:
    r"""Expected calibration error of the most probable class (1706.04599, eq. 3).

    \sum_b W_b / W |accuracy_b - confidence_b| over bins of equal width of the largest probability.

    Parameters
    ----------
    chances
        Probabilities of the classes, shape (rows, classes).
    label, weight, event, bins, replicas, seed
        As in `fit_temperature` and `reliability`.

    Raises
    ------
    InputError
        Rows that are no probabilities, labels outside the classes, or weights without a positive
        sum.
    """
    values, label, weight = _checked(chances, label, weight)
    _check_probabilities(values)
    guess = values.argmax(axis=1)
    confidence = values.max(axis=1)
    numbers = _bin(confidence, bins)

    def error(right: npt.NDArray[np.bool_], of_rows: Array) -> float:
        gaps = np.bincount(numbers, of_rows * (right - confidence), minlength=bins)
        return float(np.abs(gaps).sum() / of_rows.sum())

    right = guess == label
    found, perfect = [], []
    for replica, draws in enumerate(_draws(len(values), event, replicas, seed)):
        drawn = weight * draws
        if drawn.sum() > 0:
            found.append(error(right, drawn))
        # Labels drawn from the probabilities themselves (Broecker, Smith 2007).
        uniform = stream(seed, "perfect", replica).random(len(values))
        perfect.append(error(uniform < confidence, weight))
    if len(found) < 2:
        raise InputError(f"{len(values)} rows are too few for an uncertainty of the calibration")
    low, high = np.quantile(found, [0.16, 0.84])
    interval = Interval(error(right, weight), float(np.std(found, ddof=1)), float(low), float(high))
    return CalibrationError(interval, float(np.mean(perfect)))


def _draws(rows: int, event: npt.ArrayLike | None, replicas: int, seed: int) -> Iterator[Array]:
    return event_factors(np.arange(rows) if event is None else event, replicas, seed)


def _bin(chance: Array, bins: int) -> npt.NDArray[np.intp]:
    return np.minimum((chance * bins).astype(np.intp), bins - 1)


def _check_probabilities(values: Array) -> None:
    if values.min() < 0 or not np.allclose(values.sum(axis=1), 1, atol=1e-4):
        raise InputError(
            "the calibration needs probabilities: from 0 to 1 and of sum 1 in each row"
        )


def _checked(
    values: npt.ArrayLike, label: npt.ArrayLike, weight: npt.ArrayLike | None
) -> tuple[Array, npt.NDArray[np.intp], Array]:
    values, label = np.asarray(values, dtype=float), np.asarray(label, dtype=np.intp)
    weight = np.ones(len(values)) if weight is None else np.asarray(weight, dtype=float)
    shapes = {label.shape, weight.shape, values.shape[:1]}
    if values.ndim != 2 or not len(values) or len(shapes) > 1:
        raise InputError(
            f"the calibration needs rows of classes with a label and a weight each, not shapes "
            f"{values.shape}, {label.shape} and {weight.shape}"
        )
    if not np.isfinite(values).all() or not np.isfinite(weight).all() or weight.sum() <= 0:
        raise InputError(
            "the calibration needs finite scores and weights of positive sum: drop jets without a "
            "score, and look at the column weight"
        )
    if label.min() < 0 or label.max() >= values.shape[1]:
        raise InputError(
            f"labels from {label.min()} to {label.max()} for {values.shape[1]} classes"
        )
    return values, label, weight / weight.sum()
