"""Conditional invertible network: rational-quadratic couplings of posterior and normal numbers.

Unfolding by conditional invertible networks is of Bellagente et al. 2006.06685, the splines are of
Durkan et al. 1906.04032 (from the library zuko). In each block half of the observables pass
unchanged, and with the condition they shape the splines of the others. All members share a block.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fullchain.learning.dense_network import GroupedNetwork
from fullchain.unfolding.generative_settings import CinnSettings
from fullchain.unfolding.posterior import Posterior

GENTLE = 0.1
"""Factor on the initial weights behind the splines, which so begin near the identity."""


class Coupling(nn.Module):
    """One block.

    Parameters
    ----------
    members
        Number of fits.
    moved
        Numbers of the observables that are transformed; the others pass.
    observables, conditions
        Sizes.
    settings
        Of the networks and splines.
    """

    def __init__(
        self,
        members: int,
        moved: Sequence[int],
        observables: int,
        conditions: int,
        settings: CinnSettings,
    ) -> None:
        super().__init__()
        self.moved = list(moved)
        self.kept = [number for number in range(observables) if number not in self.moved]
        self.bins = settings.bins
        self.bound = settings.bound
        self.network = GroupedNetwork(
            members,
            len(self.kept) + conditions,
            settings.layers,
            len(self.moved) * (3 * self.bins - 1),
            GENTLE,
        )

    def forward(self, rows: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Give the transformed rows (members, rows, observables) and the log-determinant."""
        mapped, stretch = self._splines(rows, condition).call_and_ladj(rows[..., self.moved])
        return self._joined(rows, mapped), stretch.sum(dim=-1)

    def inverse(self, rows: Tensor, condition: Tensor) -> Tensor:
        """Undo `forward`."""
        return self._joined(rows, self._splines(rows, condition).inv(rows[..., self.moved]))

    def _splines(self, rows: Tensor, condition: Tensor):  # type: ignore[no-untyped-def]
        from zuko.transforms import MonotonicRQSTransform

        shape = self.network(torch.cat([rows[..., self.kept], condition], dim=-1))
        shape = shape.unflatten(-1, (len(self.moved), 3 * self.bins - 1))
        widths, heights, slopes = shape.split([self.bins, self.bins, self.bins - 1], dim=-1)
        return MonotonicRQSTransform(widths, heights, slopes, bound=self.bound)

    def _joined(self, rows: Tensor, mapped: Tensor) -> Tensor:
        columns = list(rows.unbind(dim=-1))
        for place, number in enumerate(self.moved):
            columns[number] = mapped[..., place]
        return torch.stack(columns, dim=-1)


class Cinn(Posterior):
    """The network; what it minimises is the negative logarithm of its density.

    Parameters
    ----------
    lineage
        See `Posterior`.
    observables, conditions
        Sizes of both levels.
    settings
        Number and sizes of the blocks.
    """

    def __init__(
        self, lineage: Sequence[int], observables: int, conditions: int, settings: CinnSettings
    ) -> None:
        super().__init__(lineage, observables)
        self.blocks = nn.ModuleList(
            Coupling(len(lineage), moved, observables, conditions, settings)
            for moved in partitions(observables, settings.blocks)
        )

    def forward(self, target: Tensor, condition: Tensor) -> Tensor:
        """Give -log p(target | condition), (members, rows)."""
        rows = target.expand(self.members, -1, -1)
        stretch = rows.new_zeros(rows.shape[:2])
        for block in self.blocks:
            rows, more = block(rows, condition)
            stretch = stretch + more
        normal = 0.5 * (rows**2).sum(dim=-1) + 0.5 * rows.shape[-1] * math.log(2 * math.pi)
        return normal - stretch

    def sampled(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Run the blocks backwards, (members, rows, observables)."""
        for block in reversed(self.blocks):
            latent = block.inverse(latent, condition)  # type: ignore[operator]
        return latent


def partitions(observables: int, blocks: int) -> list[list[int]]:
    """Give the observables that each block transforms.

    Each second block transforms what the one before it passed; pairs of blocks divide the
    observables differently, by the digits of the number of the observable, so that each pair of
    observables is separated in one of them. A single observable is transformed by all blocks.

    Examples
    --------
    >>> partitions(4, 4)
    [[1, 3], [0, 2], [2, 3], [0, 1]]
    """
    if observables == 1:
        return [[0]] * blocks
    digits = max(1, math.ceil(math.log2(observables)))
    chosen = []
    for block in range(blocks):
        digit, side = (block // 2) % digits, 1 - block % 2
        chosen.append([n for n in range(observables) if (n >> digit) & 1 == side])
    return chosen
