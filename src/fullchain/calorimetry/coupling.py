"""Conditional coupling flow over all numbers of a shower: CaloINN (F. Ernst et al., 2312.09290).

Energies of layers and voxels are one vector; or, which is ours, a small flow gives the energies of
layers and a large one the voxels given them. A block has a learned factor and shift for each number
(ActNorm) and a coupling: one half of the numbers passes, and with the incident energy it shapes
what happens to the other half: rational-quadratic splines (1906.04032), or a shift and a factor
(1605.08803). In the Bayesian version the weights of the subnets have a distribution.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

from fullchain.calorimetry.coupling_settings import CouplingSettings
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.rational_quadratic import RationalQuadratic
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.tagging import bayesian

GENTLE = 0.1
"""Factor on the initial weights of the last layer of a subnet: a block begins near the identity."""

ENERGY_BOUND = 6.0
"""Of the splines of the small flow of energies, whose numbers have width one."""

HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


class Affine:
    """A shift and a bounded factor for each number."""

    def __init__(self, largest_factor: float) -> None:
        self.parameters = 2
        self.limit = math.log(largest_factor)

    def _both(self, shape: Tensor) -> tuple[Tensor, Tensor]:
        logarithm, shift = shape.chunk(2, dim=1)
        return self.limit * (logarithm / self.limit).tanh(), shift

    def forward(self, rows: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """Give the rows (n, d) and the log-determinant (n) for a shape (n, 2 d)."""
        logarithm, shift = self._both(shape)
        return torch.addcmul(shift, rows, logarithm.exp()), logarithm.sum(dim=1)

    def inverse(self, rows: Tensor, shape: Tensor) -> Tensor:
        """Undo `forward`."""
        logarithm, shift = self._both(shape)
        return (rows - shift) * (-logarithm).exp()


class Block(nn.Module):
    """ActNorm and a coupling.

    Parameters
    ----------
    moved
        Numbers that are transformed; the others pass.
    size, conditions
        Numbers in all, and those that the subnet sees beside what passes.
    rotation
        Applied at first, (numbers, numbers), orthogonal; None for none.
    settings
        Sizes.
    """

    def __init__(
        self,
        moved: Tensor,
        size: int,
        conditions: int,
        rotation: Tensor | None,
        settings: CouplingSettings,
    ) -> None:
        super().__init__()
        self.moved: Tensor
        self.kept: Tensor
        self.back: Tensor
        self.rotation: Tensor | None
        rest = torch.ones(size, dtype=torch.bool)
        rest[moved] = False
        kept = rest.nonzero().view(-1)
        self.register_buffer("moved", moved)
        self.register_buffer("kept", kept)
        self.register_buffer("back", torch.cat([kept, moved]).argsort())
        self.register_buffer("rotation", rotation)
        self.log_factor = nn.Parameter(torch.zeros(size))
        self.shift = nn.Parameter(torch.zeros(size))
        self.map: Affine | RationalQuadratic
        if settings.spline == "affine":
            self.map = Affine(settings.largest_factor)
        else:
            self.map = RationalQuadratic(settings.bins, settings.bound)
        self.subnet = subnet(len(kept) + conditions, len(moved) * self.map.parameters, settings)

    def forward(self, rows: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Give the transformed rows (n, numbers) and the log-determinant (n)."""
        if self.rotation is not None:
            rows = rows @ self.rotation
        rows = torch.addcmul(self.shift, rows, self.log_factor.exp())
        kept = rows.index_select(1, self.kept)
        shape = self.subnet(torch.cat([kept, condition], dim=1))
        mapped, stretch = self.map.forward(rows.index_select(1, self.moved), shape)
        joined = torch.cat([kept, mapped], dim=1).index_select(1, self.back)
        return joined, stretch + self.log_factor.sum()

    def inverse(self, rows: Tensor, condition: Tensor) -> Tensor:
        """Undo `forward`."""
        kept = rows.index_select(1, self.kept)
        shape = self.subnet(torch.cat([kept, condition], dim=1))
        mapped = self.map.inverse(rows.index_select(1, self.moved), shape)
        rows = torch.cat([kept, mapped], dim=1).index_select(1, self.back)
        rows = (rows - self.shift) * (-self.log_factor).exp()
        return rows if self.rotation is None else rows @ self.rotation.T


