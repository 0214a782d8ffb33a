"""Monotonic rational-quadratic splines (C. Durkan et al., 1906.04032), element by element.

On the CPU, single precision is done by compiled code with gradients written out, several times
faster than by tensors; anything else (CUDA, float64) by tensors. Both give the same.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fullchain.learning.cumulative import cumulative

SLOPE = 1e-3
"""Least slope, and least ratio of two bins, that a spline can have."""

SQUASH = -1.0 / math.log(SLOPE)


def parameters(bins: int) -> int:
    """Give how many numbers shape one spline: widths, heights and inner slopes."""
    return 3 * bins - 1


def spline(
    shape: Tensor, point: Tensor, bound: float, inverse: bool = False, summed: bool = True
) -> tuple[Tensor, Tensor]:
    """Map points, each by a spline of its own.

    Parameters
    ----------
    shape
        (rows, 3 bins - 1, numbers), any real numbers: logarithms of the widths and heights of bins
        (but for a common factor) and of the slopes between them, made gentle so that slopes stay
        above `SLOPE`. Zero is the identity.
    point
        (rows, numbers).
    bound
        The spline maps [-bound, bound] to itself, and is the identity beyond.
    inverse
        Whether to undo the splines instead.
    summed
        Whether to sum the logarithm of the derivative over numbers.

    Returns
    -------
    The mapped points (rows, numbers), and the logarithm of the derivative of what was done, (rows)
    or (rows, numbers).
    """
    if point.device.type == "cpu" and point.dtype == shape.dtype == torch.float32:
        mapped, stretch = _Compiled.apply(shape, point, bound, inverse)
    else:
        mapped, stretch = by_tensors(shape, point, bound, inverse)
    return mapped, stretch.sum(dim=1) if summed else stretch


class _Compiled(torch.autograd.Function):
    """The compiled code, with its gradients."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Any:
        from fullchain.calorimetry.spline_kernels import evaluate

        shape, point, bound, inverse = given
        shape, point = shape.detach().contiguous(), point.detach().contiguous()
        bins = (shape.shape[1] + 1) // 3
        mapped, change = evaluate(shape.numpy(), point.numpy(), bins, *_single(bound), inverse)
        result = torch.from_numpy(mapped)
        ctx.save_for_backward(shape, point, result)
        ctx.how = bins, bound, inverse
        return result, torch.from_numpy(change).log_()

    @staticmethod
    def backward(ctx: Any, *wanted: Any) -> Any:
        from fullchain.calorimetry.spline_kernels import gradients

        bins, bound, inverse = ctx.how
        arrays = [tensor.detach().contiguous().numpy() for tensor in (*ctx.saved_tensors, *wanted)]
        of_shape, of_point = gradients(*arrays, bins, *_single(bound), inverse)
        return torch.from_numpy(of_shape), torch.from_numpy(of_point), None, None


def _single(bound: float) -> tuple[np.float32, np.float32]:
    # Python's numbers would take all arithmetic of the compiled code to double precision.
    return np.float32(bound), np.float32(SQUASH)


def by_tensors(
    shape: Tensor, point: Tensor, bound: float, inverse: bool = False
) -> tuple[Tensor, Tensor]:
    """As `spline`, on any device and in any precision; the logarithms are not summed."""
    bins = (shape.shape[1] + 1) // 3
    widths, heights, slopes = shape.split([bins, bins, bins - 1], dim=1)
    x, y = _edges(widths, bound), _edges(heights, bound)
    ends = torch.zeros_like(point).unsqueeze(1)
    steepness = torch.cat([ends, _gentle(slopes, SQUASH), ends], dim=1).exp()
    inside = point.abs() < bound
    held = torch.where(inside, point, 0.0)
    place = ((y if inverse else x)[:, 1:-1] <= held.unsqueeze(1)).sum(dim=1, keepdim=True)
    x0, x1, y0, y1, d0, d1 = (
        edges.gather(1, place + step).squeeze(1) for edges in (x, y, steepness) for step in (0, 1)
    )
    height, slope = y1 - y0, (y1 - y0) / (x1 - x0)
    bend = d0 + d1 - 2 * slope
    if inverse:
        above = held - y0
        a = height * (slope - d0) + above * bend
        b = height * d0 - above * bend
        c = -slope * above
        theta = 2 * c / (-b - (b**2 - 4 * a * c).clamp_min(0.0).sqrt())
    else:
        theta = (held - x0) / (x1 - x0)
    rest = 1 - theta
    below = slope + bend * theta * rest
    steep = d1 * theta**2 + 2 * slope * theta * rest + d0 * rest**2
    stretch = 2 * (slope.log() - below.log()) + steep.log()
    if inverse:
        mapped, stretch = x0 + theta * (x1 - x0), -stretch
    else:
        mapped = y0 + height * (slope * theta**2 + d0 * theta * rest) / below
    return torch.where(inside, mapped, point), torch.where(inside, stretch, 0.0)


def _gentle(values: Tensor, squash: float) -> Tensor:
    return values / (1.0 + squash * values.abs())


def _edges(sizes: Tensor, bound: float) -> Tensor:
    parts = cumulative(torch.softmax(_gentle(sizes, 2 * SQUASH), dim=1), 1)
    return bound * (2 * torch.nn.functional.pad(parts, (0, 0, 1, 0)) - 1)
