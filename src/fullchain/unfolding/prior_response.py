"""How an unfolding with an iterated prior follows a small change, without a new training.

In a replica of the data, or under a shift, the iterated prior is another one too: weights of the
data alone would give errors that are too small, by the factor by which a posterior is drawn to its
prior. Let q be the prior of the nominal result and q exp(delta.phi) that of the changed one, with
phi the observables and their products. A posterior with the second prior is the first one times
exp(delta.phi), whatever the detector does. So the samples of each event are weighted by this
factor, with their sum kept, and the next prior follows from the first moments of the unfolded
events:  delta <- C^-1 (m - m_0),  where m and m_0 are the means of phi over the changed and the
nominal unfolded events and C is its covariance. That is the first order of the iteration by a
classifier, restricted to phi. There are as many rounds as there were iterations.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LARGEST = 4.0
"""Bound on the observables in phi, which are of width one."""

RIDGE = 1e-3
"""Part of the diagonal that is added to the covariance, against products that are nearly equal."""

LARGEST_TILT = 3.0
"""Bound on the exponent."""


def features(values: Array) -> Array:
    """Observables and their products, (..., k) of (..., observables) transformed values.

    Examples
    --------
    >>> features(np.array([[1.0, 2.0]])).tolist()
    [[1.0, 2.0, 1.0, 2.0, 4.0]]
    """
    values = np.clip(values, -LARGEST, LARGEST)
    first, second = np.triu_indices(values.shape[-1])
    return np.concatenate([values, values[..., first] * values[..., second]], axis=-1)


@dataclass(frozen=True)
class PriorResponse:
    """The nominal result, and how a prior follows from moments.

    Parameters
    ----------
    mean
        (k) of phi over the nominal unfolded events.
    inverse
        (k, k) inverse of its covariance.
    rounds
        Number of iterations.
    """

    mean: Array
    inverse: Array
    rounds: int

    @classmethod
    def measured(cls, phi: Array, weight: Array, rounds: int) -> "PriorResponse":
        """Measure moments of nominal unfolded events: phi (rows, k), weight (rows)."""
        mean = np.average(phi, axis=0, weights=weight)
        centred = phi - mean
        covariance = (centred * weight[:, None]).T @ centred / weight.sum()
        covariance += RIDGE * np.diag(np.diag(covariance) + 1e-12)
        return cls(mean, np.linalg.inv(covariance), rounds)

    def tilt(self, mean: Array, reference: Array | None = None) -> Array:
        """Give delta (k) for moments `mean` (k) in place of the nominal or other ones."""
        return np.asarray(self.inverse @ (mean - (self.mean if reference is None else reference)))

    def followed(
        self, phi: Array, parts: Array, event: Array, inverse_efficiency: Array, start: Array
    ) -> Array:
        """Weight samples of a changed unfolding.

        Parameters
        ----------
        phi
            (events, samples, k) of the samples, drawn with the prior q exp(start.phi).
        parts
            (events, samples) with which each event is divided over its samples before.
        event
            (events) weights of the events, genuine ones at detector level.
        inverse_efficiency
            (events, samples).
        start
            (k) see phi; 0 for a replica of the data.

        Returns
        -------
        ndarray
            (events, samples), which sum to 1 over the samples.
        """
        first = parts
        for _ in range(self.rounds):
            weight = event[:, None] * parts * inverse_efficiency
            mean = np.tensordot(weight, phi, axes=2) / weight.sum()
            exponent = phi @ (self.tilt(mean) - start)
            exponent = np.clip(exponent, -LARGEST_TILT, LARGEST_TILT)
            parts = first * np.exp(exponent)
            parts = parts / parts.sum(axis=1, keepdims=True)
        return parts
