"""Interpolation between the nominal yields and those at plus and minus one standard deviation.

K. Cranmer et al., CERN-OPEN-2012-016, section 4.1; codes as in pyhf.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fullchain.errors import InputError

CHANGES = ("code0", "code4p")
FACTORS = ("code1", "code4")


def check(shape_code: str, yield_code: str) -> None:
    """Refuse codes that are not here.

    Raises
    ------
    InputError
        Names the code.
    """
    for code, known, what in ((shape_code, CHANGES, "histosys"), (yield_code, FACTORS, "normsys")):
        if code not in known:
            raise InputError(
                f"interpolation {code} of {what} is not supported; take one of {', '.join(known)}"
            )


def change(code: str, parameter: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """Change of yields at `parameter` standard deviations (code 0 or 4p).

    Parameters
    ----------
    code
        ``code0``: linear on both sides; ``code4p``: linear outside of one standard deviation, and
        inside a polynomial of sixth order that joins with two derivatives.
    parameter
        Nuisance parameters, of any shape.
    up, down
        Varied minus nominal yields, nominal minus varied yields; broadcast with `parameter`.
    """
    outside = torch.where(parameter > 0, parameter * up, parameter * down)
    if code == "code0":
        return outside
    square = parameter**2
    curve = square * (square * (square * 3.0 - 10.0) + 15.0)
    inside = 0.5 * parameter * (up + down) + 0.0625 * curve * (up - down)
    return torch.where(parameter.abs() > 1.0, outside, inside)


@dataclass(frozen=True)
class Weights:
    """Weight of a change of yields, and its first two derivatives by the parameter."""

    value: Tensor
    first: Tensor
    second: Tensor

    @staticmethod
    def none() -> "Weights":
        """Those of no parameter."""
        return Weights(*torch.zeros(3, 0, dtype=torch.float64))


def change_weights(code: str, parameter: Tensor) -> tuple[Weights, Weights]:
    """Weights of `up` and of `down` whose sum of products is `change`.

    Where a derivative jumps, it is that of the side below.
    """
    zero, one = torch.zeros_like(parameter), torch.ones_like(parameter)
    above, below = parameter > 0, parameter <= 0
    up = Weights(torch.where(above, parameter, zero), above.to(parameter), zero)
    down = Weights(torch.where(below, parameter, zero), below.to(parameter), zero)
    if code == "code0":
        return up, down
    square = parameter**2
    curve = 0.0625 * square * (square * (square * 3.0 - 10.0) + 15.0)
    slope = 0.0625 * parameter * (square * (square * 18.0 - 40.0) + 30.0)
    bend = 0.0625 * (square * (square * 90.0 - 120.0) + 30.0)
    outside = parameter.abs() > 1.0

    def joined(far: Weights, sign: float) -> Weights:
        return Weights(
            torch.where(outside, far.value, 0.5 * parameter + sign * curve),
            torch.where(outside, far.first, 0.5 * one + sign * slope),
            torch.where(outside, zero, sign * bend),
        )

    return joined(up, 1.0), joined(down, -1.0)


def log_factor(code: str, parameter: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """Logarithm of the factor on a yield at `parameter` standard deviations (code 1 or 4).

    Parameters
    ----------
    code
        ``code1``: exponential on both sides; ``code4``: exponential outside of one standard
        deviation, and inside a polynomial of sixth order that joins with two derivatives.
    parameter
        Nuisance parameters, of any shape.
    up, down
        Factors at plus and minus one; broadcast with `parameter`.
    """
    outside = parameter.abs() * torch.where(parameter > 0, up.log(), down.log())
    if code == "code1":
        return outside
    coefficients = _coefficients(up, down)
    # The branch that does not count must not give NaN, or it would come through the gradient.
    near = parameter.clamp(-1.0, 1.0)
    polynomial = torch.zeros_like(near)
    for one in coefficients.flip(0):
        polynomial = (polynomial + one) * near
    return torch.where(parameter.abs() >= 1.0, outside, torch.log1p(polynomial))


def log_factor_derivatives(
    code: str, parameter: Tensor, up: Tensor, down: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """`log_factor` and its first two derivatives by the parameter."""
    far_slope = torch.where(parameter > 0, up.log(), -down.log())
    far, zero = parameter * far_slope, torch.zeros_like(parameter)
    if code == "code1":
        return far, far_slope, zero
    near = parameter.clamp(-1.0, 1.0)
    value, slope, bend = zero, zero, zero
    for one in torch.cat([_coefficients(up, down).flip(0), torch.zeros_like(up)[None]]):
        # Horner's scheme for the polynomial and its derivatives; the last coefficient is that of 1.
        bend = bend * near + 2.0 * slope
        slope = slope * near + value
        value = value * near + one
    factor = 1.0 + value
    relative = slope / factor
    outside = parameter.abs() >= 1.0
    return (
        torch.where(outside, far, torch.log1p(value)),
        torch.where(outside, far_slope, relative),
        torch.where(outside, zero, bend / factor - relative**2),
    )


@functools.cache
def _inverse() -> Tensor:
    """Inverse of the conditions on a_1...a_6 at +-1: value, first and second derivative."""
    powers = np.arange(1, 7)
    signs = (-1.0) ** powers
    rows = [
        np.ones(6),
        signs,
        powers.astype(float),
        -powers * signs,
        powers * (powers - 1.0),
        powers * (powers - 1.0) * signs,
    ]
    return torch.as_tensor(np.linalg.inv(np.stack(rows)))


def _coefficients(up: Tensor, down: Tensor) -> Tensor:
    """Coefficients (6, ...) of the powers one to six of code 4."""
    log_up, log_down = up.log(), down.log()
    conditions = torch.stack(
        [
            up - 1.0,
            down - 1.0,
            up * log_up,
            -down * log_down,
            up * log_up**2,
            down * log_down**2,
        ]
    )
    return torch.einsum("rc,c...->r...", _inverse().to(conditions), conditions)


def check_positive(code: str, up: float, down: float, where: str) -> None:
    """Refuse factors that are not positive, or between which code 4 goes below zero.

    Raises
    ------
    InputError
        Names the place.
    """
    if not (up > 0 and down > 0 and np.isfinite([up, down]).all()):
        raise InputError(f"channel {where}: factors {down:g} and {up:g} are not both positive")
    if code != "code4":
        return
    grid = np.linspace(-1.0, 1.0, 41)
    coefficients = _coefficients(*torch.tensor([[up], [down]], dtype=torch.float64)).numpy()[:, 0]
    lowest = 1.0 + sum(one * grid ** (power + 1) for power, one in enumerate(coefficients))
    if np.min(lowest) <= 0:
        raise InputError(
            f"channel {where}: between the factors {down:g} and {up:g} the interpolation falls "
            "below zero; symmetrise or cap the variation"
        )
