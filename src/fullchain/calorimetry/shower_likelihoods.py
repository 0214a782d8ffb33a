r"""Densities of the parts of the energy of a layer that its voxels hold, some of them empty.

Where a shower is made of many deposits, the parts of a layer are Dirichlet: gamma numbers of
shapes a_i (how many deposits voxel i expects), divided by their sum. A voxel whose part is below
the threshold t is recorded as empty. With A the sum of the shapes of those that are not, the
sum of their gamma numbers is about A, and what is recorded has the density

    Dirichlet(parts that are not empty; their a_i) \prod_{empty j} P(a_j, t A),

P being the regularised lower incomplete gamma function.
"""

import math

import torch
from torch import Tensor

TERMS = 24
"""Of the series of the incomplete gamma function, enough to `LARGEST` for any shape."""

LARGEST = 8.0
"""Largest threshold, in deposits; a shape a few below it is almost surely below it anyhow."""

TINY = 1e-30


def log_below(shape: Tensor, threshold: Tensor) -> Tensor:
    """Give log P(shape, threshold): of a gamma number to be below a threshold (at most `LARGEST`).

    By the series x^a e^-x / Gamma(a+1) (1 + x/(a+1) (1 + x/(a+2) (...))), which has derivatives
    in both arguments and does not underflow for large shapes.

    Examples
    --------
    >>> round(float(log_below(torch.tensor(1.0), torch.tensor(0.5)).exp()), 4)
    0.3935
    """
    x = threshold.clamp(TINY, LARGEST)
    series = torch.ones_like(shape + x)
    for term in range(TERMS, 0, -1):
        series = 1.0 + x / (shape + term) * series
    return shape * x.log() - x - torch.lgamma(shape + 1.0) + series.log()


def log_dirichlet(
    shapes: Tensor, parts: Tensor, threshold: Tensor, slices: tuple[slice, ...]
) -> Tensor:
    """Give the logarithm of the density of recorded parts.

    Parameters
    ----------
    shapes
        Of all voxels, positive, (n, voxels).
    parts
        Of the energy of the layer, 0 where empty, (n, voxels).
    threshold
        As a part of the energy of each layer, (n, layers).
    slices
        Voxels of each layer.

    Returns
    -------
    (n); a layer without energy adds nothing.
    """
    there = parts > 0
    some = torch.stack([there[:, own].any(dim=1) for own in slices], dim=1)
    sums = torch.stack(
        [torch.where(there[:, own], shapes[:, own], 0.0).sum(dim=1) for own in slices], dim=1
    )
    # In double precision: with 10^5 deposits the terms nearly cancel.
    own_shape = torch.where(there, shapes, 1.0).double()
    held = (own_shape - 1.0) * torch.where(there, parts, 1.0).double().log()
    held = (held - torch.lgamma(own_shape)).sum(dim=1)
    held = held + torch.where(some, torch.lgamma(torch.where(some, sums, 1.0).double()), 0.0).sum(1)
    limit = (threshold * sums).detach() if not shapes.requires_grad else threshold * sums
    of_layer = torch.repeat_interleave(
        torch.arange(len(slices), device=parts.device),
        torch.tensor([own.stop - own.start for own in slices], device=parts.device),
    )
    row, voxel = (~there & some[:, of_layer]).nonzero(as_tuple=True)
    below = log_below(shapes[row, voxel], limit[row, of_layer[voxel]])
    empty = torch.zeros_like(held).index_add(0, row, below.double())
    return (held + empty).float()


def log_normal(values: Tensor, mean: Tensor, log_width: Tensor) -> Tensor:
    """Give the logarithm of normal densities."""
    pull = (values - mean) * (-log_width).exp()
    return -0.5 * pull**2 - log_width - 0.5 * math.log(2 * math.pi)