class Flow(nn.Module):
    """Blocks one after the other, with a normal distribution behind them.

    Parameters
    ----------
    size, conditions
        Numbers that are transformed, and numbers that all subnets see beside their half.
    settings
        Number and sizes of the blocks.
    """

    def __init__(self, size: int, conditions: int, settings: CouplingSettings) -> None:
        super().__init__()
        self.size = size
        self.blocks = nn.ModuleList(_blocks(size, conditions, settings))

    def loss(self, rows: Tensor, condition: Tensor) -> Tensor:
        """Give -log p(rows | condition), (n), of (n, size) and (n, conditions)."""
        stretch = rows.new_zeros(len(rows))
        for block in self.blocks:
            rows, more = block(rows, condition)
            stretch = stretch + more
        return 0.5 * rows.square().sum(dim=1) + HALF_LOG_TWO_PI * self.size - stretch

    def draw(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """Draw rows (n, size) for conditions (n, conditions)."""
        shape = (len(condition), self.size)
        rows = torch.randn(shape, generator=generator, device=condition.device)
        for block in reversed(self.blocks):
            rows = block.inverse(rows, condition)  # type: ignore[operator]
        return rows


def _blocks(size: int, conditions: int, settings: CouplingSettings) -> Iterator[Block]:
    order = torch.randperm(size)
    for number in range(settings.blocks):
        rotation = None
        if number % 2 == 0:
            order = torch.randperm(size)
            if settings.mixing == "rotation" and number:
                rotation = torch.linalg.qr(torch.randn(size, size)).Q
        halves = order[: size // 2], order[size // 2 :]
        moved = halves[number % 2] if len(halves[number % 2]) else order
        yield Block(moved.sort().values, size, conditions, rotation, settings)


class Coupling(ShowerModel):
    """The flow.

    Parameters
    ----------
    preprocessing
        Measured; the number of training showers in it weighs the prior of Bayesian weights.
    settings
        Number and sizes of the blocks.

    Notes
    -----
    How the numbers are divided is drawn with torch's own generator when the flow is built, and
    saved.
    """

    def __init__(self, preprocessing: Preprocessing, settings: CouplingSettings) -> None:
        super().__init__(preprocessing)
        self.settings = settings
        self.bayesian = settings.weights is not None
        self.first = preprocessing.layers if settings.energies == "first" else 0
        self.energies: Flow | None = None
        if self.first:
            small = settings.model_copy(
                update={
                    "spline": "quadratic",
                    "blocks": settings.energy_blocks,
                    "width": settings.energy_width,
                    "depth": 2,
                    "bound": min(settings.bound, ENERGY_BOUND),
                }
            )
            self.energies = Flow(self.first, 1, small)
        self.flow = Flow(preprocessing.size - self.first, 1 + self.first, settings)

    def loss(self, numbers: Tensor, condition: Tensor) -> Tensor:
        """Give -log p(numbers | condition), (n), and for Bayesian weights their part of the bound.

        That part is KL(weights | prior) over the number of training showers: the mean over all
        showers is the negative evidence lower bound per shower.
        """
        if self.energies is None:
            loss = self.flow.loss(numbers, condition)
        else:
            energies, voxels = numbers[:, : self.first], numbers[:, self.first :]
            given = torch.cat([condition, energies], dim=1)
            loss = self.energies.loss(energies, condition) + self.flow.loss(voxels, given)
        if self.bayesian:
            loss = loss + bayesian.divergence(self) / self.preprocessing.showers
        return loss

    def draw(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """Draw numbers (n, numbers) for conditions (n, 1)."""
        if self.energies is None:
            return self.flow.draw(condition, generator)
        energies = self.energies.draw(condition, generator)
        voxels = self.flow.draw(torch.cat([condition, energies], dim=1), generator)
        return torch.cat([energies, voxels], dim=1)

    @contextmanager
    def fixed_weights(self, number: int) -> Iterator[None]:
        """Use one draw of Bayesian weights inside the block, by its number, from 0.

        Raises
        ------
        ValueError
            The weights have no distribution.
        """
        if not self.bayesian:
            raise ValueError("the weights of this flow have no distribution")
        with bayesian.fixed(self, [number]):
            yield


def subnet(inputs: int, outputs: int, settings: CouplingSettings) -> nn.Sequential:
    """Give dense layers with ReLU between, whose weights have a distribution if settings say so."""
    sizes: Sequence[int] = [inputs, *[settings.width] * settings.depth, outputs]
    layers: list[nn.Module] = []
    for place, (below, above) in enumerate(pairwise(sizes)):
        linear = nn.Linear(below, above)
        if place == len(sizes) - 2:
            with torch.no_grad():
                linear.weight.mul_(GENTLE)
                linear.bias.mul_(GENTLE)
        if settings.weights is None:
            layers.append(linear)
        else:
            layers.append(
                bayesian.VariationalLinear(
                    linear,
                    prior_width=settings.weights.prior_width,
                    initial_width=settings.weights.initial_width,
                    per_jet=True,
                )
            )
        layers.append(nn.ReLU())
    return nn.Sequential(*layers[:-1])


def build(settings: CouplingSettings, preprocessing: Preprocessing) -> Coupling:
    """Build the flow."""
    return Coupling(preprocessing, settings)
