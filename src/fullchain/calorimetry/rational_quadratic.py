"""Rational-quadratic splines of many numbers (C. Durkan et al., 1906.04032), quick to invert.

Bounds of bins and slopes are made of the outputs of a network. Only the bin that a number falls in
is taken out of the arrays, by one gather for each quantity.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

LEAST = 1e-3
"""Least width and height of a bin, as parts of the whole, and least slope at a bound."""

UNIT = math.log(math.expm1(1.0 - LEAST))
"""With this a slope is one where the network gives zero, and the spline is the identity."""


class RationalQuadratic:
    """Monotonic splines between -bound and bound; the identity outside.

    Parameters
    ----------
    bins
        K.
    bound
        B.
    """

    def __init__(self, bins: int, bound: float) -> None:
        self.bins, self.bound = bins, bound
        self.parameters = 3 * bins - 1

    def forward(self, rows: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Give the rows (n, d) and the log-determinant (n) for a shape (n, d (3 K - 1))."""
        inside, left, width, bottom, height, start, end = self._bin(rows, shape, inverse=False)
        slope = height / width
        place = ((rows - left) / width).clamp(0.0, 1.0)
        rest = 1.0 - place
        below = slope + (start + end - 2.0 * slope) * place * rest
        value = bottom + height * (slope * place.square() + start * place * rest) / below
        rise = end * place.square() + 2.0 * slope * place * rest + start * rest.square()
        logarithm = 2.0 * slope.log() + rise.log() - 2.0 * below.log()
        stretch = torch.where(inside, logarithm, 0.0).sum(dim=1)
        return torch.where(inside, value, rows), stretch

    def inverse(self, rows: Tensor, shape: Tensor) -> Tensor:
        """Undo `forward`."""
        inside, left, width, bottom, height, start, end = self._bin(rows, shape, inverse=True)
        slope = height / width
        offset = (rows - bottom).clamp_min(0.0)
        bend = offset * (start + end - 2.0 * slope)
        a = height * (slope - start) + bend
        b = height * start - bend
        c = -slope * offset
        root = (b.square() - 4.0 * a * c).clamp_min(0.0).sqrt()
        place = (2.0 * c / (-b - root)).clamp(0.0, 1.0)
        return torch.where(inside, left + place * width, rows)

    def _bin(self, rows: Tensor, shape: Tensor, inverse: bool) -> tuple[Tensor, ...]:
        bins, bound = self.bins, self.bound
        shape = shape.view(*rows.shape, self.parameters)
        widths, heights, slopes = shape.split([bins, bins, bins - 1], dim=-1)
        widths, heights = self._sizes(widths), self._sizes(heights)
        # A product, because a cumulative sum is not repeatable on CUDA.
        sums = widths.new_ones(bins, bins).triu()
        rights, tops = widths @ sums - bound, heights @ sums - bound
        bounds = tops if inverse else rights
        inside = rows.abs() < bound
        # The last bound is the end itself.
        which = (rows.unsqueeze(-1) >= bounds[..., :-1]).sum(dim=-1, keepdim=True)
        width, height = widths.gather(-1, which), heights.gather(-1, which)
        left, bottom = rights.gather(-1, which) - width, tops.gather(-1, which) - height
        last = bins - 2
        start = slopes.gather(-1, (which - 1).clamp_min(0))
        end = slopes.gather(-1, which.clamp_max(last))
        start = torch.where(which == 0, 1.0, LEAST + softplus(start + UNIT))
        end = torch.where(which == bins - 1, 1.0, LEAST + softplus(end + UNIT))
        found = (left, width, bottom, height, start, end)
        return (inside, *(one.squeeze(-1) for one in found))

    def _sizes(self, logits: Tensor) -> Tensor:
        parts = logits.softmax(dim=-1)
        return 2.0 * self.bound * (LEAST + (1.0 - LEAST * self.bins) * parts)
