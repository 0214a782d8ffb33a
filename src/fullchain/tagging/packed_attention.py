"""Jets without padding, and what trains on them on CPUs: attention with dropout, and dropout.

The particles of all jets stand one after the other, so that layers which see one particle at a time
see no padding. Attention and dropout are those of `attention_kernels`, as torch's own has no fused
kernel for what training needs. Values and gradients are those of the padded way, but for rounding.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Packing:
    """Where the particles of padded jets stand when they are packed."""

    index: Tensor
    """Number of each particle among all entries of all jets, shape (particles,)."""
    starts: Array
    """Number of the first particle of each jet, and of all particles, shape (jets + 1,)."""
    pair_starts: Array
    """The same for pairs (0, 0), (1, 0), (1, 1), (2, 0), ... of particles."""
    jets: int
    entries: int

    @classmethod
    def of(cls, mask: Tensor) -> "Packing":
        """Give the packing for a mask (jets, entries) that is true for particles."""
        numbers = mask.sum(1).numpy()
        pairs = numbers * (numbers + 1) // 2
        return cls(
            mask.flatten().nonzero().squeeze(1),
            np.concatenate(([0], np.cumsum(numbers))),
            np.concatenate(([0], np.cumsum(pairs))),
            *mask.shape,
        )

    def packed(self, x: Tensor) -> Tensor:
        """From (jets, entries, n) to (particles, n)."""
        return x.flatten(0, 1).index_select(0, self.index)

    def padded(self, x: Tensor) -> Tensor:
        """From (particles, n) to (jets, entries, n), with zeros as padding."""
        rows = x.new_zeros(self.jets * self.entries, x.shape[1]).index_copy(0, self.index, x)
        return rows.unflatten(0, (self.jets, self.entries))


@dataclass(frozen=True)
class _Dropout:
    """What the kernels need to know of dropout: threshold of the hash, factor, and keys."""

    below: Any
    factor: Any
    key: Any
    other_key: Any

    @classmethod
    def draw(cls, probability: float) -> "_Dropout":
        """Take new keys from torch's generator."""
        keys = torch.randint(2**32, (2,), dtype=torch.int64).tolist() if probability else (0, 0)
        below = np.uint32(round(probability * 2**32))
        return cls(below, np.float32(1 / (1 - probability)), *map(np.uint32, keys))

    def arguments(self) -> tuple[Any, ...]:
        return self.below, self.factor, self.key, self.other_key


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, bias: Tensor, packing: Packing, dropout: _Dropout
    ) -> Tensor:
        from fullchain.tagging.attention_kernels import attention_forward

        projected, bias = projected.contiguous(), bias.contiguous()
        particles, width = projected.shape[0], projected.shape[1] // 3
        result = projected.new_empty(particles, width)
        logsum = projected.new_empty(len(bias), particles)
        given = (*_arrays(projected, bias), packing.starts, packing.pair_starts)
        filled = _arrays(result, logsum)
        _over_jets(
            packing.jets,
            lambda first, last: attention_forward(
                *given, first, last, *dropout.arguments(), *filled
            ),
        )
        ctx.save_for_backward(projected, bias, result, logsum)
        ctx.packing, ctx.dropout = packing, dropout
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        from fullchain.tagging.attention_kernels import attention_backward

        projected, bias, result, logsum = ctx.saved_tensors
        packing = ctx.packing
        found = torch.empty_like(projected), torch.empty_like(bias)
        given = (*_arrays(projected, bias), packing.starts, packing.pair_starts)
        others = _arrays(result, logsum, gradient.contiguous(), *found)
        _over_jets(
            packing.jets,
            lambda first, last: attention_backward(
                *given, first, last, *ctx.dropout.arguments(), *others
            ),
        )
        return *found, None, None


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dropout: _Dropout) -> Tensor:
        ctx.dropout = dropout
        return _Dropped._applied(x, dropout)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Dropped._applied(gradient, ctx.dropout), None

    @staticmethod
    def _applied(x: Tensor, dropout: _Dropout) -> Tensor:
        from fullchain.tagging import attention_kernels

        x = x.contiguous()
        result = torch.empty_like(x)
        attention_kernels.dropped(*_arrays(x.view(-1), result.view(-1)), *dropout.arguments())
        return result


def attention(projected: Tensor, bias: Tensor, packing: Packing, dropout: float = 0.0) -> Tensor:
    """Attention of the particles of each jet, on the CPU in single precision.

    Parameters
    ----------
    projected
        Queries, keys and values, shape (particles, 3 width).
    bias
        One number for each head and pair of particles (a, b) with b <= a, shape (heads, pairs).
    packing
        Where the particles and pairs of each jet are.
    dropout
        Probability for a weight to be dropped.

    Returns
    -------
    Tensor
        Shape (particles, width), the channels of a head side by side.
    """
    found: Tensor = _Attention.apply(projected, bias, packing, _Dropout.draw(dropout))
    return found


def dropped(x: Tensor, probability: float) -> Tensor:
    """Dropout on the CPU in single precision: torch's draws its numbers one by one."""
    if probability == 0.0:
        return x
    found: Tensor = _Dropped.apply(x, _Dropout.draw(probability))
    return found


def pair_features(particles: Tensor, packing: Packing) -> Tensor:
    """Give `pair_embedding.pair_features` of all pairs, shape (4, pairs), without a gradient.

    `particles` has the columns of `pair_embedding.centred`, shape (5, particles).
    """
    from fullchain.tagging import pair_kernels

    result = particles.new_empty(4, int(packing.pair_starts[-1]))
    given = (*_arrays(particles.contiguous()), packing.starts, packing.pair_starts)
    filled = _arrays(result)
    _over_jets(
        packing.jets,
        lambda first, last: pair_kernels.pair_features(*given, first, last, *filled),
    )
    return result


def _arrays(*tensors: Tensor) -> tuple[Array, ...]:
    return tuple(tensor.detach().numpy() for tensor in tensors)


def _over_jets(jets: int, function: Callable[[int, int], None]) -> None:
    """Call a function that holds no lock of Python's for all jets, in torch's number of threads."""
    threads = min(torch.get_num_threads(), max(jets, 1))
    if threads == 1:
        function(0, jets)
        return
    limits = [jets * k // threads for k in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(function, limits[:-1], limits[1:]))
