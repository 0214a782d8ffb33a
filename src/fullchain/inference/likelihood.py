"""The likelihood of a HistFactory model: loading it, its constraints, and data made from it."""

import logging
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyhf
from numpy.typing import NDArray

from fullchain.errors import InputError

Array = NDArray[np.float64]

INTERPOLATION = {
    "normsys": {"interpcode": "code4"},
    "histosys": {"interpcode": "code4p"},
}
"""Smooth at zero, as in ROOT's and cabinetry's defaults."""

SMALLEST_YIELD = 1e-10
"""Bins cannot expect less: far outside one standard deviation shapes are extrapolated linearly."""

# It would repeat in every log that bins are clipped, which is meant.
logging.getLogger("pyhf.pdf").setLevel(logging.ERROR)


def load_model(specification: Mapping[str, Any]) -> tuple[pyhf.pdf.Model, Array]:
    """Give the model of a workspace and its data: main bins, then auxiliary measurements.

    Raises
    ------
    InputError
        The workspace does not follow the schema, or its parts do not fit together.
    """
    try:
        workspace = pyhf.Workspace(specification)
        model = workspace.model(modifier_settings=INTERPOLATION, clip_bin_data=SMALLEST_YIELD)
        data = np.asarray(workspace.data(model), dtype=float)
    except (pyhf.exceptions.InvalidSpecification, pyhf.exceptions.InvalidModel) as problem:
        raise InputError(f"not a valid workspace: {problem}") from None
    if model.config.poi_name is None:
        raise InputError("the workspace has no parameter of interest in its measurement")
    return model, data


def asimov(model: pyhf.pdf.Model, mu: float) -> Array:
    """Give the expected data, main and auxiliary, at signal strength `mu` and nominal nuisances."""
    parameters = model.config.suggested_init()
    parameters[model.config.poi_index] = mu
    return np.asarray(model.expected_data(parameters), dtype=float)


def prefit_uncertainties(model: pyhf.pdf.Model) -> list[float | None]:
    """Standard deviations of the constraints, None for free parameters."""
    found: list[float | None] = []
    for name in model.config.par_order:
        parameter = model.config.param_set(name)
        if parameter.constrained:
            fixed = parameter.suggested_fixed
            found += [0.0 if f else float(w) for w, f in zip(parameter.width(), fixed, strict=True)]
        else:
            found += [None] * parameter.n_parameters
    return found


def prefit_covariance(model: pyhf.pdf.Model) -> Array:
    """Diagonal covariance of the constraints; free parameters have no prefit uncertainty."""
    return np.diag([(width or 0.0) ** 2 for width in prefit_uncertainties(model)])


def draw_data(
    model: pyhf.pdf.Model,
    mu: float,
    random: np.random.Generator,
    nuisances: Literal["drawn", "nominal"] = "drawn",
) -> Array:
    """Draw the main bins of an experiment at signal strength `mu`, shape (bins,).

    The true nuisance parameters are drawn from their constraints (within their limits), so that
    the result scatters by all uncertainties of the model, or held at their nominal values. The
    auxiliary measurements stay nominal in either case: they belong to the model.

    Raises
    ------
    InputError
        A bin expects a negative number of events.
    """
    truth = np.array(model.config.suggested_init(), dtype=float)
    if nuisances == "drawn":
        widths = np.array([width or 0.0 for width in prefit_uncertainties(model)])
        low, high = np.transpose(model.config.suggested_bounds())
        truth = np.clip(random.normal(truth, widths), low, high)
    truth[model.config.poi_index] = mu
    expected = np.asarray(model.main_model.expected_data(truth), dtype=float)
    if np.any(expected <= SMALLEST_YIELD):
        place = int(np.argmin(expected))
        raise InputError(
            f"no events, or a negative number of them, are expected in bin {place} of all regions "
            f"together at a signal strength of {mu:g}; choose a larger data.mu of the analysis"
        )
    return random.poisson(expected).astype(float)
