"""Iterative Bayesian unfolding of binned spectra.

D'Agostini, NIM A 362 (1995) 487; with many iterations the maximum-likelihood solution (Lucy and
Richardson), with few a compromise with the prior. The derivative by the data is complete, that is
through all iterations, as in Adye, 1105.1160.

All functions take leading axes: one batched matrix product serves all replicas.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fullchain.unfolding.sample import Array

Rule = Literal["fixed", "change", "refolding"]

LEAST_EXPECTED = 1.0
"""Events that the refolded spectrum expects in a cell for it to count in chi squared."""


@dataclass(frozen=True)
class Stopping:
    """When to stop.

    Parameters
    ----------
    iterations
        Number of iterations, or the largest one of a rule.
    rule
        `fixed`: no rule. `change`: as soon as the mean square change of a cell in an iteration, in
        units of its Poisson variance, is below `threshold`. `refolding`: as soon as chi squared
        per cell between data and refolded spectrum is.
    threshold
        See `rule`.
    """

    iterations: int
    rule: Rule = "fixed"
    threshold: float = 0.0


@dataclass(frozen=True)
class Detector:
    """What is measured in cells of the detector level, and what in it is no signal.

    Parameters
    ----------
    data
        (reco cells) sum of weights.
    background
        (reco cells) expected sum of weights, subtracted.
    background_variance
        (reco cells) of `background`.
    acceptance
        (reco cells) part of the remainder that passes the particle level.
    scale
        Variance of a weighted count over its expectation: 1 without weights.
    """

    data: Array
    background: Array
    background_variance: Array
    acceptance: Array
    scale: float

    @property
    def signal(self) -> Array:
        """Events to unfold; none where the background is larger than the data."""
        return np.maximum(self.data - self.background, 0.0) * self.acceptance

    def refolded(self, folded: Array) -> Array:
        """What is expected in the data, from the signal that the unfolded spectrum gives.

        Background only in cells that no signal reaches.
        """
        return _divided(folded, self.acceptance) + self.background

    def chi_squared(self, folded: Array) -> tuple[float, int]:
        """Pearson's chi squared of the data against the refolded spectrum, and number of cells.

        Of cells that expect an event at least. The statistics of the response are not in it.
        """
        expected = self.refolded(folded)
        counted = (expected >= LEAST_EXPECTED * self.scale) & (self.acceptance > 0)
        variance = (expected * self.scale + self.background_variance)[counted]
        squares = (self.data - expected)[counted] ** 2 / variance
        return float(squares.sum()), int(counted.sum())


@dataclass(frozen=True)
class Iteration:
    """How far an iteration came.

    Parameters
    ----------
    counts
        (gen cells) unfolded number of events.
    change
        Mean square change of a cell, in units of its Poisson variance.
    chi_squared, cells
        Of the refolded spectrum, see `Detector.chi_squared`.
    """

    counts: Array
    change: float
    chi_squared: float
    cells: int


def fold(counts: Array, response: Array) -> Array:
    """Give the expected signal (..., reco cells) of counts (..., gen cells).

    Parameters
    ----------
    response
        (reco cells, gen cells), shared, or (..., reco cells, gen cells).
    """
    if response.ndim == 2:
        return counts @ response.T
    return (response @ counts[..., None])[..., 0]


def improved(counts: Array, signal: Array, response: Array) -> Array:
    """One iteration: counts_j / eps_j sum_i R_ij signal_i / sum_l R_il counts_l.

    Parameters
    ----------
    counts, signal, response
        (..., gen cells), (..., reco cells), and as in `fold`.

    Returns
    -------
    array
        (..., gen cells); 0 in cells without efficiency. Signal in cells that the counts do not
        reach is lost.
    """
    ratio = _divided(signal, fold(counts, response))
    efficiency = response.sum(axis=-2)
    back = ratio @ response if response.ndim == 2 else (ratio[..., None, :] @ response)[..., 0, :]
    return counts * _divided(back, np.broadcast_to(efficiency, back.shape))


def unfold(signal: Array, response: Array, prior: Array, iterations: int) -> Array:
    """Unfold with a number of iterations.

    Parameters
    ----------
    signal
        (..., reco cells) events, background and fakes taken off.
    response
        (reco cells, gen cells), shared, or (..., reco cells, gen cells).
    prior
        (..., gen cells), of any normalisation.

    Returns
    -------
    array
        (..., gen cells) number of events, corrected for inefficiency. Of cells without efficiency
        nothing is known: they get the prior, in the proportion of unfolded to prior in the others.
    """
    shape = np.broadcast_shapes(signal.shape[:-1], response.shape[:-2], prior.shape[:-1])
    counts = np.broadcast_to(prior, (*shape, prior.shape[-1]))
    for _ in range(iterations):
        counts = improved(counts, signal, response)
    return completed(counts, response, prior)


def completed(counts: Array, response: Array, prior: Array) -> Array:
    """Fill cells without efficiency, see `unfold`."""
    measured = response.sum(axis=-2) > 0
    total = np.where(measured, counts, 0.0).sum(axis=-1, keepdims=True)
    before = np.where(measured, prior, 0.0).sum(axis=-1, keepdims=True)
    return np.where(measured, counts, prior * _divided(total, before))


def iterate(
    detector: Detector, response: Array, prior: Array, stopping: Stopping
) -> tuple[list[Iteration], str]:
    """Unfold one spectrum, and see how it proceeds.

    Parameters
    ----------
    response, prior
        (reco cells, gen cells), (gen cells).

    Returns
    -------
    list
        The iterations; the last one has the result.
    str
        Why it stopped.
    """
    signal = detector.signal
    # At the data's normalisation, or the first change would be one of units.
    before = prior * _divided(signal.sum(), fold(prior, response).sum())
    found: list[Iteration] = []
    for number in range(1, stopping.iterations + 1):
        after = improved(before, signal, response)
        filled = after > 0
        squares = (after - before)[filled] ** 2 / (after[filled] * detector.scale)
        change = float(squares.mean()) if filled.any() else 0.0
        chi_squared, cells = detector.chi_squared(fold(after, response))
        found.append(Iteration(completed(after, response, prior), change, chi_squared, cells))
        if stopping.rule == "change" and change < stopping.threshold:
            return found, f"change below {stopping.threshold:g} after {number} iterations"
        if stopping.rule == "refolding" and chi_squared < stopping.threshold * cells:
            return found, f"chi squared below {stopping.threshold:g} a cell after {number}"
        before = after
    if stopping.rule == "fixed":
        return found, f"after {stopping.iterations} iterations, as set"
    return found, f"the rule was not fulfilled within {stopping.iterations} iterations"


def derivative(signal: Array, response: Array, prior: Array, iterations: int) -> Array:
    """Derivative of the unfolded counts by the signal, (gen cells, reco cells).

    With it the covariance of the data propagates: D V D^T. Of one spectrum, no leading axes.
    """
    efficiency = response.sum(axis=0)
    weight = _divided(np.ones_like(efficiency), efficiency)
    counts, found = prior, np.zeros((len(prior), len(signal)))
    for _ in range(iterations):
        folded = fold(counts, response)
        ratio = _divided(signal, folded)
        factor = (ratio @ response) * weight
        direct = response * _divided(np.ones_like(folded), folded)[:, None]
        through = response * _divided(ratio, folded)[:, None]
        slope = direct.T - through.T @ (response @ found)
        found = factor[:, None] * found + (counts * weight)[:, None] * slope
        counts = counts * factor
    measured = efficiency > 0
    total = found[measured].sum(axis=0) / max(prior[measured].sum(), np.finfo(float).tiny)
    found[~measured] = prior[~measured, None] * total
    return found


def _divided(over: Array, under: Array) -> Array:
    shape = np.broadcast_shapes(np.shape(over), np.shape(under))
    return np.divide(over, under, out=np.zeros(shape), where=np.asarray(under) > 0)
