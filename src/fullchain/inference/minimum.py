"""Best fits, alone or many at once with parameters held at chosen values; a failure is an error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference import fit_diagnosis
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.minimise import Minima, minimise

Array = NDArray[np.float64]

DEEPER = 1e-4
"""By so much (in twice the log-likelihood) may a constrained fit lie below the best one."""


@dataclass(frozen=True)
class Minimum:
    """One minimum: values of all parameters, and which free ones the data press against a limit."""

    values: Array
    twice_nll: float
    distance: float
    at_limit: tuple[int, ...]


def minimum(
    model: HistFactory,
    data: Array,
    *,
    fixed: Mapping[int, float] | None = None,
    starts: Array | None = None,
    what: str = "the fit",
) -> Minimum:
    """Minimise twice the negative logarithm of the likelihood, and keep the lowest minimum found.

    Large asymmetric variations give a likelihood several minima; then it matters where to start.

    Parameters
    ----------
    model
        The likelihood.
    data
        Main bins followed by auxiliary measurements.
    fixed
        Parameters that are held, with their values, besides those that the model holds.
    starts
        Where to begin (starts, parameters) besides the initial values of the model.
    what
        Name of the fit in messages.

    Raises
    ------
    InputError
        The likelihood is not a number, the minimisation does not converge, or it ends where bins
        expect less than nothing; the message names parameters and bins.
    """
    begin = model.init[None] if starts is None else torch.vstack([model.init, torch.tensor(starts)])
    seen = torch.as_tensor(data).expand(len(begin), -1)
    held = {index: float(value) for index, value in (fixed or {}).items()}
    found = minimise(model, seen, start=begin, fixed=held)
    usable = found.converged & found.twice_nll.isfinite()
    row = int(torch.where(usable, found.twice_nll, torch.inf).argmin())
    values = found.values[row].numpy()
    if not bool(usable[row]):
        free = np.flatnonzero([not one and i not in held for i, one in enumerate(model.held)])
        raise fit_diagnosis.no_convergence(model, values, data, free, what)
    fit_diagnosis.check_minimum(model, values, data, what)
    return Minimum(
        values,
        float(found.twice_nll[row]),
        float(found.distance[row]),
        tuple(int(one) for one in torch.nonzero(found.at_limit[row])[:, 0]),
    )


def minima(
    model: HistFactory,
    data: Array,
    fixed: Array,
    *,
    start: Array | None = None,
    describe: Callable[[int], str],
    best: float | None = None,
) -> Minima:
    """Fit the same data many times, each with parameters held at values of its own.

    Parameters
    ----------
    model
        The likelihood.
    data
        Main bins followed by auxiliary measurements.
    fixed
        Values (fits, parameters) at which parameters are held; NaN: free.
    start
        Where to begin (fits, parameters); None: the initial values of the model.
    describe
        Name of a fit in messages, by its row.
    best
        Twice the negative log-likelihood of the best fit, below which no other can lie.

    Raises
    ------
    InputError
        A fit does not converge, or lies below the best.
    """
    columns = np.flatnonzero(~np.isnan(fixed).all(axis=0))
    given = {int(one): torch.tensor(fixed[:, one]) for one in columns}
    seen = torch.as_tensor(data).expand(len(fixed), -1)
    begin = None if start is None else torch.as_tensor(start)
    found = minimise(model, seen, start=begin, fixed=given)
    usable = found.converged & found.twice_nll.isfinite()
    if not bool(usable.all()):
        row = int(torch.nonzero(~usable)[0])
        values = found.values[row].numpy()
        free = np.flatnonzero(~model.held.numpy() & np.isnan(fixed[row]))
        raise fit_diagnosis.no_convergence(model, values, data, free, describe(row))
    if best is not None:
        lowest = int(found.twice_nll.argmin())
        gained = best - float(found.twice_nll[lowest])
        if gained > DEEPER:
            raise InputError(
                f"{describe(lowest)} lies {gained:.3g} below the best fit in twice the "
                "log-likelihood: the likelihood has several minima and the best fit is not the "
                "lowest; look for bins with few events and for variations that nearly cancel"
            )
    return found
