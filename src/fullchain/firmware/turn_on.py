"""Turn-on curves: efficiency in bins of the offline jet pT, and an error function fitted to it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from fullchain.firmware.trigger_rates import efficiency

Array = NDArray[np.float64]

LEAST = 10
"""Jets that must pass, and that must fail, for a fit."""

_CLOSE = 1e-9
"""Distance of probabilities from 0 and 1, which a finite sample cannot tell from less."""


def binned(
    pt: Array, passed: NDArray[np.bool_], weight: Array, edges: Sequence[float]
) -> list[dict[str, Any] | None]:
    """Give the efficiency in each bin of pT [GeV], None for bins without jets.

    Parameters
    ----------
    pt, passed, weight
        (jets); the upper edge of the last bin belongs to it.
    """
    inside = (pt >= edges[0]) & (pt <= edges[-1])
    place = np.clip(np.searchsorted(edges, pt, side="right") - 1, 0, len(edges) - 2)
    found = []
    for number in range(len(edges) - 1):
        chosen = inside & (place == number)
        one = efficiency(passed[chosen], weight[chosen])
        found.append(None if one is None else asdict(one))
    return found


@dataclass(frozen=True)
class Fit:
    """The fit p(pT) = (1 + erf((pT - midpoint) / (sqrt(2) width))) / 2.

    Parameters
    ----------
    midpoint, width
        (value, error) each [GeV].
    chi_squared, freedom
        Of bins whose expected numbers of passing and failing jets are at least 5.
    """

    midpoint: tuple[float, float]
    width: tuple[float, float]
    chi_squared: float
    freedom: int


def curve(pt: Array, midpoint: float, width: float) -> Array:
    """Give the error function of `Fit`."""
    return np.asarray(special.ndtr((pt - midpoint) / width))


def fit(
    pt: Array, passed: NDArray[np.bool_], weight: Array, edges: Sequence[float]
) -> tuple[Fit | None, str]:
    """Fit an error function that rises from 0 to 1, by maximum likelihood without bins.

    Gives the fit and "", or None and why there is none: with a plateau below 1, or the middle
    outside of the pT that there is, two parameters do not describe what is seen. Errors are those
    of the inverse of the information matrix, for weighted jets with the sum of squared weights in
    between.

    Parameters
    ----------
    pt, passed, weight
        (jets), pT in GeV.
    edges
        Bins of the chi-squared [GeV]; a midpoint outside of them is not taken.
    """
    if min(int(passed.sum()), int((~passed).sum())) < LEAST:
        return None, f"fewer than {LEAST} jets pass, or fail"
    sign = np.where(passed, 1.0, -1.0)
    span = edges[-1] - edges[0]

    def lost(parameters: Array) -> tuple[float, Array]:
        """Give minus the logarithm of the likelihood, for midpoint / span and ln width."""
        width = np.exp(parameters[1])
        x = (pt - parameters[0] * span) / width
        logarithm = special.log_ndtr(sign * x)
        # Density over probability, by logarithms: both vanish far from the middle.
        slope = weight * sign * np.exp(-0.5 * x**2 - 0.5 * np.log(2 * np.pi) - logarithm)
        gradient = np.array([(slope * span / width).sum(), (slope * x).sum()])
        return -float((weight * logarithm).sum()), gradient

    # Where as many jets lie above as pass.
    start = np.array([np.quantile(pt, 1 - passed.mean()) / span, np.log(0.1 * span)])
    bounds = [(edges[0] / span - 1, edges[-1] / span + 1), (np.log(1e-3 * span), np.log(4 * span))]
    result = optimize.minimize(lost, start, jac=True, method="L-BFGS-B", bounds=bounds)
    midpoint, width = float(result.x[0]) * span, float(np.exp(result.x[1]))
    if not edges[0] < midpoint < edges[-1]:
        return None, f"half efficiency is not reached between {edges[0]:g} and {edges[-1]:g} GeV"
    if width > span:
        return None, "the efficiency does not rise within the range of pT"
    errors = np.sqrt(np.diag(_covariance(pt, weight, midpoint, width)))
    if errors[1] > 0.5 * width:
        return None, "too few jets lie where the efficiency rises to know how steeply"
    squares, bins = _chi_squared(pt, passed, weight, edges, midpoint, width)
    return Fit(
        (midpoint, float(errors[0])), (width, float(errors[1])), squares, max(bins - 2, 0)
    ), ""


def _covariance(pt: Array, weight: Array, midpoint: float, width: float) -> Array:
    x = (pt - midpoint) / width
    # Jets far from the middle know nothing, and 0 / 0 must not stand for that.
    p = np.clip(special.ndtr(x), _CLOSE, 1 - _CLOSE)
    density = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi) / width
    slopes = np.stack([-density, -density * x], axis=1)
    information = slopes / (p * (1 - p))[:, None]
    inverse = np.linalg.inv(slopes.T @ (information * weight[:, None]))
    between = slopes.T @ (information * (weight**2)[:, None])
    return np.asarray(inverse @ between @ inverse)


def _chi_squared(
    pt: Array,
    passed: NDArray[np.bool_],
    weight: Array,
    edges: Sequence[float],
    midpoint: float,
    width: float,
) -> tuple[float, int]:
    p = curve(pt, midpoint, width)
    squares, bins = 0.0, 0
    for low, high in pairwise(edges):
        chosen = (pt >= low) & (pt < high)
        if min(p[chosen].sum(), (1 - p[chosen]).sum()) < 5:
            continue
        difference = (weight[chosen] * (passed[chosen] - p[chosen])).sum()
        squares += float(difference**2 / (weight[chosen] ** 2 * p[chosen] * (1 - p[chosen])).sum())
        bins += 1
    return squares, bins
