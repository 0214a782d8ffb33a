"""Profile likelihoods on grids: scans of one parameter, contours of two."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.inference.differentiable import HistFactory
from fullchain.inference.fitting import Fit
from fullchain.inference.intervals import starting_points
from fullchain.inference.likelihood import SMALLEST_YIELD
from fullchain.inference.minimum import minima

Array = NDArray[np.float64]

ROWS_AT_ONCE = 256

PATH = 101
"""Steps in which the end of a scan is sought."""


@dataclass(frozen=True)
class Grid:
    """Points along each parameter, and twice the fall of the log-likelihood, (points, ...)."""

    points: tuple[Array, ...]
    twice_delta_nll: Array


def points_around(model: HistFactory, best: Fit, index: int, reach: float, number: int) -> Array:
    """Points at equal distances up to `reach` standard deviations on both sides.

    They stay within the parameter's range, and where every bin is expected to have events: beyond,
    the likelihood is cut off.
    """
    away = reach * best.uncertainties[index]
    ends = [
        max(best.values[index] - away, float(model.lower[index])),
        min(best.values[index] + away, float(model.upper[index])),
    ]
    # A bin that expects nothing at the best fit has no data either.
    lowest = min(SMALLEST_YIELD, float(_smallest_yield(model, best.values[None])[0]))
    for side, end in enumerate(ends):
        path = np.linspace(best.values[index], end, PATH)
        fixed = np.full((PATH, len(best.values)), np.nan)
        fixed[:, index] = path
        empty = _smallest_yield(model, starting_points(best, fixed)) < lowest
        if empty.any():
            ends[side] = path[max(int(np.argmax(empty)) - 1, 0)]
    return np.linspace(ends[0], ends[1], number)


def _smallest_yield(model: HistFactory, points: Array) -> Array:
    """Events expected in the bin with the fewest, at each point."""
    with torch.no_grad():
        events = model.expected_by_sample(torch.as_tensor(points)).sum(dim=-2)
    return np.asarray(events.amin(dim=-1))


def profile(
    model: HistFactory,
    data: Array,
    best: Fit,
    points: dict[int, Array],
    what: str = "the fit",
) -> Grid:
    """Fit all other parameters at each point of a grid.

    Parameters
    ----------
    model
        The likelihood.
    data
        Main bins followed by auxiliary measurements.
    best
        The best fit, from which the fall is counted.
    points
        Points by parameter; the grid is their product.
    what
        Name of the fit in messages.

    Raises
    ------
    InputError
        A fit does not converge, or lies below the best.
    """
    axes = np.meshgrid(*points.values(), indexing="ij")
    fixed = np.full((axes[0].size, len(best.values)), np.nan)
    for index, axis in zip(points, axes, strict=True):
        fixed[:, index] = axis.ravel()
    heights = []
    for first in range(0, len(fixed), ROWS_AT_ONCE):
        rows = fixed[first : first + ROWS_AT_ONCE]

        def describe(row: int, rows: Array = rows) -> str:
            where = ", ".join(f"{model.names[one]} = {rows[row, one]:.6g}" for one in points)
            return f"{what} at {where}"

        found = minima(
            model,
            data,
            rows,
            start=starting_points(best, rows),
            describe=describe,
            best=best.twice_nll,
        )
        heights.append(found.twice_nll.numpy() - best.twice_nll)
    fall = np.clip(np.concatenate(heights), 0.0, None).reshape(axes[0].shape)
    return Grid(tuple(points.values()), fall)
