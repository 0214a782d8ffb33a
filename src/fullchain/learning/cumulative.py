"""Cumulative sums that are repeatable on any device."""

from torch import Tensor


def cumulative(values: Tensor, dim: int = -1) -> Tensor:
    """Sum along a dimension up to each entry.

    A product with a triangle: torch's own sum is not repeatable on CUDA, and an error where that is
    asked for.

    Examples
    --------
    >>> import torch
    >>> cumulative(torch.tensor([1.0, 2.0, 3.0]))
    tensor([1., 3., 6.])
    """
    size = values.shape[dim]
    triangle = values.new_ones(size, size).triu()
    return (values.movedim(dim, -1) @ triangle).movedim(-1, dim)
