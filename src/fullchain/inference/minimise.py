"""Many maximum-likelihood fits of one model at once: toys, scans, impacts.

The method is that of `newton.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from fullchain.errors import InputError
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.likelihood_derivatives import Deviance
from fullchain.inference.newton import Problem, factorise

MEMORY = 24e6
"""Bytes that the derivatives of the rows that are fitted together may take."""

SINGULAR = 1e6
"""A variance that the other parameters inflate by this factor is not determined."""


@dataclass(frozen=True)
class Minima:
    """Minima of many fits, one in each row.

    Attributes
    ----------
    values
        Parameters (rows, P).
    twice_nll
        Twice the negative log-likelihood (rows,), constants included.
    converged
        Whether the minimum was found (rows,).
    distance
        By how much `twice_nll` is estimated to be above its minimum (rows,).
    at_limit
        Parameters (rows, P) that the data press against a limit.
    """

    values: Tensor
    twice_nll: Tensor
    converged: Tensor
    distance: Tensor
    at_limit: Tensor

    def require(self, what: str, names: Sequence[str]) -> "Minima":
        """Give this back if all rows converged.

        Raises
        ------
        InputError
            Says how many did not, and what is at its limit there.
        """
        failed = ~self.converged
        if failed.any():
            row = int(torch.nonzero(failed)[0])
            at_limit = [name for name, at in zip(names, self.at_limit[row], strict=True) if at]
            where = f"; at their limit: {', '.join(at_limit)}" if at_limit else ""
            raise InputError(
                f"{what}: {int(failed.sum())} of {len(failed)} fits do not converge (estimated "
                f"distance to the minimum {float(self.distance[row]):.2g}){where}; look for bins "
                "with few events, merge them, or drop a systematic"
            )
        return self


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread: matrices are small, and waiting for other threads takes most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
@torch.no_grad()
def minimise(
    model: HistFactory,
    data: Tensor,
    *,
    start: Tensor | None = None,
    fixed: Mapping[int, Tensor | float] | None = None,
    limits: Mapping[int, tuple[float, float]] | None = None,
) -> Minima:
    """Fit all rows.

    Parameters
    ----------
    model
        Its limits and held parameters are respected.
    data
        Bins and auxiliary measurements, (rows, N) or (N,).
    start
        Where to begin, (rows, P) or (P,); by default the model's initial values.
    fixed
        Values of parameters that are not fitted, by place: one, or one for each row. With data of
        one row, this makes a scan. NaN leaves the parameter free in that row, so that each row may
        hold parameters of its own (impacts).
    limits
        Limits of parameters, by place, in the place of the model's.

    Returns
    -------
    Minima
        As many rows as the longest of data, start and values of `fixed`.

    Raises
    ------
    InputError
        Data are negative or not numbers, limits are empty, or numbers of rows do not fit.
    """
    fixed = {} if fixed is None else fixed
    values, free = _start(model, data, start, fixed)
    rows = len(values)
    _check_data(model, data)
    lower, upper = model.lower.clone(), model.upper.clone()
    for place, (low, high) in (limits or {}).items():
        lower[place], upper[place] = low, high
    empty = (lower > upper) & free.any(dim=0)
    if empty.any():
        place = int(torch.nonzero(empty)[0])
        raise InputError(f"parameter {model.names[place]}: its lower limit is above the upper")
    values = torch.where(free, values.clamp(lower, upper), values)
    problem = Problem(Deviance(model), lower, upper)
    many = data.expand(rows, -1)
    found = [
        problem.solve(*piece)
        for size in [_rows_together(model)]
        for piece in zip(values.split(size), many.split(size), free.split(size), strict=True)
    ]
    return Minima(*(torch.cat(columns) for columns in zip(*found, strict=True)))


def lowest(
    model: HistFactory,
    data: Tensor,
    starts: Sequence[Tensor],
    *,
    fixed: Mapping[int, Tensor | float] | None = None,
    limits: Mapping[int, tuple[float, float]] | None = None,
) -> Minima:
    """Fit all rows from each of several starts, and keep the lowest minimum of each row.

    Likelihoods with large, asymmetric variations have several minima in a few per cent of toys; one
    that is not the lowest gives a wrong, and often huge, likelihood ratio.

    Parameters
    ----------
    starts
        Each (rows, P) or (P,); the other parameters are those of `minimise`.
    """
    found = minimise(model, data, start=starts[0], fixed=fixed, limits=limits)
    for start in starts[1:]:
        other = minimise(model, data, start=start, fixed=fixed, limits=limits)
        better = other.converged & (~found.converged | (other.twice_nll < found.twice_nll))
        found = Minima(
            torch.where(better[:, None], other.values, found.values),
            torch.where(better, other.twice_nll, found.twice_nll),
            found.converged | better,
            torch.where(better, other.distance, found.distance),
            torch.where(better[:, None], other.at_limit, found.at_limit),
        )
    return found


@torch.no_grad()
def twice_nll(model: HistFactory, values: Tensor, data: Tensor) -> Tensor:
    """Give twice the negative log-likelihood (rows,) of parameters (rows, P)."""
    deviance = Deviance(model)
    many = data.expand(len(values), -1)
    return deviance.value(values, many) + deviance.offset(many)


@one_thread()
@torch.no_grad()
def hessian(model: HistFactory, values: Tensor, data: Tensor) -> Tensor:
    """Give the second derivatives (rows, P, P) of twice the negative log-likelihood."""
    deviance = Deviance(model)
    many, size = data.expand(len(values), -1), _rows_together(model)
    pieces = zip(values.split(size), many.split(size), strict=True)
    return torch.cat([deviance.point(*piece).hessian for piece in pieces])


def covariance(
    model: HistFactory, values: Tensor, data: Tensor, fixed: Sequence[int] = ()
) -> Tensor:
    """Give covariances (rows, P, P) from Hessians: zero for held parameters and those of `fixed`.

    Raises
    ------
    InputError
        A Hessian is not positive definite; names the parameters that are not determined.
    """
    found, definite, curvature = _invert(model, values, data, fixed)
    if not definite.all():
        row = int(torch.nonzero(~definite)[0])
        raise InputError(_undetermined(model, curvature[row], fixed))
    return found


def covariance_where_definite(
    model: HistFactory, values: Tensor, data: Tensor, fixed: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Give covariances (rows, P, P), and in which rows (rows,) the Hessian is positive definite."""
    found, definite, _ = _invert(model, values, data, fixed)
    return found, definite


