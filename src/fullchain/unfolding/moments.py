"""Mean and width of a binned spectrum, with errors from its covariance."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of a spectrum inside its bins, with standard deviations."""

    mean: float
    width: float
    mean_error: float
    width_error: float


def moments(counts: Array, edges: Array, covariance: Array | None = None) -> Moments:
    """Mean and width of a spectrum of numbers of events (bins), all of a bin at its centre.

    Two spectra in the same bins are compared without a correction for the width of the bins, which
    both have. Errors are of first order in the covariance (bins, bins); 0 without one.

    Raises
    ------
    InputError
        The spectrum sums to nothing, or has no width.
    """
    centres = 0.5 * (edges[:-1] + edges[1:])
    total = float(counts.sum())
    if not (np.isfinite(total) and total > 0):
        raise InputError(f"a spectrum that sums to {total:g} has no mean; look at how it was made")
    mean = float((counts * centres).sum() / total)
    variance = float((counts * (centres - mean) ** 2).sum() / total)
    if not variance > 0:
        raise InputError("a spectrum with all its events in one bin has no width; take finer bins")
    width = float(np.sqrt(variance))
    if covariance is None:
        return Moments(mean, width, 0.0, 0.0)
    of_mean = (centres - mean) / total
    of_width = ((centres - mean) ** 2 - variance) / (2.0 * width * total)
    return Moments(mean, width, _error(of_mean, covariance), _error(of_width, covariance))


def _error(gradient: Array, covariance: Array) -> float:
    return float(np.sqrt(max(float(gradient @ covariance @ gradient), 0.0)))
