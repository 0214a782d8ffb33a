"""Goodness of fit by the likelihood ratio to the saturated model.

S. Baker, R. Cousins, NIM 221 (1984) 437; with constrained parameters R. Cousins, "Generalization of
chisquare goodness-of-fit test for binned data using saturated models", 2013.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from fullchain.inference.differentiable import HistFactory, poisson
from fullchain.inference.fit_parameters import prefit_uncertainties
from fullchain.inference.fitting import Fit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GoodnessOfFit:
    """Likelihood ratio to the saturated model, which follows chi-squared for large numbers."""

    chi_squared: float
    degrees_of_freedom: int
    p_value: float


def saturated_log_probability(model: HistFactory, data: Array) -> float:
    """Largest possible probability of the data: every bin and every constraint exact."""
    seen = torch.as_tensor(data)
    main, auxiliary = seen[: model.bins], seen[model.bins :]
    found = poisson(main, main).sum()
    if len(auxiliary):
        exact = model.init.clone()
        # A Poisson constraint is of the parameter times a rate.
        scale = torch.where(model.auxiliary_poisson, model.auxiliary_scale, 1.0)
        exact[model.auxiliary_parameter] = auxiliary / scale
        found = found + model.log_constraint(exact, auxiliary)
    return float(found)


def goodness_of_fit(model: HistFactory, data: Array, best: Fit) -> GoodnessOfFit | None:
    """Compare the best fit with the model that describes every bin and constraint exactly.

    None where the model has as many free parameters as bins: there is nothing to test.
    """
    free = sum(
        known is None and not held
        for known, held in zip(prefit_uncertainties(model), model.held.tolist(), strict=True)
    )
    degrees = model.bins - free
    if degrees < 1:
        return None
    chi_squared = max(0.0, best.twice_nll + 2.0 * saturated_log_probability(model, data))
    return GoodnessOfFit(chi_squared, degrees, float(stats.chi2.sf(chi_squared, degrees)))
