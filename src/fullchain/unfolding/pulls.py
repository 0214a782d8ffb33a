"""Pulls of estimates over independent pseudo-experiments.

A pull is (estimate - truth) / uncertainty. Where the uncertainty is a standard deviation of B
bootstrap replicas, it is itself known to 1 / sqrt(2 (B - 1)) only, and the pull of a right estimate
follows Student's t with B - 1 degrees of freedom: its width and its 68 % interval are those of t.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from fullchain.errors import InputError

Array = npt.NDArray[np.float64]

LEVEL = float(norm.cdf(1.0) - norm.cdf(-1.0))
"""Probability of an interval of one standard deviation, 68.3 %."""

EDGES = np.linspace(-4.0, 4.0, 17)
"""Bins of histograms of pulls; what is beyond is in the first or the last."""


def pulls(estimate: npt.ArrayLike, truth: npt.ArrayLike, uncertainty: npt.ArrayLike) -> Array:
    """(estimate - truth) / uncertainty, of one shape.

    Raises InputError where an estimate is not finite or an uncertainty is not above zero.
    """
    values, errors = np.asarray(estimate, dtype=float), np.asarray(uncertainty, dtype=float)
    bad = ~np.isfinite(values) | ~np.isfinite(errors) | ~(errors > 0)
    if bad.any():
        raise InputError(
            f"pseudo-experiment {int(np.flatnonzero(bad.ravel())[0])}: the estimate is not finite "
            "or its uncertainty is not above zero; the unfolding failed, or has no replicas"
        )
    found: Array = (values - np.asarray(truth, dtype=float)) / errors
    return found


def expected_width(freedom: float | None) -> float:
    """Width of the pulls of a right estimate whose uncertainty has `freedom` degrees of freedom.

    1 where the uncertainty is known (None); sqrt(f / (f - 2)) of Student's t else.

    Raises
    ------
    InputError
        There are so few replicas that the width does not exist.
    """
    if freedom is None:
        return 1.0
    if freedom <= 2:
        raise InputError(
            f"an uncertainty of {freedom + 1:g} bootstrap replicas is too vague for pulls; take at "
            "least four"
        )
    return math.sqrt(freedom / (freedom - 2.0))


def half_interval(freedom: float | None) -> float:
    """Half of the interval of 68.3 %, in units of the uncertainty."""
    point = 0.5 * (1.0 + LEVEL)
    return float(norm.ppf(point) if freedom is None else t.ppf(point, freedom))


def summary(
    estimate: npt.ArrayLike,
    truth: float,
    uncertainty: npt.ArrayLike,
    freedom: float | None = None,
) -> dict[str, Any]:
    """Mean, width and coverage of pulls, with their errors, and their histogram, for JSON.

    Parameters
    ----------
    estimate, uncertainty
        (experiments).
    truth
        What is estimated.
    freedom
        Degrees of freedom of the uncertainties: number of replicas less one; None for known ones.

    Raises
    ------
    InputError
        There are fewer than three experiments, or as `pulls` and `expected_width`.
    """
    values = np.asarray(estimate, dtype=float)
    number = len(values)
    if number < 3:
        raise InputError(f"pulls of {number} pseudo-experiments say nothing; take at least three")
    found = pulls(values, truth, uncertainty)
    inside = int((np.abs(found) < half_interval(freedom)).sum())
    width = float(found.std(ddof=1))
    bias = values - truth
    content, _ = np.histogram(np.clip(found, EDGES[0], EDGES[-1]), EDGES)
    return {
        "experiments": number,
        "truth": float(truth),
        "freedom": None if freedom is None else float(freedom),
        "mean": _number(float(found.mean()), width / math.sqrt(number)),
        "width": _number(width, width / math.sqrt(2.0 * (number - 1))),
        "expected_width": expected_width(freedom),
        "coverage": _number(inside / number, binomial_error(inside, number)),
        "expected_coverage": LEVEL,
        "bias": _number(float(bias.mean()), float(bias.std(ddof=1)) / math.sqrt(number)),
        "spread": _number(
            float(values.std(ddof=1)), float(values.std(ddof=1)) / math.sqrt(2.0 * (number - 1))
        ),
        "uncertainty": float(np.sqrt(np.mean(np.square(uncertainty)))),
        "pulls": found.tolist(),
        "edges": EDGES.tolist(),
        "content": content.tolist(),
    }


def binomial_error(passing: int, number: int) -> float:
    """Standard deviation of the posterior of a fraction with Jeffreys' prior; never zero."""
    a, b = passing + 0.5, number - passing + 0.5
    return math.sqrt(a * b / ((a + b) ** 2 * (a + b + 1.0)))


def _number(value: float, deviation: float) -> dict[str, float]:
    return {"value": value, "deviation": deviation}
