"""Ordinary differential equations from time 0 to time 1, for many rows at once."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from fullchain.errors import InputError
from fullchain.learning.equal_steps import EVALUATIONS_OF_STEP

Velocity = Callable[[float, Tensor], Tensor]
"""Gives the derivative at a time and a state; both states have one shape."""

DifferentiableVelocity = Callable[[float | Tensor, Tensor], Tensor]
"""The same, where times may be tensors that gradients are taken with respect to."""

# Dormand and Prince, J. Comput. Appl. Math. 6 (1980) 19: nodes, coupling and the weights of order
# five (which are the last row of the coupling) and four.
_NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_COUPLING = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_FOURTH = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)

FIRST_STEP = 0.05
SAFETY = 0.9
CHANGE = (0.2, 5.0)
"""Least and largest factor from one step to the next."""
LEAST_STEP = 1e-6
"""A step below it would be lost in the rounding of single precision."""


def euler(velocity: Velocity, state: Tensor, steps: int) -> Tensor:
    """Follow `velocity` from 0 to 1 in equal steps of first order, one evaluation in each.

    Examples
    --------
    >>> round(float(euler(lambda time, state: state, torch.ones(1), 1)), 3)
    2.0
    """
    step = 1.0 / steps
    for number in range(steps):
        state = state + step * velocity(number * step, state)
    return state


def midpoint(velocity: Velocity, state: Tensor, steps: int) -> Tensor:
    """Follow `velocity` from 0 to 1 in equal steps of second order, two evaluations in each.

    Examples
    --------
    >>> round(float(midpoint(lambda time, state: state, torch.ones(1), 8)), 2)
    2.71
    """
    step = 1.0 / steps
    for number in range(steps):
        time = number * step
        half = state + step / 2 * velocity(time, state)
        state = state + step * velocity(time + step / 2, half)
    return state


def rk4(velocity: Velocity, state: Tensor, steps: int) -> Tensor:
    """Follow `velocity` from 0 to 1 in equal steps of the classical method of fourth order.

    Examples
    --------
    >>> round(float(rk4(lambda time, state: state, torch.ones(1), 8)), 3)
    2.718
    """
    step = 1.0 / steps
    for number in range(steps):
        time = number * step
        first = velocity(time, state)
        second = velocity(time + step / 2, state + step / 2 * first)
        third = velocity(time + step / 2, state + step / 2 * second)
        fourth = velocity(time + step, state + step * third)
        state = state + step / 6 * (first + 2 * second + 2 * third + fourth)
    return state


def equal_steps(velocity: Velocity, state: Tensor, solver: str, evaluations: int) -> Tensor:
    """Follow `velocity` from 0 to 1 with so many evaluations at most, by a solver's name.

    Raises
    ------
    InputError
        There is no such solver, or one step takes more evaluations.
    """
    if solver not in EVALUATIONS_OF_STEP:
        raise InputError(
            f"solver {solver!r} has no equal steps; there are {', '.join(EVALUATIONS_OF_STEP)}"
        )
    steps = evaluations // EVALUATIONS_OF_STEP[solver]
    if steps < 1:
        raise InputError(
            f"a step of the solver {solver} takes {EVALUATIONS_OF_STEP[solver]} evaluations, and "
            f"evaluations is {evaluations}: raise it, or take a solver of lower order"
        )
    return {"euler": euler, "midpoint": midpoint, "rk4": rk4}[solver](velocity, state, steps)


def dopri5(velocity: Velocity, state: Tensor, tolerance: float) -> tuple[Tensor, int]:
    """Follow `velocity` from 0 to 1 by Dormand-Prince 5(4), steps being common to all rows.

    Parameters
    ----------
    tolerance
        Largest error of a step, absolute and relative: of its estimate the root mean square over
        all entries counts.

    Returns
    -------
    state, evaluations
        At time 1, and how often the velocity was asked for.

    Raises
    ------
    InputError
        A step below `LEAST_STEP`: the tolerance is below the precision of the numbers, or the
        velocity is not finite or not smooth.
    """
    time, step, evaluations = 0.0, FIRST_STEP, 1
    slope = velocity(0.0, state)
    while step >= LEAST_STEP:
        step = min(step, 1.0 - time)
        slopes = [slope]
        for node, row in zip(_NODES[1:], _COUPLING[1:], strict=True):
            reached = state + step * _weighted(slopes, row)
            slopes.append(velocity(time + node * step, reached))
        evaluations += len(_NODES) - 1
        difference = [high - low for high, low in zip((*_COUPLING[-1], 0.0), _FOURTH, strict=True)]
        allowed = tolerance * (1.0 + torch.maximum(state.abs(), reached.abs()))
        error = float(((step * _weighted(slopes, difference) / allowed) ** 2).mean().sqrt())
        if error <= 1.0:
            # The last slope is the first one of the next step.
            time, state, slope = time + step, reached, slopes[-1]
            if time >= 1.0 - LEAST_STEP:
                return state, evaluations
        if not math.isfinite(error):
            factor = CHANGE[0]
        else:
            factor = SAFETY * error**-0.2 if error > 0 else CHANGE[1]
        step *= min(max(factor, CHANGE[0]), CHANGE[1])
    raise InputError(
        f"the solver did not arrive with steps down to {LEAST_STEP:g}: raise tolerance, or take "
        "solver: rk4"
    )


def _weighted(slopes: list[Tensor], weights: tuple[float, ...] | list[float]) -> Tensor:
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=False):
        total = total + weight * slope
    return total
