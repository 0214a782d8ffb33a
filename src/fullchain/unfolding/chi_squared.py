"""Chi-squared of a difference of spectra, with a covariance that may be of few replicas."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, f

from fullchain.errors import InputError

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Agreement:
    """Chi-squared, number of bins, and probability of a value as large or larger."""

    value: float
    degrees: int
    p_value: float

    def plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"value": self.value, "degrees": self.degrees, "p_value": self.p_value}


Part = tuple[Array, int | None]
"""A covariance (bins, bins), and its degrees of freedom; None where it is known."""


def effective_freedom(parts: Sequence[Part]) -> float | None:
    """Degrees of freedom of a sum of independent covariances; None where all are known.

    K. Krishnamoorthy and J. Yu, Stat. Probab. Lett. 66 (2004) 161: between the least of the parts
    and their sum, whatever the scales of the bins. Raises InputError where the sum is singular.
    """
    total = np.sum([matrix for matrix, _ in parts], axis=0)
    try:
        inverse = np.linalg.inv(total)
    except np.linalg.LinAlgError:
        raise InputError("the covariance is singular; merge bins") from None
    vagueness = 0.0
    for matrix, freedom in parts:
        if freedom is not None:
            share = matrix @ inverse
            vagueness += (np.trace(share @ share) + np.trace(share) ** 2) / freedom
    bins = len(total)
    return float((bins + bins**2) / vagueness) if vagueness > 0 else None


def agreement(difference: Array, covariance: Array, freedom: float | None = None) -> Agreement:
    """Test that a difference (bins) is zero within its covariance (bins, bins).

    Parameters
    ----------
    freedom
        Degrees of freedom of the covariance, for one of B replicas B - 1: the value is then
        Hotelling's T squared (H. Hotelling, Ann. Math. Stat. 2 (1931) 360), for which the inverse
        of the estimate is too large, and p is that of F. None for a known covariance.

    Raises
    ------
    InputError
        The covariance is singular, or of fewer replicas than bins.
    """
    bins = len(difference)
    if freedom is not None and freedom < bins:
        raise InputError(
            f"a covariance of {freedom + 1:g} replicas cannot be inverted for {bins} bins; merge "
            "bins"
        )
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise InputError(
            f"the covariance of {bins} bins is singular: a bin without uncertainty, or fewer "
            "replicas than bins; merge bins"
        ) from None
    value = float((np.linalg.solve(root, difference) ** 2).sum())
    if freedom is None:
        return Agreement(value, bins, float(chi2.sf(value, bins)))
    left = freedom - bins + 1
    return Agreement(value, bins, float(f.sf(value * left / (bins * freedom), bins, left)))


def groups(content: Array, most: int, least: float = 0.0) -> Indices:
    """Merge neighbouring bins: give the first bin of each group.

    The group with the least content is joined with the lesser one of its neighbours while there are
    more than `most` groups or one has less than `least`. The last group stays, whatever it has.

    Examples
    --------
    >>> groups(np.array([1.0, 9.0, 8.0, 2.0]), most=4, least=3.0).tolist()
    [0, 2]
    """
    starts = list(range(len(content)))
    sums = [float(one) for one in content]
    while len(sums) > 1 and (len(sums) > max(most, 1) or min(sums) < least):
        smallest = int(np.argmin(sums))
        beside = [one for one in (smallest - 1, smallest + 1) if 0 <= one < len(sums)]
        other = min(beside, key=lambda one: sums[one])
        first, second = sorted((smallest, other))
        sums[first] += sums.pop(second)
        starts.pop(second)
    return np.array(starts)


def merged(values: Array, starts: Indices) -> Array:
    """Sum a vector (bins) or a matrix (bins, bins) over groups of bins."""
    summed: Array = np.add.reduceat(values, starts, axis=0)
    return np.add.reduceat(summed, starts, axis=1) if values.ndim == 2 else summed
