"""Sums over the processes that share a training, for what depends on a whole batch."""

from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable


def several() -> bool:
    """Whether several processes share the training that this one takes part in."""
    there = distributed.is_available() and distributed.is_initialized()
    return there and distributed.get_world_size() > 1


def total(values: Tensor) -> Tensor:
    """Sum `values` over the processes; alone, they are the answer.

    All processes must call it, in one order and with equal shapes. The gradient is that of the sum
    of the losses of all processes, which `DistributedDataParallel` divides by their number.
    """
    if not several():
        return values
    found: Tensor = _Total.apply(values)
    return found


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        result = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(result)
        return result

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> Tensor:
        result = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(result)
        return result
