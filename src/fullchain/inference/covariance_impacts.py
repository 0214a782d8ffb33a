"""Impacts of nuisance parameters from the covariance at the minimum, without a further fit.

If the likelihood is a Gaussian of the parameters, fixing a parameter at its value plus or minus its
postfit uncertainty and fitting again shifts the parameter of interest by its covariance with that
parameter over the latter's uncertainty: a refit of each gives the same, for as many fits.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def impacts(covariance: Array, poi: int) -> Array:
    """Shift of the parameter of interest per postfit standard deviation of each parameter.

    Parameters
    ----------
    covariance
        Of all parameters (P, P); rows of fixed ones are zero.
    poi
        Place of the parameter of interest.

    Returns
    -------
    numpy.ndarray
        Signed shifts (P,) for an upward change; a downward change gives the opposite. Zero for
        fixed parameters; for the parameter of interest its own uncertainty.
    """
    widths = np.sqrt(np.diag(covariance))
    found: Array = np.divide(covariance[poi], widths, out=np.zeros_like(widths), where=widths > 0)
    return found


def prefit_impacts(covariance: Array, poi: int, prefit: Sequence[float | None]) -> Array:
    """Shifts (P,) per prefit standard deviation; not a number for free parameters."""
    variance = np.diag(covariance)
    widths = np.array([np.nan if one is None else one for one in prefit], dtype=float)
    slope = np.divide(covariance[poi], variance, out=np.zeros(len(variance)), where=variance > 0)
    return np.asarray(slope * widths)


def grouped(covariance: Array, poi: int, groups: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Part of the uncertainty that goes when all parameters of a group are held, in quadrature.

    Parameters
    ----------
    groups
        Places of the parameters of each group, without the parameter of interest.

    Returns
    -------
    dict
        For each group the root of the difference of variances without and with its parameters held
        (correlations between its parameters are included).
    """
    return {
        name: float(np.sqrt(max(_explained(covariance, poi, list(places)), 0.0)))
        for name, places in groups.items()
    }


def statistical(covariance: Array, poi: int, nuisances: Sequence[int]) -> float:
    """Uncertainty that is left when all nuisance parameters are held."""
    left = covariance[poi, poi] - _explained(covariance, poi, list(nuisances))
    return float(np.sqrt(max(left, 0.0)))


def _explained(covariance: Array, poi: int, places: list[int]) -> float:
    """Variance that goes with some parameters: the Schur complement of their block."""
    varied = [place for place in places if covariance[place, place] > 0]
    if not varied:
        return 0.0
    block = covariance[np.ix_(varied, varied)]
    cross = covariance[poi, varied]
    return float(cross @ np.linalg.solve(block, cross))
