"""A maximum-likelihood fit with its covariance, and the test for a signal.

Uncertainties are those of the inverse Hessian. The discovery significance is the square root of q0
(G. Cowan, K. Cranmer, E. Gross, O. Vitells, EPJ C 71 (2011) 1554, eq. 12).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fullchain.errors import InputError
from fullchain.inference import covariance as covariances
from fullchain.inference import fit_diagnosis
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.minimum import minimum

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """Result of one minimisation.

    `covariance` has a row for every parameter of the model; those of fixed ones are zero.
    `at_limit` names the free parameters that end at the edge of their range, where the uncertainty
    is not to be trusted.
    """

    names: tuple[str, ...]
    values: Array
    covariance: Array
    twice_nll: float
    distance_to_minimum: float
    at_limit: tuple[str, ...]

    def index(self, name: str) -> int:
        """Place of a parameter."""
        return self.names.index(name)

    @property
    def uncertainties(self) -> Array:
        """Standard deviations; zero for fixed parameters."""
        return np.asarray(np.sqrt(np.diagonal(self.covariance)))

    @property
    def correlation(self) -> Array:
        """Correlation matrix; zero off the diagonal for fixed parameters."""
        return covariances.correlation(self.covariance)


@dataclass(frozen=True)
class Discovery:
    """Test of the hypothesis without signal: q0, and its square root as significance."""

    q0: float
    significance: float

    @property
    def p_value(self) -> float:
        """One-sided p-value."""
        return float(stats.norm.sf(self.significance))


def poi_index(model: HistFactory) -> int:
    """Place of the parameter of interest.

    Raises
    ------
    InputError
        The model has none.
    """
    if model.poi is None:
        raise InputError("the workspace has no parameter of interest in its measurement")
    return model.poi


def fit(
    model: HistFactory,
    data: Array,
    *,
    fixed: Mapping[int, float] | None = None,
    what: str = "the fit",
    limits_are_errors: bool = False,
) -> Fit:
    """Fit all free parameters of a model to data, with their covariance.

    Parameters
    ----------
    model
        The likelihood.
    data
        Main bins followed by auxiliary measurements.
    fixed
        Parameters that are held, with their values, besides those that the model holds.
    what
        Name of the fit in messages.
    limits_are_errors
        Whether a nuisance parameter that ends at its limit is an error. The parameter of interest
        may: a deficit with a signal strength that cannot be negative is no fault of the model.

    Raises
    ------
    InputError
        Data or yields are no numbers, the minimisation does not converge, a nuisance parameter ends
        at its limit, or the Hessian is not positive. The message names what is at fault.
    """
    fit_diagnosis.check_data(model, data)
    found = minimum(model, data, fixed=fixed, starts=_without_signal(model), what=what)
    stuck = [one for one in found.at_limit if one != model.poi]
    if stuck and limits_are_errors:
        raise fit_diagnosis.at_limit(model, stuck, found.values, what)
    return Fit(
        names=model.names,
        values=found.values,
        covariance=covariances.covariance(
            model, found.values, data, fixed=frozenset(fixed or ()), what=what
        ),
        twice_nll=found.twice_nll,
        distance_to_minimum=found.distance,
        at_limit=tuple(model.names[one] for one in found.at_limit),
    )


def discovery(model: HistFactory, data: Array, best: Fit, what: str = "the fit") -> Discovery:
    """Test the background alone against the best fit; a negative signal counts as none."""
    place = poi_index(model)
    if best.values[place] <= 0:
        return Discovery(0.0, 0.0)
    background = minimum(
        model, data, fixed={place: 0.0}, starts=best.values[None], what=f"{what} without signal"
    )
    q0 = max(0.0, background.twice_nll - best.twice_nll)
    return Discovery(q0, float(np.sqrt(q0)))


def _without_signal(model: HistFactory) -> Array | None:
    """A second place to start from: the initial values with no signal."""
    if model.poi is None:
        return None
    point = model.init.numpy().copy()
    point[model.poi] = 0.0
    return point[None]
