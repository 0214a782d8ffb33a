"""CLs and upper limits from toys, all fitted at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fullchain.errors import InputError
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.hypotest import BAND, STATISTICS, Statistic, poi_of
from fullchain.inference.minimise import minimise
from fullchain.inference.toy_data import draw

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Share:
    """A fraction of toys with its binomial error, which is not zero where none or all are in."""

    value: float
    error: float

    @staticmethod
    def of(inside: NDArray[np.bool_]) -> "Share":
        """Count."""
        toys = len(inside)
        value = float(np.mean(inside))
        # Half-width of Wilson's interval.
        error = np.sqrt(value * (1 - value) / toys + 0.25 / toys**2) / (1 + 1 / toys)
        return Share(value, float(error))

    def over(self, other: "Share") -> "Share":
        """Ratio to another, independent one; at most 1."""
        if other.value == 0:
            return Share(1.0, 1.0)
        ratio = self.value / other.value
        return Share(
            min(ratio, 1.0), float(np.hypot(self.error, ratio * other.error)) / other.value
        )


@dataclass(frozen=True)
class ToyCLs:
    """CLs of one signal strength from toys.

    Attributes
    ----------
    mu, observed
        Signal strength, and the statistic of the data.
    with_signal, background
        p-values CLs+b and CLb of the data.
    cls, expected
        CLs of the data and of the expected band, in rising order.
    toys_with_signal, toys_background
        Statistics of the toys that converged.
    failed
        Number of toys that did not.
    """

    mu: float
    observed: float
    with_signal: Share
    background: Share
    cls: Share
    expected: tuple[Share, ...]
    toys_with_signal: Array
    toys_background: Array
    failed: int


def cls_by_toys(
    model: HistFactory,
    data: Tensor,
    mu: float,
    toys: int,
    random: np.random.Generator,
    *,
    statistic: Statistic = "qtilde",
    most_failed: float = 0.01,
) -> ToyCLs:
    """Test one signal strength with toys of signal and background, and as many of background.

    The nuisance parameters of the toys are those that fit the data best at `mu` and without signal;
    auxiliary measurements scatter, too.

    Parameters
    ----------
    model, data
        A model and its data (bins + auxiliary,).
    mu
        Signal strength to be tested.
    toys
        Number of toys for each hypothesis.
    random
        Source of the toys.
    statistic
        ``qtilde``: signals cannot be negative; ``q``: they can.
    most_failed
        Largest fraction of toys whose fits may fail; they are left out.

    Raises
    ------
    InputError
        The fit of the data does not converge, or those of too many toys.
    """
    poi, test = poi_of(model), STATISTICS[statistic]
    strength = torch.tensor([mu], dtype=torch.float64)
    found = minimise(model, data, fixed={poi: torch.tensor([mu, 0.0], dtype=torch.float64)})
    truths = found.require(f"fits at {model.names[poi]} = {mu:.4g} and 0", model.names).values
    of_data = test(model, data, strength)
    if not of_data.converged.all():
        raise InputError(f"the fit of the data does not converge at {model.names[poi]} = {mu:.4g}")
    observed = float(of_data.value[0])
    statistics, failed = [], 0
    for truth in truths:
        tested = test(model, draw(model, truth, toys, random), strength, truth)
        failed += int((~tested.converged).sum())
        statistics.append(tested.value[tested.converged].numpy())
    check_failures(failed, 2 * toys, most_failed, f"toys at {model.names[poi]} = {mu:.4g}")
    return summarise(mu, observed, statistics[0], statistics[1], failed)


def summarise(
    mu: float, observed: float, with_signal: Array, background: Array, failed: int = 0
) -> ToyCLs:
    """Give CLs from the statistics of toys under both hypotheses."""
    sb, b = Share.of(with_signal >= observed), Share.of(background >= observed)
    expected = []
    for width in BAND:
        # Larger statistics are less like signal: two standard deviations above come first.
        above = float(torch.special.ndtr(torch.tensor(-width, dtype=torch.float64)))
        threshold = float(np.quantile(background, 1.0 - above))
        expected.append(Share.of(with_signal >= threshold).over(Share.of(background >= threshold)))
    return ToyCLs(mu, observed, sb, b, sb.over(b), tuple(expected), with_signal, background, failed)


def check_failures(failed: int, fits: int, most: float, what: str) -> None:
    """Refuse too many fits that did not converge.

    Raises
    ------
    InputError
        The fraction of failed fits is above `most`.
    """
    if failed > most * fits:
        raise InputError(
            f"{what}: {failed} of {fits} fits do not converge, more than the fraction {most:g} "
            "that is allowed; look for bins with few events, merge them, or drop a systematic"
        )


ITERATIONS = 30
"""Steps of the fit of an exponential to CLs."""

CURVED = 9.0
"""Gain in chi-squared for which the exponent is curved."""


def crossing(mu: Sequence[float], cls: Sequence[Share], level: float) -> Share | None:
    """Signal strength at which CLs falls to 1 - level.

    An exponential is fitted to the points whose CLs is within a factor of twelve of the wanted one,
    or zero, with the variance that it expects itself: with the variances of the points those that
    fluctuate upwards would count more, and with their logarithms those at zero not at all. Where
    its exponent must be curved (chi-squared is lower by nine) it is a parabola. None if the points
    do not lie on both sides, or the curve does not fall near them.
    """
    wanted = 1.0 - level
    near = [
        (one, share.value, share.error)
        for one, share in zip(mu, cls, strict=True)
        if share.value < 12.0 * wanted and (share.value > wanted / 12.0 or share.value == 0)
    ]
    x, value, error = np.array(near, dtype=float).reshape(-1, 3).T
    positive = np.count_nonzero(value > 0)
    if positive < 2 or not value.min() <= wanted <= value.max():
        return None
    scale = x.max()
    curve, covariance, lowest = _exponential(x / scale, value, error, 1)
    if positive > 4:
        curved = _exponential(x / scale, value, error, 2)
        if curved[2] < lowest - CURVED:
            curve, covariance, _ = curved
    powers = np.arange(len(curve))
    roots = np.roots((curve - np.log(wanted) * (powers == 0))[::-1])
    slopes = np.polyval(np.polyder(curve[::-1]), roots)
    falling = (abs(roots.imag) < 1e-9) & (slopes.real < 0)
    if not falling.any():
        return None
    place, steep = float(roots[falling][0].real), float(slopes[falling][0].real)
    if not x.min() / 2.0 < place * scale < x.max() * 2.0:
        return None
    gradient = place**powers / steep
    return Share(float(place * scale), float(np.sqrt(gradient @ covariance @ gradient) * scale))


def _exponential(x: Array, value: Array, error: Array, degree: int) -> tuple[Array, Array, float]:
    """Coefficients of the exponent, their covariance, and chi-squared; variances grow as values."""
    design = x[:, None] ** np.arange(degree + 1)
    there = value > 0
    # Binomial variance is proportional to CLs where that is small.
    unit = float(np.median(error[there] ** 2 / value[there]))
    curve = np.linalg.lstsq(design[there], np.log(value[there]), rcond=None)[0]
    for _ in range(ITERATIONS):
        expected = np.exp(np.clip(design @ curve, -12.0, 0.5))
        weight = 1.0 / np.sqrt(unit * expected)
        slope = design * (expected * weight)[:, None]
        rest = (value - expected) * weight
        curve = curve + np.clip(np.linalg.lstsq(slope, rest, rcond=None)[0], -2.0, 2.0)
    covariance = np.asarray(np.linalg.pinv(slope.T @ slope), dtype=float)
    return np.asarray(curve, dtype=float), covariance, float(rest @ rest)
