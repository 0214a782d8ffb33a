"""Whether posteriors are right event by event: the quantiles of the truth among the samples.

If the true particle level of an event is drawn from the posterior that its samples are drawn from,
its rank among them is uniform over 0 to their number, event by event and whatever the prior
(Cook, Gelman and Rubin 2006; Talts et al. 1804.06788). A posterior that is too narrow heaps ranks
at both ends, one that is too wide in the middle, and a biased one at one end.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import kolmogorov
from scipy.stats import chi2

from fullchain.errors import InputError

Array = npt.NDArray[np.float64]

BINS = 10


@dataclass(frozen=True)
class Uniformity:
    """Test of one observable.

    Parameters
    ----------
    counts, errors
        (bins) weighted number of events in equal bins of the quantile, over the mean; and the
        statistical error.
    ks, ks_probability
        Largest distance from the uniform distribution, and its probability for as many events as
        the weights are worth.
    chi2, degrees, chi2_probability
        Of the counts about one.
    """

    counts: Array
    errors: Array
    ks: float
    ks_probability: float
    chi2: float
    degrees: int
    chi2_probability: float

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, for JSON."""
        return {
            "counts": self.counts.tolist(),
            "errors": self.errors.tolist(),
            "ks": self.ks,
            "ks_probability": self.ks_probability,
            "chi2": self.chi2,
            "degrees": self.degrees,
            "chi2_probability": self.chi2_probability,
        }


def quantiles(truth: Array, samples: Array, rng: np.random.Generator) -> Array:
    """Give the quantile of each true value among its samples, in (0, 1).

    Parameters
    ----------
    truth
        (events, observables).
    samples
        (events, samples, observables).
    rng
        Parts what is equal, in integers and spikes, and spreads each rank over its interval.
    """
    below = (samples < truth[:, None]).sum(axis=1)
    equal = (samples == truth[:, None]).sum(axis=1)
    rank = below + np.floor(rng.random(truth.shape) * (equal + 1))
    return np.asarray((rank + rng.random(truth.shape)) / (samples.shape[1] + 1))


def uniformity(quantile: Array, weight: Array, bins: int = BINS) -> Uniformity:
    """Test quantiles (events) with weights (events) for uniformity.

    Raises InputError without events.
    """
    if len(quantile) == 0 or weight.sum() <= 0:
        raise InputError("no event to test the posteriors on; make more, or raise validation")
    edges = np.linspace(0.0, 1.0, bins + 1)
    sums, _ = np.histogram(quantile, edges, weights=weight)
    squares, _ = np.histogram(quantile, edges, weights=weight**2)
    total = weight.sum()
    mean = total / bins
    # Under the hypothesis each bin has its part of the sum of squares, and the sum is fixed.
    variance = (weight**2).sum() / bins
    found = float(((sums - mean) ** 2).sum() / variance)
    order = np.argsort(quantile, kind="stable")
    reached = np.cumsum(weight[order]) / total
    before = reached - weight[order] / total
    distance = float(np.maximum(reached - quantile[order], quantile[order] - before).max())
    worth = total**2 / (weight**2).sum()
    return Uniformity(
        sums / mean,
        np.sqrt(squares) / mean,
        distance,
        float(kolmogorov(np.sqrt(worth) * distance)),
        found,
        bins - 1,
        float(chi2.sf(found, bins - 1)),
    )
