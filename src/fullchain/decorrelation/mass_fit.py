"""Fit of a signal in the mass of jets that pass a cut, with background from those that fail.

In each bin i of the mass, the numbers of passing and failing jets follow Poisson distributions of
means

    pass_i = exp(sum_k c_k P_k(m_i)) b_i + mu s_i,        fail_i = b_i + mu f_i,

with templates s and f of the signal, a free number b_i >= 0 of background jets that fail in each
bin, and a transfer factor that is the exponential of a polynomial of given order (Legendre
polynomials P_k over the window). Where efficiency does not depend on the mass, order 0 is exact. A
cut that sculpts the background needs higher orders, which cost precision, or fakes a signal.

For each c and mu the best b_i solves a quadratic equation; what is left to the minimiser are mu and
the coefficients. Uncertainties are those of the expected information with b_i profiled.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from fullchain.decorrelation.newton import Rows, minimise
from fullchain.decorrelation.smoothing import legendre

Array = npt.NDArray[np.float64]

SMALLEST = 1e-12
"""Least expected number of jets in a bin."""


@dataclass(frozen=True)
class Fits:
    """Results of some fits, arrays of shape (fits,).

    `twice_nll` is relative to the saturated model; `transfer` has the coefficients, (fits, order +
    1). Where the signal strength is held, its uncertainty is zero.
    """

    mu: Array
    uncertainty: Array
    twice_nll: Array
    transfer: Array
    converged: npt.NDArray[np.bool_]


def fit(
    passing: Array,
    failing: Array,
    signal_passing: Array,
    signal_failing: Array,
    order: int,
    *,
    mu: float | None = None,
) -> Fits:
    """Fit some spectra at once.

    Parameters
    ----------
    passing, failing
        Numbers of jets in the bins of the mass, (fits, bins); any real numbers from zero on.
    signal_passing, signal_failing
        Expected numbers of signal jets for mu = 1, (fits, bins) or (bins,).
    order
        Order of the transfer factor.
    mu
        Signal strength that is held; None fits it.
    """
    design = legendre(passing.shape[1], order)
    up = np.broadcast_to(signal_passing, passing.shape)
    down = np.broadcast_to(signal_failing, failing.shape)
    ratio = np.maximum(passing.sum(axis=1), 0.5) / np.maximum(failing.sum(axis=1), 0.5)
    coefficients = np.zeros((len(passing), order + 1))
    coefficients[:, 0] = np.log(ratio)
    attempts = []
    for strength in (0.0, 1.0) if mu is None else (mu,):
        likelihood = _Likelihood(passing, failing, up, down, design, strength)
        held = minimise(likelihood, coefficients)
        if mu is not None:
            attempts.append((held.parameters, held))
            continue
        start = np.concatenate([np.full((len(passing), 1), strength), held.parameters], axis=1)
        free = minimise(_Likelihood(passing, failing, up, down, design, None), start)
        attempts.append((free.parameters[:, 1:], free))
    # A cut that makes background look like signal has two minima: the lower one counts.
    transfer, found = attempts[0]
    for other_transfer, other in attempts[1:]:
        better = other.value < found.value
        transfer = np.where(better[:, None], other_transfer, transfer)
        found = found.where_better(other, better)
    if mu is not None:
        strengths, widths = np.full(len(passing), mu), np.zeros(len(passing))
    else:
        strengths = found.parameters[:, 0]
        widths = np.sqrt(np.maximum(found.covariance[:, 0, 0], 0.0))
    return Fits(strengths, widths, 2.0 * found.value, transfer, found.converged)


@dataclass(frozen=True)
class _Likelihood:
    """Negative logarithm of the likelihood, for `newton.minimise`.

    Parameters are the coefficients of the transfer factor, after mu where `mu` is None.
    """

    passing: Array
    failing: Array
    up: Array
    down: Array
    design: Array
    mu: float | None

    def __call__(self, parameters: Array, rows: Rows) -> tuple[Array, Array, Array]:
        passing, failing = self.passing[rows], self.failing[rows]
        one_up, one_down = self.up[rows], self.down[rows]
        first = 1 if self.mu is None else 0
        mu = parameters[:, :1] if self.mu is None else np.full((len(parameters), 1), self.mu)
        up, down = mu * one_up, mu * one_down
        transfer = np.exp(np.clip(parameters[:, first:] @ self.design.T, -50.0, 50.0))
        background = best_background(passing, failing, up, down, transfer)
        above = np.maximum(transfer * background + up, SMALLEST)
        below = np.maximum(background + down, SMALLEST)
        value = (_deviance(passing, above) + _deviance(failing, below)).sum(axis=1)
        # A negative signal may leave no jets at all in a bin that passes, or fails: background is
        # then what it takes to keep the mean at zero, and moves with the signal.
        no_above, no_below = above <= 2.0 * SMALLEST, below <= 2.0 * SMALLEST
        excess = np.where(no_above, 0.0, 1.0 - passing / above)
        excess_below = np.where(no_below, 0.0, 1.0 - failing / below)
        by_transfer = np.where(no_below, -transfer * down, transfer * background)
        by_transfer_below = np.where(no_above, up / transfer, 0.0)
        slope = excess * by_transfer + excess_below * by_transfer_below
        gradient = slope @ self.design
        # With b profiled, what counts of a change is the part that b cannot follow.
        part = np.where(no_above, by_transfer_below, by_transfer)
        lever = part[:, :, None] * self.design
        variance = np.where(no_above, below, np.where(no_below, above, above + transfer**2 * below))
        if self.mu is None:
            mean_up = one_up - np.where(no_below, transfer * one_down, 0.0)
            mean_down = one_down - np.where(no_above, one_up / transfer, 0.0)
            by_mu = (excess * mean_up + excess_below * mean_down).sum(axis=1)
            gradient = np.concatenate([by_mu[:, None], gradient], axis=1)
            own = np.where(no_above, mean_down, one_up - transfer * one_down)
            lever = np.concatenate([own[:, :, None], lever], axis=2)
        weighted = lever / np.maximum(variance, SMALLEST)[:, :, None]
        return value, gradient, np.matmul(weighted.transpose(0, 2, 1), lever)


def best_background(
    passing: Array, failing: Array, signal_passing: Array, signal_failing: Array, transfer: Array
) -> Array:
    """Background jets that fail with the largest likelihood, given signal and transfer factor.

    All arrays have shape (fits, bins). It is the larger solution of

        failing / (b + f) + passing / (b + s / t) = 1 + t,

    or the least value that leaves no mean below zero.
    """
    shifted = signal_passing / transfer
    both = 1.0 + transfer
    # both b^2 + linear b + constant = 0
    linear = both * (signal_failing + shifted) - failing - passing
    constant = both * signal_failing * shifted - failing * shifted - passing * signal_failing
    root = np.sqrt(np.maximum(linear**2 - 4.0 * both * constant, 0.0))
    # The sum of two positive terms, whatever the sign of the linear one, loses no digits.
    larger = np.where(
        linear <= 0,
        (root - linear) / (2.0 * both),
        -2.0 * constant / np.maximum(root + linear, SMALLEST),
    )
    least = np.maximum(0.0, np.maximum(-signal_failing, -shifted))
    return np.maximum(larger, least + SMALLEST)


def _deviance(number: Array, mean: Array) -> Array:
    """Negative logarithm of the Poisson probability, relative to that of the best mean."""
    return np.asarray(mean - number + special.xlogy(number, number / mean))
