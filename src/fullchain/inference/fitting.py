"""Maximum-likelihood fits of HistFactory models: pyhf for the likelihood, Minuit for the minimum.

Uncertainties are those of the inverse Hessian. The discovery significance is the square root of q0
(G. Cowan, K. Cranmer, E. Gross, O. Vitells, EPJ C 71 (2011) 1554, eq. 12). The goodness of fit
compares with the saturated model (S. Baker, R. Cousins, NIM 221 (1984) 437; for constrained
parameters R. Cousins, "Generalization of chisquare goodness-of-fit test for binned data using
saturated models", 2013).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyhf
from iminuit import Minuit
from numpy.typing import NDArray
from scipy import stats

from fullchain.errors import InputError
from fullchain.inference.likelihood import prefit_uncertainties

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

    @property
    def pull(self) -> float | None:
        """Shift in prefit standard deviations."""
        if self.prefit_uncertainty is None:
            return None
        return (self.value - self.prefit) / self.prefit_uncertainty

    @property
    def constraint(self) -> float | None:
        """Postfit over prefit uncertainty."""
        if self.prefit_uncertainty is None:
            return None
        return self.uncertainty / self.prefit_uncertainty


@dataclass(frozen=True)
class Fit:
    """Result of one minimisation.

    `covariance` has a row for every parameter of the model; those of fixed ones are zero. The
    uncertainty of a parameter in `at_limit` means little.
    """

    names: tuple[str, ...]
    values: Array
    uncertainties: Array
    covariance: Array
    twice_nll: float
    distance_to_minimum: float
    at_limit: tuple[str, ...] = ()

    def index(self, name: str) -> int:
        """Place of a parameter."""
        return self.names.index(name)

    @property
    def correlation(self) -> Array:
        """Correlation matrix; zero off the diagonal for fixed parameters."""
        width = np.where(self.uncertainties > 0, self.uncertainties, 1.0)
        matrix = self.covariance / np.outer(width, width)
        np.fill_diagonal(matrix, 1.0)
        return np.asarray(matrix)


@dataclass(frozen=True)
class GoodnessOfFit:
    """Likelihood ratio to the saturated model, which follows chi-squared for large numbers."""

    chi_squared: float
    degrees_of_freedom: int
    p_value: float


@dataclass(frozen=True)
class Discovery:
    """Test of the hypothesis without signal: q0, and its square root as significance."""

    q0: float
    significance: float

    @property
    def p_value(self) -> float:
        """One-sided p-value."""
        return float(stats.norm.sf(self.significance))


def fit(
    model: pyhf.pdf.Model,
    data: Array,
    *,
    fixed_poi: float | None = None,
    covariance: bool = True,
) -> Fit:
    """Fit all free parameters of a model to data.

    Parameters
    ----------
    model
        pyhf model.
    data
        Main bins followed by auxiliary measurements.
    fixed_poi
        Value at which the parameter of interest is held; None fits it.
    covariance
        Whether to compute the Hessian at the minimum.

    Raises
    ------
    InputError
        The minimisation does not converge.
    """
    config = model.config
    start = np.array(config.suggested_init(), dtype=float)
    held = list(config.suggested_fixed())
    if fixed_poi is not None:
        start[config.poi_index], held[config.poi_index] = fixed_poi, True

    def twice_nll(parameters: Array) -> float:
        return float(-2.0 * model.logpdf(parameters, data)[0])

    minuit = Minuit(twice_nll, start, name=config.par_names)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.limits = config.suggested_bounds()
    minuit.fixed = held
    for index, width in enumerate(prefit_uncertainties(model)):
        minuit.errors[index] = 0.1 if width is None else max(width, 1e-3)
    minuit.strategy = 1
    minuit.tol = 0.01
    if not all(held):
        minuit.migrad(ncall=200_000)
        if not minuit.valid:
            minuit.simplex().migrad(ncall=200_000)
        if not minuit.valid:
            raise InputError(_complaint(minuit))
    matrix = np.zeros((len(start), len(start)))
    if covariance and not all(held):
        free = np.flatnonzero(~np.array(held))
        curvature = hessian(twice_nll, np.array(minuit.values), np.array(minuit.errors), free)
        try:
            np.linalg.cholesky(curvature)
        except np.linalg.LinAlgError:
            raise InputError(_complaint(minuit)) from None
        matrix[np.ix_(free, free)] = np.linalg.inv(curvature / 2.0)
    return Fit(
        names=tuple(config.par_names),
        values=np.array(minuit.values),
        uncertainties=np.sqrt(np.diag(matrix)),
        covariance=matrix,
        twice_nll=float(twice_nll(np.array(minuit.values))),
        distance_to_minimum=float(minuit.fmin.edm) if minuit.fmin else 0.0,
        at_limit=_at_limit(minuit),
    )


def hessian(
    function: Callable[[Array], float], point: Array, scale: Array, free: NDArray[np.intp]
) -> Array:
    """Second derivatives of `function` at `point` with respect to the parameters `free`.

    Central differences over a tenth of the width of the parabola along each axis: near enough that
    higher orders do not count, far enough that rounding does not. Minuit's own Hessian goes through
    the change of variables that keeps parameters within limits, which costs accuracy where
    parameters are strongly correlated.

    Parameters
    ----------
    function
        Twice the negative logarithm of a likelihood.
    point, scale
        Position, and a guess of the widths; one entry per parameter.
    free
        Indices of the parameters that vary.

    Returns
    -------
    numpy.ndarray
        Matrix of shape (free, free).
    """
    axes = np.eye(len(point))[free]
    steps = 0.1 * scale[free]
    centre = function(point)
    diagonal = np.zeros(len(free))
    for _ in range(2):
        for i, axis in enumerate(axes):
            away = steps[i] * axis
            above, below = function(point + away), function(point - away)
            diagonal[i] = (above - 2.0 * centre + below) / steps[i] ** 2
        steps = np.where(diagonal > 0, 0.1 * np.sqrt(2.0 / np.abs(diagonal)), steps)
    matrix = np.diag(diagonal)
    for i in range(len(free)):
        for j in range(i):
            one, other = steps[i] * axes[i], steps[j] * axes[j]
            same = function(point + one + other) + function(point - one - other)
            opposite = function(point + one - other) + function(point - one + other)
            matrix[i, j] = matrix[j, i] = (same - opposite) / (4.0 * steps[i] * steps[j])
    return matrix


def _at_limit(minuit: Minuit) -> tuple[str, ...]:
    found = []
    for one in minuit.params:
        if one.is_fixed or not one.has_limits:
            continue
        low, high = one.lower_limit, one.upper_limit
        if min(one.value - low, high - one.value) < 1e-3 * (high - low):
            found.append(one.name)
    return tuple(found)


def _complaint(minuit: Minuit) -> str:
    at_limit = _at_limit(minuit)
    where = f"; at their limit: {', '.join(at_limit)}" if at_limit else ""
    return (
        f"the fit does not converge (estimated distance to the minimum {minuit.fmin.edm:.2g})"
        f"{where}; look for bins with few events, merge them, or drop a systematic"
    )


def parameters(model: pyhf.pdf.Model, fitted: Fit) -> list[Parameter]:
    """Give the fitted parameters beside their prefit values, in the order of the model."""
    config = model.config
    rows = zip(
        fitted.names,
        fitted.values,
        fitted.uncertainties,
        config.suggested_init(),
        prefit_uncertainties(model),
        config.suggested_fixed(),
        strict=True,
    )
    return [
        Parameter(
            name, float(value), float(width), float(before), None if held else known, bool(held)
        )
        for name, value, width, before, known, held in rows
    ]


def discovery(model: pyhf.pdf.Model, data: Array, best: Fit | None = None) -> Discovery:
    """Test the background alone against the best fit; a negative signal counts as none."""
    best = best or fit(model, data, covariance=False)
    if best.values[model.config.poi_index] <= 0:
        return Discovery(0.0, 0.0)
    background = fit(model, data, fixed_poi=0.0, covariance=False)
    q0 = max(0.0, background.twice_nll - best.twice_nll)
    return Discovery(q0, float(np.sqrt(q0)))


def goodness_of_fit(model: pyhf.pdf.Model, data: Array, best: Fit) -> GoodnessOfFit | None:
    """Compare the best fit with the model that describes every bin and constraint exactly.

    None where the model has as many free parameters as bins: there is nothing to test.
    """
    main, auxiliary = np.split(data, [model.config.nmaindata])
    saturated = float(np.sum(main * np.log(np.where(main > 0, main, 1.0)) - main))
    poisson = _poisson_kernel(main, np.asarray(model.main_model.expected_data(best.values)))
    constraints = unshifted = 0.0
    if len(auxiliary):
        at_nominal = np.array(_unshifted(model, auxiliary, best))
        constraints = float(model.constraint_logpdf(auxiliary, best.values))
        unshifted = float(model.constraint_logpdf(auxiliary, at_nominal))
    chi_squared = max(0.0, -2.0 * (poisson + constraints - saturated - unshifted))
    free = sum(
        known is None and not held
        for known, held in zip(
            prefit_uncertainties(model), model.config.suggested_fixed(), strict=True
        )
    )
    degrees = len(main) - free
    if degrees < 1:
        return None
    return GoodnessOfFit(chi_squared, degrees, float(stats.chi2.sf(chi_squared, degrees)))


def _poisson_kernel(observed: Array, expected: Array) -> float:
    """Log-likelihood without the factorials, which the saturated model has as well."""
    return float(np.sum(observed * np.log(expected) - expected))


def _unshifted(model: pyhf.pdf.Model, auxiliary: Array, best: Fit) -> list[float]:
    """Parameters at which every constraint term has its maximum."""
    values = list(best.values)
    position = 0
    for name in model.config.auxdata_order:
        parameter = model.config.param_set(name)
        place = model.config.par_slice(name)
        measured = auxiliary[position : position + parameter.n_parameters]
        position += parameter.n_parameters
        if parameter.pdf_type == "poisson":
            measured = measured / np.asarray(parameter.factors)
        values[place] = list(measured)
    return values


@dataclass(frozen=True)
class BinYields:
    """Expected events of each sample and of the sum, with linearly propagated uncertainties.

    `values` is (samples + 1, bins), the sum last; `totals` is (samples + 1, channels).
    """

    samples: tuple[str, ...]
    values: Array
    uncertainties: Array
    totals: Array
    total_uncertainties: Array


def yields(model: pyhf.pdf.Model, values: Array, covariance: Array) -> BinYields:
    """Propagate a covariance of the parameters to the yields.

    Parameters
    ----------
    model
        pyhf model.
    values, covariance
        Parameters and their covariance; for prefit yields the nominal values and the diagonal of
        the squared prefit uncertainties.
    """
    slices = [model.config.channel_slices[name] for name in model.config.channels]

    def flat(point: Array) -> Array:
        by_sample = np.asarray(model.main_model.expected_data(point, return_by_sample=True))
        bins = np.vstack([by_sample, by_sample.sum(axis=0)])
        channels = np.stack([bins[:, one].sum(axis=1) for one in slices], axis=1)
        return np.hstack([bins, channels])

    central = flat(values)
    widths = np.sqrt(np.diag(covariance))
    jacobian = np.zeros((*central.shape, len(values)))
    for index in np.flatnonzero(widths > 0):
        step = np.zeros(len(values))
        # Small against the uncertainty, large against rounding.
        step[index] = 1e-3 * widths[index]
        jacobian[..., index] = (flat(values + step) - flat(values - step)) / (2 * step[index])
    variance = np.einsum("sbi,ij,sbj->sb", jacobian, covariance, jacobian)
    width = np.sqrt(np.clip(variance, 0.0, None))
    bins = central.shape[1] - len(slices)
    return BinYields(
        samples=tuple(model.config.samples),
        values=central[:, :bins],
        uncertainties=width[:, :bins],
        totals=central[:, bins:],
        total_uncertainties=width[:, bins:],
    )
