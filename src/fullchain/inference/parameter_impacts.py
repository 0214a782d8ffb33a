"""Impact of each nuisance parameter on the parameter of interest.

By refit: how far the parameter of interest moves when the nuisance parameter is held one standard
deviation away from its best fit, and all others are fitted. By covariance: the same to first order,
the correlation times the uncertainty of the parameter of interest, which needs no further fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fullchain.inference.differentiable import HistFactory
from fullchain.inference.fit_parameters import prefit_uncertainties
from fullchain.inference.fitting import Fit, poi_index
from fullchain.inference.intervals import starting_points
from fullchain.inference.minimum import minima

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Impact:
    """Shift of the parameter of interest with a nuisance parameter up and down.

    The shifts before the fit are those by the width of the constraint; None without a constraint.
    """

    up: float
    down: float
    prefit_up: float | None = None
    prefit_down: float | None = None


def nuisances(model: HistFactory) -> list[int]:
    """Places of all parameters that vary and are not of interest."""
    return [i for i, held in enumerate(model.held.tolist()) if not held and i != model.poi]


def by_covariance(model: HistFactory, best: Fit) -> dict[int, Impact]:
    """Correlation times uncertainty, for each nuisance parameter."""
    place = poi_index(model)
    widths, prefit = best.uncertainties, prefit_uncertainties(model)
    found = {}
    for one in nuisances(model):
        slope = float(best.covariance[place, one] / widths[one] ** 2)
        after, before = slope * float(widths[one]), prefit[one]
        shift = None if before is None else slope * before
        found[one] = Impact(after, -after, shift, None if shift is None else -shift)
    return found


def by_refit(
    model: HistFactory, data: Array, best: Fit, *, prefit: bool = True, what: str = "the fit"
) -> dict[int, Impact]:
    """Fit again with each nuisance parameter held off its best fit; all fits in one batch.

    A value outside the range of the parameter is replaced by the limit of the range.

    Raises
    ------
    InputError
        A fit does not converge; the message names the parameter that was held.
    """
    place = poi_index(model)
    before = prefit_uncertainties(model)
    wanted: list[tuple[int, float]] = []
    for one in nuisances(model):
        widths = [float(best.uncertainties[one])]
        known = before[one]
        if prefit and known is not None:
            widths.append(known)
        wanted += [(one, sign * width) for width in widths for sign in (1.0, -1.0)]
    shifts = _shifts(model, data, best, wanted, what)[:, place]
    found, position = {}, 0
    for one in nuisances(model):
        number = 4 if prefit and before[one] is not None else 2
        values = shifts[position : position + number].tolist()
        found[one] = Impact(*values)
        position += number
    return found


def _shifts(
    model: HistFactory, data: Array, best: Fit, wanted: Sequence[tuple[int, float]], what: str
) -> Array:
    """How all parameters (fits, P) move when one is held at a distance from its best fit."""
    if not wanted:
        return np.zeros((0, len(best.values)))
    fixed = np.full((len(wanted), len(best.values)), np.nan)
    for row, (index, distance) in enumerate(wanted):
        limits = float(model.lower[index]), float(model.upper[index])
        fixed[row, index] = np.clip(best.values[index] + distance, *limits)

    def describe(row: int) -> str:
        index = wanted[row][0]
        return f"{what} with {model.names[index]} held at {fixed[row, index]:.6g}"

    found = minima(
        model,
        data,
        fixed,
        start=starting_points(best, fixed),
        describe=describe,
        best=best.twice_nll,
    )
    return np.asarray(found.values.numpy() - best.values)