def _start(
    model: HistFactory,
    data: Tensor,
    start: Tensor | None,
    fixed: Mapping[int, Tensor | float],
) -> tuple[Tensor, Tensor]:
    """Initial values (rows, P) with what is fixed, and what is free (rows, P)."""
    begin = model.init if start is None else start
    columns = {place: torch.as_tensor(one, dtype=torch.float64) for place, one in fixed.items()}
    lengths = [len(one) for one in (data, begin) if one.ndim == 2]
    lengths += [len(one) for one in columns.values() if one.ndim == 1]
    rows = max(lengths, default=1)
    if any(one not in (1, rows) for one in lengths):
        raise InputError(f"fits at once need equal numbers of rows, not {sorted(set(lengths))}")
    values = begin.to(torch.float64).expand(rows, -1).clone()
    free = (~model.held).expand(rows, -1).clone()
    for place, column in columns.items():
        known = ~column.isnan().expand(rows)
        values[known, place] = column.expand(rows)[known]
        free[known, place] = False
    return values, free


def _check_data(model: HistFactory, data: Tensor) -> None:
    wanted = model.bins + len(model.auxiliary_parameter)
    if data.shape[-1] != wanted:
        raise InputError(f"the model has {wanted} bins and auxiliary data, not {data.shape[-1]}")
    main = data[..., : model.bins].reshape(-1, model.bins)
    wrong = ~torch.isfinite(main) | (main < 0)
    if wrong.any():
        row, place = (int(one) for one in torch.nonzero(wrong)[0])
        channel, bins = next(
            (name, one) for name, one in model.channel_slices.items() if one.stop > place
        )
        raise InputError(
            f"region {channel}, bin {place - bins.start}: {float(main[row, place]):g} events "
            "cannot be fitted"
        )
    if not torch.isfinite(data).all():
        raise InputError("auxiliary data that are not numbers cannot be fitted")


def _rows_together(model: HistFactory) -> int:
    size, cells = len(model.names), model.nominal.numel()
    return max(1, int(MEMORY / (8 * (size * cells + 4 * size * size + 12 * cells))))


def _invert(
    model: HistFactory, values: Tensor, data: Tensor, fixed: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    free = ~model.held.clone()
    free[list(fixed)] = False
    curvature = hessian(model, values, data)
    movable = free.expand(len(values), -1)
    factor, scale, bad = factorise(curvature, movable)
    factor[bad] = torch.eye(len(free), dtype=torch.float64)
    inverse = torch.cholesky_inverse(factor)
    inflation = inverse.diagonal(dim1=1, dim2=2)
    bad = bad | ~(inflation < SINGULAR).all(dim=1)
    scale = torch.where(movable, scale, torch.zeros_like(scale))
    # Half the second derivative of twice_nll is the inverse covariance.
    return 2.0 * inverse * scale[:, :, None] * scale[:, None, :], ~bad, curvature


def _undetermined(model: HistFactory, curvature: Tensor, fixed: Sequence[int]) -> str:
    """Name the parameters of the direction in which the likelihood does not fall."""
    free = ~model.held.clone()
    free[list(fixed)] = False
    places = torch.nonzero(free)[:, 0]
    part = curvature[places][:, places]
    if not torch.isfinite(part).all():
        return "second derivatives of the likelihood are not numbers; look for bins without events"
    diagonal = part.diagonal()
    scale = torch.where(diagonal > 0, diagonal, torch.ones_like(diagonal)).rsqrt()
    values, vectors = torch.linalg.eigh(part * scale[:, None] * scale)
    weakest = vectors[:, 0].abs()
    named = [
        model.names[place]
        for place, size in sorted(
            zip(places.tolist(), weakest.tolist(), strict=True), key=lambda one: -one[1]
        )
        if size > 0.2 * float(weakest.max())
    ]
    return (
        f"the Hessian is not positive definite (smallest eigenvalue {float(values[0]):.2g} of its "
        f"correlations): the data do not determine {', '.join(named)}; hold one of them, or merge "
        "or drop the systematics they belong to"
    )
