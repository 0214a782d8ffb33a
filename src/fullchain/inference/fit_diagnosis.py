"""Why a fit fails, in words that name parameters, regions, samples and bins."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.likelihood import SMALLEST_YIELD
from fullchain.inference.minimise import hessian

Array = NDArray[np.float64]

SINGULAR = 1e-10
"""Smallest eigenvalue of a regular Hessian, in units of the largest."""

FLAT = 0.05
"""A gradient below this, times the width of each parameter, is as good as none."""

SHARE = 0.2
"""A parameter takes part in a direction when its component is at least this."""

NAMED = 6
"""As many of each kind are named; the rest is counted."""


def place(model: HistFactory, position: int) -> str:
    """Region and bin (counted from zero, as everywhere) of a position among all bins."""
    for region, bins in model.channel_slices.items():
        if bins.start <= position < bins.stop:
            return f"region {region}, bin {position - bins.start}"
    raise ValueError(f"there is no bin {position}")


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more


def reach(model: HistFactory, index: int, values: Array) -> str:
    """Samples and regions whose yields a parameter changes near a point."""
    points = torch.as_tensor(values).repeat(3, 1)
    points[1:, index] += torch.tensor([-0.1, 0.1])
    with torch.no_grad():
        centre, *others = model.expected_by_sample(points)
    moves = torch.stack([one != centre for one in others]).any(dim=0)
    samples = [model.samples[row] for row in torch.nonzero(moves.any(dim=1))[:, 0].tolist()]
    regions = [name for name, bins in model.channel_slices.items() if bool(moves[:, bins].any())]
    if not samples:
        return "changes nothing"
    return f"acts on {listed(samples)} in {listed(regions)}"


def named(model: HistFactory, indices: Iterable[int], values: Array) -> str:
    """Parameters with what they act on."""
    return listed(f"{model.names[one]} ({reach(model, one, values)})" for one in indices)


def check_data(model: HistFactory, data: Array) -> None:
    """Refuse data and yields of which no likelihood can be made.

    Raises
    ------
    InputError
        A bin is NaN, infinite or negative, in data or in a sample, or has data where nothing is
        expected.
    """
    observed = data[: model.bins]
    with torch.no_grad():
        by_sample = model.expected_by_sample(model.init).numpy()
    for position in range(model.bins):
        where = place(model, position)
        if not np.isfinite(observed[position]) or observed[position] < 0:
            raise InputError(
                f"{where}: the data are {observed[position]:g}; a number of events must be finite "
                "and not negative"
            )
        wrong = _infinite(model, by_sample[:, position])
        if wrong:
            raise InputError(
                f"{where}: the expected yield of {wrong} is "
                "not a finite number; make the workspace again from good templates"
            )
        expected = by_sample[:, position].sum()
        if expected <= SMALLEST_YIELD and observed[position] > 0:
            raise InputError(
                f"{where}: {observed[position]:g} events are observed where "
                f"{'none are' if expected >= 0 else 'a negative number is'} expected "
                f"(all samples together: {expected:.3g}); merge the bin with its neighbour"
            )
    if not np.isfinite(data).all():
        measured = np.flatnonzero(~np.isfinite(data[model.bins :]))
        names = [model.names[int(model.auxiliary_parameter[one])] for one in measured]
        raise InputError(f"the auxiliary measurements of {listed(names)} are not finite numbers")


def check_minimum(model: HistFactory, values: Array, data: Array, what: str) -> None:
    """Refuse a minimum at which a bin expects no events, or fewer.

    There the likelihood is cut off and neither value nor uncertainty mean anything.

    Raises
    ------
    InputError
        Names the bins and the samples with negative yields.
    """
    with torch.no_grad():
        by_sample = model.expected_by_sample(torch.as_tensor(values)).numpy()
    total = by_sample.sum(axis=0)
    empty = (total <= SMALLEST_YIELD) & ((total < 0) | (data[: model.bins] > 0))
    bad = np.flatnonzero(empty).tolist()
    if not bad:
        return
    bins = listed(
        f"{place(model, one)} (expected {total[one]:.3g}, observed {data[one]:g}; negative: "
        f"{listed(n for n, y in zip(model.samples, by_sample[:, one], strict=True) if y < 0)})"
        for one in bad
    )
    raise InputError(
        f"{what} ends where no event is expected, or less than none: {bins}; merge these bins, or "
        "narrow the range of the signal strength or of the parameters that act there"
    )


def no_number(model: HistFactory, values: Array, data: Array, what: str) -> InputError:
    """The likelihood is NaN or infinite: say at which bins, or of which constraints."""
    with torch.no_grad():
        by_sample = model.expected_by_sample(torch.as_tensor(values)).numpy()
    bad = np.flatnonzero(~np.isfinite(by_sample.sum(axis=0))).tolist()
    if bad:
        where = listed(
            f"{place(model, one)} ({_infinite(model, by_sample[:, one])})" for one in bad
        )
        return InputError(f"{what}: the likelihood is not a number; the yields are not: {where}")
    far = np.flatnonzero(~np.isfinite(values))
    if len(far):
        return InputError(
            f"{what}: the likelihood is not a number; parameters that are not finite: "
            f"{listed(model.names[one] for one in far)}"
        )
    auxiliary = {int(one) for one in model.auxiliary_parameter}
    negative = [one for one in auxiliary if values[one] <= 0 and bool(_counted(model)[one])]
    hint = (
        f"; Poisson-constrained parameters that are not positive: {named(model, negative, values)}"
        if negative
        else "; some of its terms cancel to infinity: look for bins with extreme yields"
    )
    return InputError(f"{what}: the likelihood is not a number{hint}")


def _infinite(model: HistFactory, column: Array) -> str:
    """Samples whose yields in one bin are no numbers."""
    return listed(model.samples[row] for row in np.flatnonzero(~np.isfinite(column)))


def _counted(model: HistFactory) -> NDArray[np.bool_]:
    found = np.zeros(len(model.names), dtype=bool)
    found[model.auxiliary_parameter[model.auxiliary_poisson].numpy()] = True
    return found


def no_convergence(
    model: HistFactory, values: Array, data: Array, free: NDArray[np.intp], what: str
) -> InputError:
    """The minimisation stops before a minimum: say along which parameters it is still steep."""
    point, seen = torch.tensor(values, requires_grad=True), torch.as_tensor(data)
    value = -2.0 * model.log_probability(point, seen)
    if not bool(value.isfinite()):
        return no_number(model, values, data, what)
    slope = torch.autograd.grad(value, point)[0].numpy()[free]
    matrix = hessian(model, point.detach()[None], seen[None])[0].numpy()
    curvature = np.abs(np.diagonal(matrix))[free]
    # Gradient in units of the parameter's own width: what is still to be gained along it.
    steep = np.nan_to_num(np.abs(slope) / np.sqrt(np.where(curvature > 0, curvature, 1.0)))
    if np.max(steep, initial=0.0) < FLAT:
        # Not for want of steps: there is no single minimum.
        complaint = not_positive(model, matrix[np.ix_(free, free)], free, values, what)
        if complaint is not None:
            return complaint
    worst = free[np.argsort(-steep, kind="stable")[:3]]
    low, high = model.lower.numpy(), model.upper.numpy()
    stuck = [one for one in free if values[one] <= low[one] or values[one] >= high[one]]
    where = f"; at their limit: {named(model, stuck, values)}" if stuck else ""
    return InputError(
        f"{what} does not converge; it is steepest along {named(model, worst, values)}{where}; "
        "look for bins with few events, merge them, or drop a systematic"
    )


def at_limit(model: HistFactory, indices: Iterable[int], values: Array, what: str) -> InputError:
    """Nuisance parameters end at the limit of their range."""
    words = listed(
        f"{model.names[one]} = {values[one]:g} in [{float(model.lower[one]):g}, "
        f"{float(model.upper[one]):g}] ({reach(model, one, values)})"
        for one in indices
    )
    return InputError(
        f"{what}: nuisance parameters end at their limit: {words}; the model does not describe the "
        "data there: look at these regions before the fit, or set "
        "inference.results.fit.at_limit: report to take the result as it is"
    )


def not_positive(
    model: HistFactory, curvature: Array, free: NDArray[np.intp], values: Array, what: str
) -> InputError | None:
    """Give the complaint about a Hessian that is singular or has a negative eigenvalue, else None.

    Parameters
    ----------
    model
        The likelihood.
    curvature
        Hessian of the free parameters.
    free
        Their places.
    values
        Where the Hessian is taken, all parameters.
    what
        Beginning of the message.
    """
    if not np.isfinite(curvature).all():
        bad = free[np.flatnonzero(~np.isfinite(curvature).all(axis=1))]
        return InputError(
            f"{what}: second derivatives of the likelihood are not numbers, for "
            f"{named(model, bad, values)}"
        )
    diagonal = np.abs(np.diagonal(curvature))
    idle = free[diagonal == 0]
    if len(idle):
        return InputError(
            f"{what}: the likelihood does not depend on {named(model, idle, values)}; remove such "
            "parameters from the model, or hold them fixed"
        )
    scale = np.sqrt(diagonal)
    sizes, vectors = np.linalg.eigh(curvature / np.outer(scale, scale))
    bad = np.flatnonzero(sizes <= SINGULAR * sizes[-1])
    if not len(bad):
        return None
    directions = []
    for one in bad[:3]:
        weights = np.abs(vectors[:, one])
        taking_part = np.argsort(-weights, kind="stable")
        taking_part = taking_part[weights[taking_part] >= SHARE][:NAMED]
        kind = "negative curvature" if sizes[one] < -SINGULAR * sizes[-1] else "no curvature"
        directions.append(
            f"{kind} (eigenvalue {sizes[one]:.2g}) along {named(model, free[taking_part], values)}"
        )
    negative = bool(np.any(sizes < -SINGULAR * sizes[-1]))
    advice = (
        "the point is not a minimum"
        if negative
        else "the data do not tell these parameters apart: drop or merge them, or constrain one"
    )
    return InputError(f"{what}: the Hessian is not positive: {'; '.join(directions)}; {advice}")
