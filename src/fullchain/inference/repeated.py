"""What fits of many toys say: goodness of fit, coverage and pulls of the signal strength."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fullchain.inference.differentiable import HistFactory
from fullchain.inference.hypotest import poi_of
from fullchain.inference.likelihood_derivatives import Deviance
from fullchain.inference.minimise import Minima, covariance_where_definite, lowest
from fullchain.inference.toy_data import draw, draw_main, draw_truth
from fullchain.inference.toy_tests import Share, check_failures

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Goodness:
    """Saturated likelihood ratio of the data, that of toys of the best fit, and its p-value."""

    observed: float
    toys: Array
    p_value: Share
    failed: int


@dataclass(frozen=True)
class Coverage:
    """How often the 68 % interval of the signal strength contains the truth.

    Attributes
    ----------
    likelihood
        Share of toys whose interval contains the truth, with the interval in which twice the
        negative log-likelihood rises by at most one (MINOS).
    hessian
        The same with the interval of the second derivatives.
    values, uncertainties
        Fitted signal strengths and their uncertainties by second derivatives, where these exist.
    pulls
        Distance from the truth over the uncertainty.
    failed
        Toys whose fits do not converge; they are left out.
    """

    likelihood: Share
    hessian: Share
    values: Array
    uncertainties: Array
    pulls: Array
    covered: int
    toys: int
    failed: int


def saturated(model: HistFactory, minima: Minima, data: Tensor) -> Tensor:
    """Twice the log-likelihood ratio (rows,) of the saturated model to the fits.

    In the saturated model each bin expects what was observed, and each auxiliary measurement what
    was measured (R. Cousins, "Generalization of chisquare goodness-of-fit test", 2013).
    """
    return Deviance(model).value(minima.values, data.expand(len(minima.values), -1))


def goodness(
    model: HistFactory,
    data: Tensor,
    toys: int,
    random: np.random.Generator,
    most_failed: float = 0.01,
) -> Goodness:
    """Compare the goodness of fit of data (N,) with that of toys of its best fit.

    Raises
    ------
    InputError
        The fit of the data does not converge, or those of too many toys.
    """
    background = model.init.clone()
    background[poi_of(model)] = 0.0
    best = lowest(model, data.expand(1, -1), [model.init, background])
    best.require("best fit", model.names)
    observed = float(saturated(model, best, data)[0])
    drawn = draw(model, best.values[0], toys, random)
    found = lowest(model, drawn, [best.values[0], model.init])
    failed = int((~found.converged).sum())
    check_failures(failed, toys, most_failed, "toys of the goodness of fit")
    values = saturated(model, found, drawn)[found.converged].numpy()
    return Goodness(observed, values, Share.of(values >= observed), failed)


def coverage(
    model: HistFactory,
    truth: Tensor,
    toys: int,
    random: np.random.Generator,
    *,
    draw_nuisances: bool = False,
    most_failed: float = 0.01,
) -> Coverage:
    """Fit toys of a truth (P,) and count how often the interval of the signal strength has it.

    Parameters
    ----------
    draw_nuisances
        Whether each toy has a truth of its own, drawn from the constraints, and nominal auxiliary
        measurements; otherwise the truth is the same for all, and auxiliary measurements scatter.

    Raises
    ------
    InputError
        The fits of too many toys do not converge.
    """
    poi = poi_of(model)
    if draw_nuisances:
        drawn = draw_main(model, draw_truth(model, truth, toys, random), toys, random)
    else:
        drawn = draw(model, truth, toys, random)
    best = lowest(model, drawn, [truth, model.init])
    fixed = {poi: float(truth[poi])}
    held = lowest(model, drawn, [best.values, truth], fixed=fixed)
    # Each of both minima may lie in the valley that the other has found.
    best = lowest(model, drawn, [best.values, held.values])
    held = lowest(model, drawn, [held.values, best.values], fixed=fixed)
    good = best.converged & held.converged
    failed = int((~good).sum())
    check_failures(failed, toys, most_failed, "toys of the coverage")
    rise = (held.twice_nll - best.twice_nll)[good]
    values, rows = best.values[good], drawn[good]
    matrix, definite = covariance_where_definite(model, values, rows)
    width = matrix[:, poi, poi].sqrt()[definite]
    values = values[definite, poi]
    pulls = (values - truth[poi]) / width
    return Coverage(
        likelihood=Share.of((rise <= 1.0).numpy()),
        hessian=Share.of((pulls.abs() <= 1.0).numpy()),
        values=values.numpy(),
        uncertainties=width.numpy(),
        pulls=pulls.numpy(),
        covered=int((rise <= 1.0).sum()),
        toys=int(torch.count_nonzero(good)),
        failed=failed,
    )
