"""Batch norm for padded inputs."""

import torch
from torch import Tensor, nn


class MaskedBatchNorm(nn.Module):
    """Batch norm of the last dimension whose statistics are over entries that are no padding.

    The parameters and buffers have the names and shapes of `torch.nn.BatchNorm1d`, and so has the
    result on all entries at once where nothing is masked.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, size: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_var", torch.ones(size))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.momentum = momentum
        self.epsilon = epsilon

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Normalise `x` (..., size); `mask` (...) is true for entries that count."""
        mean, variance = self._statistics(x, mask) if self.training else (None, None)
        if mean is None or variance is None:
            mean, variance = self.running_mean, self.running_var
        scale = self.weight * torch.rsqrt(variance + self.epsilon)
        return x * scale + (self.bias - mean * scale)

    def _statistics(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance of this batch; the running ones take the unbiased variance."""
        weight = mask.to(x.dtype).unsqueeze(-1)
        dimensions = tuple(range(x.dim() - 1))
        number = weight.sum()
        count = number.clamp(min=1.0)
        mean = (x * weight).sum(dimensions) / count
        variance = ((x - mean) ** 2 * weight).sum(dimensions) / count
        with torch.no_grad():
            # a batch of nothing but padding says nothing about the scale
            step = self.momentum * (number > 0)
            unbiased = variance * count / (count - 1).clamp(min=1.0)
            self.running_mean += step * (mean - self.running_mean)
            self.running_var += step * (unbiased - self.running_var)
            self.num_batches_tracked += 1
        return mean, variance
