"""Uncertainty of a part of events."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[Any]

ONE_SIGMA = 0.682689492137086
"""Part of a normal distribution within one standard deviation."""


def clopper_pearson(passed: Array | float, total: Array | float) -> tuple[Array, Array]:
    """Give the central 68.3 % interval of a binomial probability (Biometrika 26 (1934) 404).

    Numbers need not be whole: for weighted events they are effective ones. For none in all the
    interval is everything from 0 to 1.
    """
    passed, total = np.asarray(passed, dtype=float), np.asarray(total, dtype=float)
    tail = 0.5 * (1.0 - ONE_SIGMA)
    # The beta distribution has no quantiles where none or all pass; the limits are known.
    none, every = passed <= 0, passed >= total
    low = stats.beta.ppf(tail, np.where(none, 1.0, passed), total - passed + 1.0)
    high = stats.beta.ppf(1.0 - tail, passed + 1.0, np.where(every, 1.0, total - passed))
    return np.where(none, 0.0, low), np.where(every, 1.0, high)
