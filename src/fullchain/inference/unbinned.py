r"""Extended likelihood fits of a signal yield and a nuisance parameter, many data sets at once.

-2 log L(s, t) = 2 (s + b) - 2 \sum_i w_i log(s R_i + b B_i(t)) + ((t - a) / \sigma)^2

with R = f_s/f_ref, B = f_b(t)/f_ref, a the auxiliary measurement of t. Points are events of weight
one, or the bins of a histogram with their counts: then R and B are the parts of signal and
background in them. log B is a polynomial in t/reach. All is float64, with exact first and second
derivatives; fits are Newton's method, the interval is where the profile has risen by one.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor

from fullchain.errors import InputError

STEPS = 60
LARGEST_STEP = 2.5
"""In standard deviations, of a step of Newton's method."""

TOLERANCE = 1e-9
"""Estimated distance to the minimum of -2 log L at which a fit ends."""


@dataclass(frozen=True)
class Model:
    """What is the same for all data sets.

    Parameters
    ----------
    background
        Expected number of background events.
    constraint
        Standard deviation of the auxiliary measurement.
    reach
        The nuisance parameter is fitted in [-reach, reach].
    """

    background: float
    constraint: float
    reach: float


@dataclass(frozen=True)
class Data:
    """Data sets.

    Parameters
    ----------
    weight
        (sets, points); 0 for points that a set does not have.
    signal
        (sets or 1, points) R.
    background
        (sets or 1, points, powers) coefficients of log B, from the constant upwards.
    auxiliary
        (sets) measured nuisance parameter.
    """

    weight: Tensor
    signal: Tensor
    background: Tensor
    auxiliary: Tensor

    def chosen(self, rows: Tensor) -> "Data":
        """Some of the sets, by number."""

        def of(values: Tensor) -> Tensor:
            return values if len(values) == 1 else values[rows]

        return Data(self.weight[rows], of(self.signal), of(self.background), self.auxiliary[rows])


@dataclass(frozen=True)
class Fits:
    """Minima: parameters (sets, 2) signal and nuisance, and all else (sets).

    `uncertainty` is that of the signal by the Hessian; `distance` the estimated distance of
    -2 log L to its minimum; `at_limit` says that the nuisance parameter ends at its limit.
    """

    values: Tensor
    twice_nll: Tensor
    uncertainty: Tensor
    nuisance_uncertainty: Tensor
    distance: Tensor
    converged: Tensor
    at_limit: Tensor


@dataclass(frozen=True)
class Intervals:
    """Ends of the interval (sets) in which twice the profile log likelihood is within one."""

    low: Tensor
    high: Tensor
    converged: Tensor


def nodes(number: int, reach: float) -> Tensor:
    """Chebyshev points in [-reach, reach], at which log ratios are tabulated; odd: one is 0."""
    places = chebyshev.chebpts1(number)
    places[np.abs(places) < 1e-12] = 0.0
    return torch.from_numpy(places * reach)


def polynomial(tabulated: Tensor) -> Tensor:
    """Coefficients of powers of t/reach, for (..., nodes) values at `nodes`."""
    number = tabulated.shape[-1]
    powers = chebyshev.chebpts1(number)[:, None] ** np.arange(number)
    inverse = torch.from_numpy(np.linalg.inv(powers))
    return tabulated.double() @ inverse.T


