"""Smooth expectations from histograms of few simulated jets.

The spectrum is the exponential of a polynomial in the mass, fitted to Poisson numbers; the
efficiency of a cut the logistic function of one, fitted to binomial numbers. Polynomials are
Legendre's over the range of the histogram, their order the lowest that no higher one improves in a
likelihood-ratio test (S. Wilks, Ann. Math. Stat. 9 (1938) 60).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from fullchain.decorrelation.newton import Minimum, Rows, minimise

Array = npt.NDArray[np.float64]


def legendre(bins: int, order: int) -> Array:
    """Legendre polynomials of orders 0 to `order` in the centres of bins, (bins, order + 1)."""
    centres = (np.arange(bins) + 0.5) * 2.0 / bins - 1.0
    return np.asarray(np.polynomial.legendre.legvander(centres, order))


def fit_spectrum(content: Array, order: int) -> tuple[Array, Minimum]:
    """Fit the exponential of a polynomial to numbers of jets (fits, bins) of Poisson statistics.

    Returns the smooth numbers, (fits, bins), and the fit, whose value is the negative logarithm of
    the likelihood relative to the saturated one.
    """
    design = legendre(content.shape[1], order)
    products = design[:, :, None] * design[:, None, :]
    start = np.zeros((len(content), order + 1))
    start[:, 0] = np.log(np.maximum(content.mean(axis=1), 1e-9))

    def objective(parameters: Array, rows: Rows) -> tuple[Array, Array, Array]:
        rate = np.exp(np.clip(parameters @ design.T, -50.0, 50.0))
        number = content[rows]
        value = (rate - number + special.xlogy(number, number / rate)).sum(axis=1)
        return value, (rate - number) @ design, np.tensordot(rate, products, axes=1)

    found = minimise(objective, start)
    return np.exp(np.clip(found.parameters @ design.T, -50.0, 50.0)), found


def fit_efficiency(passing: Array, failing: Array, order: int) -> tuple[Array, Minimum]:
    """Fit the logistic function of a polynomial to numbers that pass and fail, both (fits, bins).

    Returns the smooth logit of the efficiency, (fits, bins), and the fit, as `fit_spectrum`.
    """
    design = legendre(passing.shape[1], order)
    products = design[:, :, None] * design[:, None, :]
    start = np.zeros((len(passing), order + 1))
    start[:, 0] = np.log(
        np.maximum(passing.sum(axis=1), 1e-9) / np.maximum(failing.sum(axis=1), 1e-9)
    )
    total = passing + failing
    saturated = np.zeros_like(total)
    for part in (passing, failing):
        ratio = np.divide(part, total, out=np.ones_like(total), where=total > 0)
        saturated += special.xlogy(part, ratio)

    def objective(parameters: Array, rows: Rows) -> tuple[Array, Array, Array]:
        logit = np.clip(parameters @ design.T, -50.0, 50.0)
        one, every = passing[rows], total[rows]
        # -log of the logistic function and of its complement, without overflow
        value = one * np.logaddexp(0.0, -logit) + (every - one) * np.logaddexp(0.0, logit)
        efficiency = special.expit(logit)
        weight = every * efficiency * (1.0 - efficiency)
        gradient = (every * efficiency - one) @ design
        information = np.tensordot(weight, products, axes=1)
        return (value + saturated[rows]).sum(axis=1), gradient, information

    found = minimise(objective, start)
    return np.clip(found.parameters @ design.T, -50.0, 50.0), found


def lowest_order(values: Sequence[float], level: float) -> int:
    """Give the lowest order that no higher one improves significantly.

    Parameters
    ----------
    values
        Negative logarithm of the likelihood at the minimum for orders 0, 1, ...
    level
        Level of the tests of twice the gain against chi-squared with the difference of the orders;
        the tests of one order share it.

    Examples
    --------
    >>> lowest_order([50.0, 10.0, 9.5, 9.4], 0.05)
    1
    """
    for order, value in enumerate(values):
        gains = [2.0 * (value - better) for better in values[order + 1 :]]
        share = level / max(len(gains), 1)
        if all(gain < stats.chi2.isf(share, k + 1) for k, gain in enumerate(gains)):
            return order
    return len(values) - 1
