"""Intervals from the profile likelihood (MINOS), many at once.

The end of an interval is where twice the log-likelihood, maximised over all other parameters, has
fallen by one: W. Eadie et al., "Statistical Methods in Experimental Physics" (1971), section 9.3.
All ends are sought together, each round being one batch of fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.fitting import Fit
from fullchain.inference.minimum import minima

Array = NDArray[np.float64]

SECANTS = 12
"""Rounds after which intervals are halved instead."""

JUMP = 1e-4
"""Width, in uncertainties, at which a bracket is taken for a jump of the profile."""

ROUNDS = 30
PRECISION = 2e-5
"""Of the height at the end, in twice the log-likelihood."""


@dataclass(frozen=True)
class Side:
    """One end of an interval: a parameter, up (+1) or down (-1), and others held at the best fit.

    `width` is a guess of the distance to the end.
    """

    parameter: int
    sign: int
    width: float
    held: tuple[int, ...] = ()


def starting_points(best: Fit, fixed: Array) -> Array:
    """Where the other parameters go, to first order, when some are held elsewhere (fits, P)."""
    found = np.empty_like(fixed)
    for row, wanted in enumerate(fixed):
        held = np.flatnonzero(~np.isnan(wanted))
        moved = np.zeros(len(wanted))
        moved[held] = wanted[held] - best.values[held]
        known = held[np.diagonal(best.covariance)[held] > 0]
        if len(known):
            block = best.covariance[np.ix_(known, known)]
            moved += best.covariance[:, known] @ np.linalg.solve(block, moved[known])
        found[row] = best.values + moved
        found[row, held] = wanted[held]
    return found


def ends(
    model: HistFactory,
    data: Array,
    best: Fit,
    sides: Sequence[Side],
    *,
    what: str,
    level: float = 1.0,
) -> Array:
    """Give the distances of interval ends from the best fit, with the sign of the side.

    Parameters
    ----------
    model
        The likelihood.
    data
        Main bins followed by auxiliary measurements.
    best
        The best fit.
    sides
        The ends that are sought.
    what
        Name of the fit in messages.
    level
        Fall of twice the log-likelihood at the ends.

    Returns
    -------
    numpy.ndarray
        One distance for each side; NaN where the parameter reaches its limit before.

    Raises
    ------
    InputError
        A fit fails, or lies below the best.
    """
    limits = np.array(
        [
            (model.upper if one.sign > 0 else model.lower)[one.parameter].item()
            - best.values[one.parameter]
            for one in sides
        ]
    )
    reachable = np.abs(limits)
    step = np.minimum([one.width for one in sides], reachable)
    inside, inside_height = np.zeros(len(sides)), np.zeros(len(sides))
    outside, outside_height = np.full(len(sides), np.inf), np.full(len(sides), np.inf)
    found = np.where(reachable > 0, np.inf, np.nan)
    goal = np.sqrt(level)
    for turn in range(ROUNDS):
        rows = np.flatnonzero(np.isinf(found)).tolist()
        if not rows:
            return found * np.array([one.sign for one in sides])
        height = _heights(model, data, best, [sides[row] for row in rows], step[rows], what)
        for row, root in zip(rows, height, strict=True):
            if abs(root**2 - level) < PRECISION:
                found[row] = step[row]
                continue
            if root < goal:
                inside[row], inside_height[row] = step[row], root
            else:
                outside[row], outside_height[row] = step[row], root
            if outside[row] - inside[row] < JUMP * sides[row].width:
                # The profile jumps from one valley to another here: the interval ends at the jump.
                found[row] = outside[row]
            elif np.isfinite(outside[row]) and turn > SECANTS:
                step[row] = 0.5 * (inside[row] + outside[row])
            elif np.isfinite(outside[row]):
                # The root of the height is nearly linear in the distance.
                share = (goal - inside_height[row]) / (outside_height[row] - inside_height[row])
                share = float(np.clip(share, 0.02, 0.98))
                step[row] = inside[row] + share * (outside[row] - inside[row])
            elif step[row] >= reachable[row]:
                found[row] = np.nan
            else:
                grown = step[row] * float(np.clip(goal / max(root, 1e-3), 1.02, 3.0))
                step[row] = min(grown, reachable[row])
    missing = sides[int(np.flatnonzero(np.isinf(found))[0])]
    raise InputError(
        f"{what}: no end of the interval of {model.names[missing.parameter]} is found on the "
        f"{'upper' if missing.sign > 0 else 'lower'} side; scan its likelihood to see why"
    )


def _heights(
    model: HistFactory, data: Array, best: Fit, sides: Sequence[Side], steps: Array, what: str
) -> Array:
    """Root of the fall of twice the log-likelihood at some distances."""
    fixed = np.full((len(sides), len(best.values)), np.nan)
    for row, (side, step) in enumerate(zip(sides, steps, strict=True)):
        fixed[row, list(side.held)] = best.values[list(side.held)]
        fixed[row, side.parameter] = best.values[side.parameter] + side.sign * step

    def describe(row: int) -> str:
        index = sides[row].parameter
        return f"{what} with {model.names[index]} held at {fixed[row, index]:.6g}"

    heights = minima(
        model,
        data,
        fixed,
        start=starting_points(best, fixed),
        describe=describe,
        best=best.twice_nll,
    ).twice_nll.numpy()
    return np.asarray(np.sqrt(np.clip(heights - best.twice_nll, 0.0, None)))


def minos(
    model: HistFactory, data: Array, best: Fit, indices: Sequence[int], what: str = "the fit"
) -> dict[int, tuple[float, float] | None]:
    """Give the asymmetric errors (down, up) of parameters, down being negative.

    None where the likelihood has not fallen by one at a limit of the parameter, or where the
    parameter does not vary.
    """
    widths = best.uncertainties
    wanted = [one for one in indices if widths[one] > 0]
    sides = [Side(one, sign, float(widths[one])) for one in wanted for sign in (-1, 1)]
    found = ends(model, data, best, sides, what=what).reshape(-1, 2)
    known = {
        one: (float(down), float(up))
        for one, (down, up) in zip(wanted, found, strict=True)
        if np.isfinite(down) and np.isfinite(up)
    }
    return {one: known.get(one) for one in indices}
