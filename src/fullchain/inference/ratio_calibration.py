"""Calibration of likelihood ratios, and how well a ratio is calibrated.

A ratio r = p/q as a classifier gives it is seldom right, but events with equal learned ratio have,
on average, the ratio of the two classes among them: calibration with further events makes the
learned ratio right as a function of itself (1506.02169). Ratios are given by their logarithms.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from fullchain.errors import InputError
from fullchain.inference.ratio_settings import CalibrationKind

Array = npt.NDArray[np.float64]

LEAST_ROWS = 10
"""Rows of each class in a bin, at least; bins with fewer are joined with a neighbour."""


@dataclass(frozen=True)
class Sample:
    """Log ratios of events of both classes, and their weights; shapes (events)."""

    one: Array
    zero: Array
    one_weight: Array
    zero_weight: Array

    @classmethod
    def of(
        cls,
        one: npt.ArrayLike,
        zero: npt.ArrayLike,
        one_weight: npt.ArrayLike | None = None,
        zero_weight: npt.ArrayLike | None = None,
        what: str = "ratio",
    ) -> "Sample":
        """Check the events, and scale the weights of each class to a sum of one.

        Raises
        ------
        InputError
            A class is empty, a ratio is not finite or the weights have no positive sum.
        """
        rows = []
        for values, weight, name in (
            (one, one_weight, "numerator"),
            (zero, zero_weight, "denominator"),
        ):
            value = np.asarray(values, dtype=float)
            weights = np.ones(len(value)) if weight is None else np.asarray(weight, dtype=float)
            if not len(value):
                raise InputError(f"{what}: no events of the {name} to calibrate with")
            if not np.isfinite(value).all():
                raise InputError(
                    f"{what}: {int((~np.isfinite(value)).sum())} log ratios of the {name} are not "
                    "finite; lower training.learning_rate, or look for extreme values in the "
                    "features"
                )
            if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
                raise InputError(
                    f"{what}: weights of the {name} must be finite, not negative and of positive "
                    "sum"
                )
            rows.append((value, weights / weights.sum()))
        return cls(rows[0][0], rows[1][0], rows[0][1], rows[1][1])


@dataclass(frozen=True)
class Calibration:
    """Map from a learned log ratio to a right one: straight lines between knots, slope one outside.

    Parameters
    ----------
    learned, right
        Log ratios at the knots; none for a map that only shifts.
    log_normalisation
        What is subtracted at the end.
    """

    learned: tuple[float, ...] = ()
    right: tuple[float, ...] = ()
    log_normalisation: float = 0.0

    def __call__(self, log_ratio: npt.ArrayLike) -> Array:
        """Map log ratios of any shape."""
        value = np.asarray(log_ratio, dtype=float)
        if self.learned:
            inside = np.interp(value, self.learned, self.right)
            value = inside + value - np.clip(value, self.learned[0], self.learned[-1])
        return np.asarray(value - self.log_normalisation)

    def as_dict(self) -> dict[str, Any]:
        """Give plain containers, for JSON."""
        return asdict(self)


def fit(sample: Sample, kind: CalibrationKind, bins: int, anchored: bool = False) -> Calibration:
    """Calibrate, and normalise to a mean ratio of one over the denominator.

    Parameters
    ----------
    sample
        Events that were not trained on.
    kind, bins
        Histogram with so many bins of equal content, isotonic regression, or the normalisation
        alone.
    anchored
        Keep a log ratio of zero, and do not normalise: for ratios of shifted and nominal events,
        which are one at the nominal value and are normalised at each value of the shift.
    """
    learned, right = _knots(sample, kind, bins)
    if anchored:
        shift = float(Calibration(learned, right)(0.0))
        return Calibration(learned, right, shift)
    mean, _ = normalisation(Calibration(learned, right)(sample.zero), sample.zero_weight)
    return Calibration(learned, right, float(np.log(mean)))


def _knots(
    sample: Sample, kind: CalibrationKind, bins: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if kind == "none":
        return (), ()
    order, weight, of_one = _sorted(sample)
    if kind == "histogram":
        content = np.cumsum(weight[order])
        number = np.minimum((content / content[-1] * bins).astype(int), bins - 1)
    else:
        fitted = isotonic_regression(of_one[order], weights=weight[order]).x
        number = np.concatenate([[0], np.cumsum(np.diff(fitted) > 0)])
    number = _joined(number, of_one[order])
    if number[-1] == 0:
        return (), ()
    values = np.concatenate([sample.one, sample.zero])[order]
    zero = np.where(of_one[order] > 0, 0.0, weight[order])
    one = np.where(of_one[order] > 0, weight[order], 0.0)
    sum_one, sum_zero = np.bincount(number, one), np.bincount(number, zero)
    # What the mean of a right ratio over the denominator is, so that a right one stays as it is.
    learned = np.log(np.bincount(number, zero * np.exp(values)) / sum_zero)
    right = np.log(sum_one / sum_zero)
    keep = np.concatenate([[True], np.diff(np.maximum.accumulate(learned)) > 1e-9])
    return tuple(learned[keep].tolist()), tuple(right[keep].tolist())


def _sorted(sample: Sample) -> tuple[npt.NDArray[np.intp], Array, Array]:
    """Order of both classes together, weights (of sum one for each class) and class."""
    values = np.concatenate([sample.one, sample.zero])
    weight = np.concatenate([sample.one_weight, sample.zero_weight])
    of_one = np.concatenate([np.ones(len(sample.one)), np.zeros(len(sample.zero))])
    return np.argsort(values, kind="stable"), weight, of_one


def _joined(number: npt.NDArray[Any], of_one: Array) -> npt.NDArray[np.intp]:
    """Join neighbouring bins until each has enough rows of both classes.

    Isotonic regression gives many tiny steps besides: they are joined by the same rule.
    """
    ones, rows = np.bincount(number, of_one), np.bincount(number)
    place = np.zeros(len(rows), dtype=np.intp)
    current, one, zero = 0, 0.0, 0.0
    for index in range(len(rows)):
        place[index] = current
        one, zero = one + ones[index], zero + rows[index] - ones[index]
        if min(one, zero) >= LEAST_ROWS:
            current, one, zero = current + 1, 0.0, 0.0
    # What is left at the end joins the last whole bin.
    place = np.minimum(place, max(current - 1, 0))
    return np.asarray(place[number])


def normalisation(
    log_ratio: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> tuple[float, float]:
    """Mean ratio over events of the denominator, which is one for a right ratio, and its error."""
    ratio = np.exp(np.asarray(log_ratio, dtype=float))
    share = np.ones(len(ratio)) if weight is None else np.asarray(weight, dtype=float)
    share = share / share.sum()
    mean = float((share * ratio).sum())
    if not np.isfinite(mean) or mean <= 0:
        raise InputError(
            f"the mean of a learned ratio is {mean}: the ratio is not finite; lower "
            "training.learning_rate, or look for extreme values in the features"
        )
    return mean, float(np.sqrt((share**2 * (ratio - mean) ** 2).sum()))


@dataclass(frozen=True)
class Reliability:
    """Learned ratios in bins beside those that were observed; lists of one number for each bin."""

    learned: list[float]
    observed: list[float]
    error: list[float]
    chi_squared: float

    def as_dict(self) -> dict[str, Any]:
        """Give plain containers, for JSON."""
        return asdict(self)


def reliability(sample: Sample, bins: int) -> Reliability:
    """Compare log ratios in bins of equal content of both classes.

    Errors are of the difference of both log ratios, from the numbers of events. Chi-squared has as
    many degrees of freedom as there are bins.
    """
    order, weight, of_one = _sorted(sample)
    content = np.cumsum(weight[order])
    number = np.minimum((content / content[-1] * bins).astype(int), bins - 1)
    number = _joined(number, of_one[order])
    values = np.concatenate([sample.one, sample.zero])[order]
    is_one = of_one[order] > 0
    one, zero = np.where(is_one, weight[order], 0), np.where(is_one, 0, weight[order])
    sum_one, sum_zero = np.bincount(number, one), np.bincount(number, zero)
    ratio = np.exp(values)
    mean = np.bincount(number, zero * ratio) / sum_zero
    # The ratio of observed and learned is that of two sums over different events.
    error = np.sqrt(
        np.bincount(number, one**2) / sum_one**2
        + np.bincount(number, (zero * ratio) ** 2) / (mean * sum_zero) ** 2
    )
    learned, observed = np.log(mean), np.log(sum_one / sum_zero)
    pulls = (observed - learned) / error
    return Reliability(learned.tolist(), observed.tolist(), error.tolist(), float((pulls**2).sum()))
