"""Fitted parameters beside what was known of them before the fit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fullchain.inference.differentiable import HistFactory
from fullchain.inference.fitting import Fit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Parameter:
    """A fitted parameter beside what was known of it before.

    `prefit_uncertainty` is None for a free parameter, whose pull and constraint are then None. The
    pull is the shift from the prefit value in units of the prefit uncertainty, the constraint the
    ratio of the uncertainties.
    """

    name: str
    value: float
    uncertainty: float
    prefit: float
    prefit_uncertainty: float | None
    fixed: bool
    at_limit: bool

    @property
    def pull(self) -> float | None:
        """Shift in prefit standard deviations; None where there is no constraint, or no fit."""
        if not self.prefit_uncertainty or self.fixed:
            return None
        return (self.value - self.prefit) / self.prefit_uncertainty

    @property
    def constraint(self) -> float | None:
        """Postfit over prefit uncertainty; None where there is no constraint, or no fit."""
        if not self.prefit_uncertainty or self.fixed:
            return None
        return self.uncertainty / self.prefit_uncertainty


def prefit_uncertainties(model: HistFactory) -> list[float | None]:
    """Standard deviations of the constraints: None for free parameters, 0 for those held.

    The standard deviation of a Poisson constraint with rate `scale` times parameter is that of the
    measurement at the initial value.
    """
    found: list[float | None] = [None] * len(model.names)
    rows = zip(
        model.auxiliary_parameter.tolist(),
        model.auxiliary_scale.tolist(),
        model.auxiliary_poisson.tolist(),
        strict=True,
    )
    for index, scale, counted in rows:
        width = (float(model.init[index]) / scale) ** 0.5 if counted else scale
        found[index] = 0.0 if bool(model.held[index]) else float(width)
    return found


def prefit_covariance(model: HistFactory) -> Array:
    """Diagonal covariance of the constraints; free parameters have no prefit uncertainty."""
    return np.diag([(width or 0.0) ** 2 for width in prefit_uncertainties(model)])


def parameters(model: HistFactory, fitted: Fit) -> list[Parameter]:
    """Give the fitted parameters beside their prefit values, in the order of the model."""
    rows = zip(
        fitted.names,
        fitted.values.tolist(),
        fitted.uncertainties.tolist(),
        model.init.tolist(),
        prefit_uncertainties(model),
        model.held.tolist(),
        strict=True,
    )
    return [
        Parameter(
            name, value, width, before, None if held else known, held, name in fitted.at_limit
        )
        for name, value, width, before, known, held in rows
    ]
