"""Layers on all pairs of particles, in pieces that fit into the cache of a core.

There are hundreds of pairs to a particle, and few channels to a pair: a layer on all of them at
once reads and writes more memory than it calculates. Here a piece goes through product, GELU and
the sums that the next batch norm needs, and back through all of their gradients, before the next
piece is taken.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_NUMBERS = 2**16
"""Numbers of a piece, in the input or output of a layer: a quarter of a megabyte."""


def sums(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over pairs of the channels of x (channels, pairs), and of their products."""
    total, second = x.new_zeros(len(x)), x.new_zeros(len(x), len(x))
    for piece in _pieces(x, x):
        part = x[:, piece]
        total += part.sum(1)
        second.addmm_(part, part.t())
    return total, second


def linear_gelu(x: Tensor, weight: Tensor, offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give gelu(weight x + offset) and its `sums`.

    Shapes are (inputs, pairs), (outputs, inputs) and (outputs,); the result has (outputs, pairs).
    """
    found: tuple[Tensor, Tensor, Tensor] = _LinearGelu.apply(x, weight, offset)
    return found


def gelu(x: Tensor) -> Tensor:
    """GELU on the CPU in single precision, whose slope is found on the way forward."""
    found: Tensor = _Gelu.apply(x)
    return found


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        slope = x.clone(memory_format=torch.contiguous_format)
        result = torch.empty_like(slope)
        rows = slope.view(1, -1)
        _fill(rows, result.view(1, -1), slice(0, rows.shape[1]))
        ctx.save_for_backward(slope)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        return gradient * slope


class _LinearGelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, offset: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        slope = x.new_empty(len(weight), x.shape[1])
        result = torch.empty_like(slope)
        total, second = x.new_zeros(len(weight)), x.new_zeros(len(weight), len(weight))
        for piece in _pieces(x, result):
            torch.addmm(offset.unsqueeze(1), weight, x[:, piece], out=slope[:, piece])
            _fill(slope, result, piece)
            part = result[:, piece]
            total += part.sum(1)
            second.addmm_(part, part.t())
        ctx.save_for_backward(x, weight, slope, result)
        ctx.set_materialize_grads(False)
        return result, total, second

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, of_result: Tensor, of_total: Tensor | None, of_second: Tensor | None
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight, slope, result = ctx.saved_tensors
        of_weight, of_offset = torch.zeros_like(weight), weight.new_zeros(len(weight))
        of_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        for piece in _pieces(x, result):
            coming = of_result[:, piece]
            if of_total is not None and of_second is not None:
                both = of_second + of_second.t()
                coming = torch.addmm(coming, both, result[:, piece]).add_(of_total.unsqueeze(1))
            coming = coming * slope[:, piece]
            of_weight.addmm_(coming, x[:, piece].t())
            of_offset += coming.sum(1)
            if of_x is not None:
                torch.mm(weight.t(), coming, out=of_x[:, piece])
        return of_x, of_weight, of_offset


def _fill(values: Tensor, result: Tensor, piece: slice) -> None:
    from fullchain.tagging.gelu_kernels import gelu_and_slope

    gelu_and_slope(values.detach().numpy(), result.numpy(), piece.start, piece.stop)


def _pieces(x: Tensor, y: Tensor) -> Iterator[slice]:
    pairs = x.shape[1]
    size = max(1, _NUMBERS // max(len(x), len(y)))
    for start in range(0, pairs, size):
        yield slice(start, min(start + size, pairs))