def terms(model: Model, data: Data, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value (sets), gradient (sets, 2) and Hessian (sets, 2, 2) of -2 log L.

    The value is infinite where the density of an event is not positive.
    """
    signal, nuisance = values[:, 0], values[:, 1]
    exponents = torch.arange(data.background.shape[-1], dtype=torch.float64)
    scaled = (nuisance / model.reach)[:, None]
    powers = scaled**exponents
    first = exponents * scaled ** (exponents - 1).clamp(min=0) / model.reach
    second = exponents * (exponents - 1) * scaled ** (exponents - 2).clamp(min=0)
    second = second / model.reach**2
    table = torch.stack([powers, first, second], dim=-1)
    if len(data.background) == 1:
        logs = torch.einsum("nk,tkd->dtn", data.background[0], table)
    else:
        logs = torch.bmm(data.background, table).permute(2, 0, 1)
    below = model.background * torch.exp(logs[0])
    density = signal[:, None] * data.signal + below
    bad = ((density <= 0) & (data.weight > 0)).any(1)
    density = density.clamp(min=1e-300)
    weight = data.weight
    by_signal = data.signal / density
    by_nuisance = below * logs[1] / density
    curved = below * (logs[2] + logs[1] ** 2) / density
    offset = (nuisance - data.auxiliary) / model.constraint
    value = 2 * (signal + model.background) - 2 * (weight * torch.log(density)).sum(1) + offset**2
    value = torch.where(bad, torch.inf, value)
    gradient = torch.stack(
        [
            2 - 2 * (weight * by_signal).sum(1),
            2 * offset / model.constraint - 2 * (weight * by_nuisance).sum(1),
        ],
        dim=1,
    )
    mixed = 2 * (weight * by_signal * by_nuisance).sum(1)
    hessian = torch.stack(
        [
            2 * (weight * by_signal**2).sum(1),
            mixed,
            mixed,
            2 / model.constraint**2 - 2 * (weight * (curved - by_nuisance**2)).sum(1),
        ],
        dim=1,
    ).reshape(-1, 2, 2)
    return value, gradient, hessian


def check(data: Data, what: str) -> None:
    """Raise InputError where ratios are not finite or not positive, or a set has no events."""
    counted = data.weight > 0
    finite = torch.isfinite(data.signal) & torch.isfinite(data.background).all(-1)
    if not torch.isfinite(data.weight).all() or (data.weight < 0).any():
        raise InputError(f"{what}: weights of events must be finite and not negative")
    bad = counted & ~(finite & (data.signal >= 0))
    if bad.any():
        one, event = bad.nonzero()[0].tolist()
        raise InputError(
            f"{what}: the ratio of event {event} of data set {one} is not finite or negative; an "
            "event far from all that was trained on, or a training that went astray"
        )
    empty = ~counted.any(1)
    if empty.any():
        raise InputError(f"{what}: data set {int(empty.nonzero()[0, 0])} has no events")


def fit(model: Model, data: Data, start: float | Tensor, fixed: bool = False) -> Fits:
    """Minimise, for all sets.

    Parameters
    ----------
    start
        Signal to begin with, a number or (sets); it stays so if `fixed`.
    """
    sets = len(data.weight)
    result = torch.zeros(sets, 2, dtype=torch.float64)
    result[:, 0] = start
    values = result.clone()
    lowest, distance = (torch.full((sets,), torch.inf, dtype=torch.float64) for _ in range(2))
    curvature = torch.zeros(sets, 2, 2, dtype=torch.float64)
    rows = torch.arange(sets)
    current = terms(model, data, values)
    for _ in range(STEPS):
        value, gradient, hessian = current
        step, expected = _newton(model, values, gradient, hessian, fixed)
        result[rows], lowest[rows], distance[rows] = values, value, expected
        curvature[rows] = hessian
        going = ~((expected < TOLERANCE) & torch.isfinite(value))
        if not going.any():
            break
        # Only sets that are not there yet are computed again.
        if not going.all():
            kept = going.nonzero()[:, 0]
            rows, data = rows[kept], data.chosen(kept)
            values, value, step = values[kept], value[kept], step[kept]
        values, current = _descend(model, data, values, value, step)
    at_limit = result[:, 1].abs() >= model.reach
    # Where the nuisance parameter is held by its limit, as if it were known.
    held = torch.zeros_like(curvature)
    held[:, 0, 0], held[:, 1, 1] = curvature[:, 0, 0], 2 / model.constraint**2
    covariance = 2 * _inverse(torch.where(at_limit[:, None, None], held, curvature))
    spread = covariance.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
    return Fits(
        result,
        lowest,
        spread[:, 0],
        spread[:, 1],
        distance,
        (distance < TOLERANCE) & torch.isfinite(lowest) & (spread > 0).all(1),
        at_limit,
    )


def require(fits: Fits, what: str, allowed: float = 0.0) -> None:
    """Raise InputError with a diagnosis where more than a fraction of the fits did not converge."""
    failed = ~fits.converged
    number = int(failed.sum())
    if number <= allowed * len(failed):
        return
    row = int(failed.nonzero()[0, 0])
    signal, nuisance = fits.values[row].tolist()
    reasons = []
    if bool(fits.at_limit[row]):
        reasons.append("the nuisance parameter is at the end of its range; enlarge model.reach")
    if not bool(torch.isfinite(fits.twice_nll[row])):
        reasons.append(
            "the density of an event is not positive there; look at ratios of signal to background"
        )
    if not bool(fits.uncertainty[row] > 0):
        reasons.append("the Hessian is not positive: the data do not determine both parameters")
    because = "; ".join(reasons) or "the likelihood is not smooth; look at the learned ratio"
    raise InputError(
        f"{what}: {number} of {len(failed)} fits did not converge; the first is of data set {row}, "
        f"which ends at signal {signal:.4g}, nuisance parameter {nuisance:.4g}, at an estimated "
        f"distance of {float(fits.distance[row]):.2g} to the minimum: {because}"
    )


def intervals(model: Model, data: Data, fits: Fits) -> Intervals:
    """Find where the profile of -2 log L has risen by one, on both sides of the minimum."""
    low, low_found = _crossing(model, data, fits, -1.0)
    high, high_found = _crossing(model, data, fits, 1.0)
    return Intervals(low, high, low_found & high_found)


def profile(model: Model, data: Data, fits: Fits, signal: Tensor) -> Tensor:
    """Twice the difference of the profile log likelihood of one data set at signals (points)."""
    points = len(signal)
    many = Data(
        data.weight.expand(points, -1),
        data.signal,
        data.background,
        data.auxiliary.expand(points),
    )
    found = fit(model, many, signal, fixed=True)
    return found.twice_nll - fits.twice_nll[0]


def _newton(
    model: Model, values: Tensor, gradient: Tensor, hessian: Tensor, fixed: bool
) -> tuple[Tensor, Tensor]:
    """Give a step that goes down, and by how much -2 log L should fall with it."""
    of_signal, mixed, of_nuisance = hessian[:, 0, 0], hessian[:, 0, 1], hessian[:, 1, 1]
    tiny = 1e-300
    coupled = mixed**2 / of_signal.clamp(min=tiny)
    least = 0.0 if fixed else coupled
    # Far from the minimum the exact curvature may be negative.
    safe = of_nuisance.abs() + 2 * coupled + 2 / model.constraint**2
    of_nuisance = torch.where(of_nuisance > least + 1e-9 * safe, of_nuisance, safe)
    alone = torch.stack([torch.zeros_like(mixed), -gradient[:, 1] / of_nuisance], dim=1)
    other = torch.stack([-gradient[:, 0] / of_signal.clamp(min=tiny), torch.zeros_like(mixed)], 1)
    if fixed:
        step, other = alone, torch.zeros_like(other)
    else:
        determinant = of_signal * of_nuisance - mixed**2
        step = (
            torch.stack(
                [
                    mixed * gradient[:, 1] - of_nuisance * gradient[:, 0],
                    mixed * gradient[:, 0] - of_signal * gradient[:, 1],
                ],
                dim=1,
            )
            / determinant.clamp(min=tiny)[:, None]
        )
    outwards = (values[:, 1].abs() >= model.reach) & (step[:, 1] * values[:, 1] > 0)
    step = torch.where(outwards[:, None], other, step)
    expected = -0.5 * (gradient * step).sum(1)
    width = (2 / of_signal.clamp(min=tiny)).sqrt()
    limits = LARGEST_STEP * torch.stack([width, (2 / of_nuisance).sqrt()], dim=1)
    scale = (limits / step.abs().clamp(min=tiny)).amin(1).clamp(max=1.0)
    return step * scale[:, None], expected


def _descend(
    model: Model, data: Data, values: Tensor, before: Tensor, step: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Take the steps, halved until they go down."""
    scale = torch.ones(len(values), dtype=torch.float64)
    for _ in range(_HALVINGS):
        trial = values + scale[:, None] * step
        trial[:, 1].clamp_(-model.reach, model.reach)
        found = terms(model, data, trial)
        worse = found[0] > before + 1e-9
        if not worse.any():
            break
        scale = torch.where(worse, 0.5 * scale, scale)
    return trial, found


_HALVINGS = 30


def _crossing(model: Model, data: Data, fits: Fits, side: float) -> tuple[Tensor, Tensor]:
    """Solve {-2 log L = minimum + 1, no slope in the nuisance parameter} by Newton's method."""
    result = fits.values.clone()
    done = torch.zeros(len(result), dtype=torch.bool)
    hessian = terms(model, data, result)[2]
    width = fits.uncertainty
    along = torch.stack([torch.ones_like(width), -hessian[:, 0, 1] / hessian[:, 1, 1]], dim=1)
    values = result + side * width[:, None] * along
    values[:, 1].clamp_(-model.reach, model.reach)
    rows, lowest, limit = torch.arange(len(result)), fits.twice_nll, width
    for _ in range(STEPS):
        value, gradient, hessian = terms(model, data, values)
        outside = ~torch.isfinite(value)
        rise = torch.where(outside, 0.0, value - lowest - 1.0)
        slope, mixed = gradient[:, 0], hessian[:, 0, 1]
        bent = hessian[:, 1, 1].clamp(min=1e-300)
        held = values[:, 1].abs() >= model.reach
        held = held & (gradient[:, 1] * values[:, 1] < 0)
        steepness = torch.where(held, 0.0, gradient[:, 1])
        found = ~outside & (rise.abs() < 1e-6) & (steepness**2 / bent < 1e-6)
        result[rows], done[rows] = values, found
        if found.all():
            break
        # Eliminate the nuisance parameter: its slope is to vanish after the step.
        total = slope - torch.where(held, 0.0, steepness * mixed / bent)
        change = -(rise - steepness**2 / bent) / torch.where(
            total.abs() > 1e-12, total, torch.full_like(total, side * 1e-12)
        )
        change = torch.minimum(torch.maximum(change, -1.5 * limit), 1.5 * limit)
        # Beyond the point where a density vanishes: half the way back to the minimum.
        middle = 0.5 * (fits.values[rows] + values) - values
        moved = torch.where(held, 0.0, -(steepness + mixed * change) / bent)
        step = torch.where(outside[:, None], middle, torch.stack([change, moved], dim=1))
        kept = (~found).nonzero()[:, 0]
        rows, lowest, limit = rows[kept], lowest[kept], limit[kept]
        data, values = data.chosen(kept), (values + step)[kept]
        values[:, 1].clamp_(-model.reach, model.reach)
    right = side * (result[:, 0] - fits.values[:, 0]) > 0
    return result[:, 0], done & right & fits.converged


def _inverse(matrices: Tensor) -> Tensor:
    """Inverses of (sets, 2, 2); zeros where a matrix is not positive."""
    a, b, c = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
    determinant = a * c - b**2
    good = (determinant > 0) & (a > 0) & torch.isfinite(determinant)
    scale = torch.where(good, 1 / torch.where(good, determinant, 1.0), 0.0)
    flat = torch.stack([c, -b, -b, a], dim=1) * scale[:, None]
    return flat.reshape(-1, 2, 2)
