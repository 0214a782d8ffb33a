r"""Pulls: differences of probabilities in units of their uncertainties.

A pull has mean zero and width one where the uncertainties are right and independent, and a part
erf(1 / \sqrt 2) = 68.3 % of values is then inside one standard deviation.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.learning.bootstrap import event_factors

Array = npt.NDArray[np.float64]

SMALLEST = 1e-6
"""Least standard deviation of a probability: single precision tells no less from zero near one."""


@dataclass(frozen=True)
class Estimate:
    """A number and its standard deviation."""

    value: float
    deviation: float


def against_the_others(mean: Array, deviation: Array) -> Array:
    r"""Pulls of each training against all others, shape (trainings, jets).

    (p_s - <p_t>) / \sqrt(\sigma_s^2 + \sum_t \sigma_t^2 / (S - 1)^2) with t the other trainings, of
    which there are S - 1. NaN where the uncertainty is below `SMALLEST`.

    Parameters
    ----------
    mean, deviation
        Probability of each training and its standard deviation, (trainings, jets).

    Raises
    ------
    ValueError
        There are fewer than two trainings.
    """
    others = len(mean) - 1
    if others < 1:
        raise ValueError("a pull against the others needs two trainings")
    rest = (mean.sum(axis=0) - mean) / others
    variance = deviation**2
    combined = np.sqrt(variance + (variance.sum(axis=0) - variance) / others**2)
    return pulls(mean, rest, combined)


def pulls(value: Array, truth: Array, deviation: Array) -> Array:
    """(value - truth) / deviation, all of one shape; NaN where this is below `SMALLEST`."""
    enough = deviation > SMALLEST
    return np.divide(
        value - truth, deviation, out=np.full(np.shape(deviation), np.nan), where=enough
    )


def summary(
    values: Array,
    weight: Array,
    event: npt.NDArray[np.intp],
    *,
    edges: Array,
    replicas: int,
    seed: int,
) -> dict[str, Any]:
    """Mean, width and coverage of pulls of several trainings, and their histogram, for JSON.

    The width is the standard deviation about the mean over all trainings. `deviation` is that of a
    bootstrap over events; `over_trainings` the standard deviation over the trainings, None for two,
    which have the same pulls up to the sign. All jets share the weights of few trainings, so that
    the latter is the larger one.

    Parameters
    ----------
    values
        Pulls, shape (trainings, jets); NaN for those that are left out.
    weight, event
        Weight of each jet, and number of its event from 0.
    edges
        Of the histogram; what lies outside is in the first or last bin.
    replicas, seed
        Of the bootstrap.
    """
    known = np.isfinite(values)

    def moments(weights: Array) -> Array:
        pairs = zip(values, known, strict=True)
        return np.stack([_moments(one[on], weights[on]) for one, on in pairs])

    nominal = moments(weight)
    factors = event_factors(event, replicas, seed, "pulls")
    draws = np.array([_together(moments(weight * factor)) for factor in factors])
    found: dict[str, Any] = {
        "trainings": len(values),
        "left_out": int((~known).any(axis=0).sum()),
    }
    # Of a single training the root of the mean square: its pulls share a shift.
    single = nominal.copy()
    single[:, 1] = np.sqrt(single[:, 1])
    for column, name in enumerate(("mean", "width", "coverage")):
        value, deviation = _together(nominal)[column], np.nanstd(draws[:, column], ddof=1)
        over = float(single[:, column].std(ddof=1)) if len(single) > 2 else None
        found[name] = {**asdict(Estimate(float(value), float(deviation))), "over_trainings": over}
    inside = np.clip(values, edges[0], edges[-1])
    weights = np.broadcast_to(weight, values.shape)
    content, _ = np.histogram(inside[known], edges, weights=weights[known])
    squares, _ = np.histogram(inside[known], edges, weights=weights[known] ** 2)
    total = content.sum()
    return found | {
        "edges": edges.tolist(),
        "content": (content / total).tolist(),
        "histogram_deviation": (np.sqrt(squares) / total).tolist(),
    }


def _moments(values: Array, weight: Array) -> Array:
    """Weighted mean, mean square, and part inside one."""
    total = weight.sum()
    if not total > 0:
        return np.full(3, np.nan)
    inside = np.abs(values) < 1
    return np.array([(weight * one).sum() / total for one in (values, values**2, inside)])


def _together(moments: Array) -> Array:
    """Mean, standard deviation and part inside one of all trainings, each with the same weight.

    About the common mean: about its own one, a training whose weights are off in a way that
    shifts all jets would seem to be better than it is.
    """
    mean, square, inside = moments.mean(axis=0)
    return np.array([mean, np.sqrt(max(square - mean**2, 0.0)), inside])
