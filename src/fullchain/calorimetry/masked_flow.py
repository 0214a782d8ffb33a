"""Autoregressive flows with rational-quadratic splines, for fast densities or for fast samples.

In each block a masked network shapes the spline that takes each number one step from the data to
normal numbers. The network sees the data side of the block (masked autoregressive flow,
G. Papamakarios et al., 1705.07057: the density takes one pass) or its normal side (inverse
autoregressive flow, D. Kingma et al., 1606.04934: a sample takes one pass). The other way the
numbers come one after the other. Splines are of C. Durkan et al., 1906.04032.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fullchain.calorimetry.masked_flow_settings import MaskedFlowSettings
from fullchain.calorimetry.masked_network import MaskedNetwork, Steps
from fullchain.calorimetry.spline import parameters, spline


@dataclass(frozen=True)
class Passage:
    """What a pass in the fast direction finds.

    Parameters
    ----------
    states
        Numbers before, between and after the blocks, the data first, (n, numbers) each.
    shapes
        Of the splines of each block, (n, parameters, numbers) in the order of the block.
    stretch
        Logarithm of the determinant from the data to the normal numbers, (n).
    """

    states: list[Tensor]
    shapes: list[Tensor]
    stretch: Tensor

    @property
    def data(self) -> Tensor:
        """Numbers on the side of the data, (n, numbers)."""
        return self.states[0]

    @property
    def normal(self) -> Tensor:
        """Normal numbers, (n, numbers)."""
        return self.states[-1]

    def log_density(self) -> Tensor:
        """Logarithm of the density of the data, (n)."""
        return log_normal(self.normal) + self.stretch


class Block(nn.Module):
    """One block.

    Parameters
    ----------
    order
        Which number comes first, second and so on, (numbers).
    conditions
        Size of the condition.
    settings
        Of networks and splines.
    inverse
        Whether the network sees the normal side.
    """

    def __init__(
        self, order: Tensor, conditions: int, settings: MaskedFlowSettings, inverse: bool
    ) -> None:
        super().__init__()
        self.order: Tensor
        self.back: Tensor
        self.register_buffer("order", order)
        self.register_buffer("back", order.argsort())
        self.network = MaskedNetwork(len(order), conditions, parameters(settings.bins), settings)
        self.bound = settings.bound
        self.inverse = inverse

    def fast(self, values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take what the network sees to the other side; give that, stretch and shapes."""
        ordered = values[:, self.order]
        shape = self.network(ordered, condition)
        mapped, stretch = spline(shape, ordered, self.bound, self.inverse)
        return mapped[:, self.back], stretch, shape

    def slow(self, values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `fast`, one number after the other; give the numbers and their stretch."""
        steps = Steps(self.network, condition)
        ordered = values.t()[self.order].contiguous()
        found = torch.empty_like(ordered)
        stretch = values.new_zeros(len(values))
        for number in range(len(ordered)):
            shape = steps.step(number, found[:number]).unsqueeze(0)
            # Rows take the place of numbers, so that each step is one call.
            one, more = spline(shape, ordered[[number]], self.bound, not self.inverse, False)
            found[number] = one[0]
            stretch += more[0]
        return found[self.back].t(), stretch


class MaskedFlow(nn.Module):
    """Blocks one after the other.

    Parameters
    ----------
    groups
        Sizes of the groups that numbers come in (layers of the calorimeter). The first block takes
        numbers in their order, the second one each group backwards, further ones backwards or
        shuffled within groups, in turns; groups keep their order (as in 2106.05285).
    conditions
        Size of the condition.
    settings
        Of networks and splines.
    inverse
        Whether samples are fast instead of densities.
    """

    def __init__(
        self,
        groups: Sequence[int],
        conditions: int,
        settings: MaskedFlowSettings,
        inverse: bool = False,
    ) -> None:
        super().__init__()
        self.numbers, self.inverse = sum(groups), inverse
        self.blocks = nn.ModuleList(
            Block(order, conditions, settings, inverse) for order in orders(groups, settings.blocks)
        )

    def fast(self, values: Tensor, condition: Tensor) -> Passage:
        """Go from data to normal numbers, or if `inverse` from normal numbers to data."""
        states, shapes, total = [values], [], values.new_zeros(len(values))
        for block in reversed(self.blocks) if self.inverse else self.blocks:
            values, stretch, shape = block.fast(values, condition)  # type: ignore[operator]
            states.append(values)
            shapes.append(shape)
            total = total + stretch
        if self.inverse:
            return Passage(states[::-1], shapes[::-1], -total)
        return Passage(states, shapes, total)

    @torch.no_grad()
    def slow(self, values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Go the other way; give the numbers and the stretch from data to normal numbers, (n)."""
        total = values.new_zeros(len(values))
        for block in self.blocks if self.inverse else reversed(self.blocks):
            values, stretch = block.slow(values, condition)  # type: ignore[operator]
            total += stretch
        return values, total if self.inverse else -total

    def log_density(self, data: Tensor, condition: Tensor) -> Tensor:
        """Logarithm of the density, (n); if `inverse`, slow and without gradients."""
        if not self.inverse:
            return self.fast(data, condition).log_density()
        normal, stretch = self.slow(data, condition)
        return log_normal(normal) + stretch

    def sampled(self, normal: Tensor, condition: Tensor) -> Tensor:
        """Make data of normal numbers, (n, numbers)."""
        if self.inverse:
            return self.fast(normal, condition).data
        return self.slow(normal, condition)[0]


def log_normal(values: Tensor) -> Tensor:
    """Logarithm of the density of independent normal numbers (n, numbers), (n)."""
    return -0.5 * (values**2).sum(dim=1) - 0.5 * values.shape[1] * math.log(2 * math.pi)


def orders(groups: Sequence[int], blocks: int) -> list[Tensor]:
    """Give the order of numbers in each block; shuffled ones are drawn from torch's generator.

    Examples
    --------
    >>> [order.tolist() for order in orders([2, 3], 2)]
    [[0, 1, 2, 3, 4], [1, 0, 4, 3, 2]]
    """
    result: list[Tensor] = []
    for block in range(blocks):
        parts, first = [], 0
        for size in groups:
            own = torch.arange(size)
            if block % 2 == 1:
                own = own.flip(0)
            elif block:
                own = torch.randperm(size)
            parts.append(first + own)
            first += size
        result.append(torch.cat(parts))
    return result
