"""Performance of a tagger from arrays: everything that the figures and the tables show."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.learning import roc
from fullchain.learning.bootstrap import event_factors

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

GRID = np.linspace(0.005, 1.0, 200)
"""Signal efficiencies at which curves are saved."""

POISSON_LIMIT = 2.996
"""Upper limit at 95 % CL on the mean of a Poisson distribution that gave zero, -ln 0.05."""


@dataclass(frozen=True)
class Sample:
    """Jets with their score: arrays of shape (jets,); `event` numbers the events from 0."""

    score: Array
    is_signal: Mask
    weight: Array
    event: npt.NDArray[np.intp]


def receiver(
    jets: Sample, *, working_points: Sequence[float], cut: float, replicas: int, seed: int
) -> dict[str, Any]:
    """ROC curve with its band, area, accuracy at `cut`, and working points, for JSON.

    The rejection 1/eB at a signal efficiency comes with the central 68 % interval of the
    bootstrap. Where no background jet passes, it is the lower limit at 95 % CL and says so.
    """
    rows = roc.Sorted(jets.score, jets.is_signal, jets.weight)
    curve = rows.curve()
    spread = roc.bootstrap(
        rows,
        jets.event,
        grid=GRID,
        working_points=working_points,
        cut=cut,
        replicas=replicas,
        seed=seed,
    )
    background = jets.weight[~jets.is_signal]
    return {
        "auc": asdict(spread.area),
        "accuracy": asdict(spread.accuracy),
        "roc": {
            "signal_efficiency": GRID.tolist(),
            "background_efficiency": roc.background_efficiency(curve, GRID).tolist(),
            "low": spread.band[0].tolist(),
            "high": spread.band[1].tolist(),
        },
        "working_points": [
            {
                "signal_efficiency": point,
                "threshold": roc.threshold(curve, point),
                "background_efficiency": asdict(interval),
                "rejection": rejection(interval, effective_number(background)),
            }
            for point, interval in spread.background.items()
        ],
    }


def effective_number(weight: Array) -> float:
    """Number of unweighted rows with the same relative statistical uncertainty."""
    return float(weight.sum() ** 2 / (weight**2).sum())


def rejection(background: roc.Interval, effective: float) -> dict[str, Any]:
    """1/eB with half of its 68 % interval as uncertainty, or the limit where eB is zero.

    `high` is None where the interval has no upper end.
    """
    if background.value <= 0:
        limit = effective / POISSON_LIMIT
        return {"value": limit, "uncertainty": 0.0, "low": limit, "high": None, "is_limit": True}
    relative = 0.5 * (background.high - background.low) / background.value
    return {
        "value": 1.0 / background.value,
        "uncertainty": relative / background.value,
        "low": 1.0 / background.high if background.high > 0 else 1.0 / background.value,
        "high": 1.0 / background.low if background.low > 0 else None,
        "is_limit": False,
    }


def score_histogram(score: Array, weight: Array, bins: int) -> dict[str, list[float]]:
    """Histogram of scores in [0, 1] with area one: content and standard deviation per bin."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    content, _ = np.histogram(score, edges, weights=weight)
    squares, _ = np.histogram(score, edges, weights=weight**2)
    total = content.sum()
    return {
        "content": (content / total).tolist(),
        "deviation": (np.sqrt(squares) / total).tolist(),
    }


def calibration(jets: Sample, bins: int, replicas: int, seed: int) -> dict[str, Any]:
    """Part of signal against mean score, in bins of the score, for classes of equal weight.

    `low` and `high` are Wilson's interval (68 %) for the effective number of events in the bin: a
    bin that holds one class only has an uncertainty, too. The calibration error is the mean over
    jets of the distance of part and score, its deviation that of the bootstrap over events. Empty
    bins are None.
    """
    weight = np.where(
        jets.is_signal,
        0.5 * jets.weight / jets.weight[jets.is_signal].sum(),
        0.5 * jets.weight / jets.weight[~jets.is_signal].sum(),
    )
    index = np.minimum((jets.score * bins).astype(int), bins - 1)

    def measure(factor: npt.ArrayLike) -> tuple[Array, Array, float]:
        weights = weight * factor
        total = np.bincount(index, weights, bins)
        scores = np.bincount(index, weights * jets.score, bins)
        signal = np.bincount(index, weights * jets.is_signal, bins)
        nothing = np.full(bins, np.nan)
        predicted = np.divide(scores, total, out=nothing.copy(), where=total > 0)
        observed = np.divide(signal, total, out=nothing.copy(), where=total > 0)
        return predicted, observed, float(np.abs(scores - signal).sum() / total.sum())

    predicted, observed, error = measure(1.0)
    factors = event_factors(jets.event, replicas, seed, "calibration")
    draws = [measure(factor) for factor in factors]
    low, high = wilson(observed, _effective_events(weight, index, jets.event, bins))
    return {
        "edges": np.linspace(0.0, 1.0, bins + 1).tolist(),
        "predicted": _or_none(predicted),
        "observed": _or_none(observed),
        "low": _or_none(low),
        "high": _or_none(high),
        "error": {"value": error, "deviation": float(np.std([draw[2] for draw in draws]))},
    }


def wilson(part: Array, number: Array) -> tuple[Array, Array]:
    """Central 68 % interval of a part of `number` (Wilson, J. Am. Stat. Assoc. 22 (1927) 209).

    Shapes are equal. It has a width for parts of zero and one, and always contains `part`, which
    signed weights may push out of [0, 1].
    """
    inside = np.clip(part, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (inside + 0.5 / number) / (1 + 1 / number)
        half = np.sqrt(inside * (1 - inside) / number + 0.25 / number**2) / (1 + 1 / number)
    return np.minimum(centre - half, part), np.maximum(centre + half, part)


def _effective_events(
    weight: Array, index: npt.NDArray[np.intp], event: npt.NDArray[np.intp], bins: int
) -> Array:
    """Effective number of events in each bin: (sum w)^2 / sum w^2, jets of an event together."""
    together, group = np.unique(np.stack([index, event]), axis=1, return_inverse=True)
    sums = np.bincount(group.ravel(), weight, together.shape[1])
    squares = np.bincount(together[0], sums**2, bins)
    total = np.bincount(index, weight, bins)
    return np.divide(total**2, squares, out=np.full(bins, np.nan), where=squares > 0)


def tau32_score(tau32: Array, msoftdrop: Array, low: float, high: float) -> Array:
    """Score whose cut is a cut on tau32 inside a window of soft-drop mass [GeV].

    Jets outside the window, and jets without tau32, come after all others, also in order of tau32.
    """
    value = np.where(np.isfinite(tau32), np.clip(tau32, 0.0, 1.0), 1.0)
    inside = (msoftdrop >= low) & (msoftdrop < high)
    return np.where(inside, 2.0 - value, 1.0 - value)


def _or_none(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
