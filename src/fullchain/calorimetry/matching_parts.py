"""The two parts of flow matching of showers: ratios given the energy, voxels given ratios."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fullchain.calorimetry import probability_path
from fullchain.calorimetry.averaged import Averaged
from fullchain.calorimetry.energy_transformer import EnergyTransformer
from fullchain.calorimetry.matching_settings import (
    EnergyMatchingSettings,
    MatchingSettings,
    SolverSettings,
)
from fullchain.calorimetry.patches import Patches
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.residual_network import ResidualNetwork
from fullchain.calorimetry.vision_transformer import VisionTransformer
from fullchain.learning import ode

FIXED = 20_409
"""Seed of the times and positions with which the validation loss is found."""

Follow = Callable[[ode.DifferentiableVelocity, Tensor], Tensor]
"""Carries a state from time 0 to time 1."""


def following(settings: SolverSettings) -> Follow:
    """Give what follows a velocity as the settings say."""

    def follow(velocity: ode.DifferentiableVelocity, state: Tensor) -> Tensor:
        if settings.method == "dopri5":
            return ode.dopri5(velocity, state, settings.tolerance)[0]
        return ode.equal_steps(velocity, state, settings.method, settings.evaluations)

    return follow


class EnergyMatching(nn.Module):
    """The density of ratios, one after another.

    Parameters
    ----------
    ratios
        How many.
    settings
        Sizes of the networks.
    times, average
        Distribution of times and decay of the moving average.
    """

    def __init__(
        self, ratios: int, settings: EnergyMatchingSettings, times: str, average: float
    ) -> None:
        super().__init__()
        self.ratios = ratios
        self.draws = settings.draws
        self.times = times
        self.network = Averaged(
            EnergyTransformer(
                ratios, settings.width, settings.heads, settings.blocks, settings.hidden
            ),
            average,
        )

    @property
    def transformer(self) -> EnergyTransformer:
        """The network in use."""
        found = self.network.network
        assert isinstance(found, EnergyTransformer)
        return found

    def forward(self, ratios: Tensor, condition: Tensor) -> Tensor:
        """Give the loss of each row, (n, ratios), (n, 1) -> (n)."""
        chance = _chance(self, ratios.device)
        if self.training:
            self.network.update()
        transformer = self.transformer
        given = transformer.conditions(ratios[:, :-1], condition).repeat(self.draws, 1, 1)
        target = ratios.repeat(self.draws, 1).reshape(-1, 1)
        time = probability_path.times(len(target), self.times, ratios.device, chance)
        noise = torch.randn(target.shape, generator=chance, device=ratios.device)
        wrong = probability_path.loss(
            lambda position, at: transformer(position, at, given.flatten(0, 1)),
            target,
            time,
            noise,
        )
        return wrong.view(self.draws, len(ratios), self.ratios).mean(dim=(0, 2))

    def velocity(self, given: Tensor) -> ode.DifferentiableVelocity:
        """Velocity of one ratio with its conditions (n, width)."""
        transformer = self.transformer

        def velocity(time: float | Tensor, position: Tensor) -> Tensor:
            at = _times(time, position)
            return probability_path.velocity(
                lambda scaled, when: transformer(scaled, when, given), at, position
            )

        return velocity

    def draw(self, noise: Tensor, condition: Tensor, follow: Follow) -> Tensor:
        """Carry normal numbers (n, ratios) to ratios, given (n, 1)."""
        known = noise[:, :0]
        for place in range(self.ratios):
            given = self.transformer.conditions(known, condition)[:, -1]
            found = follow(self.velocity(given), noise[:, place : place + 1])
            known = torch.cat([known, found], dim=1)
        return known


class ShowerMatching(nn.Module):
    """The density of voxels given ratios and energy.

    Parameters
    ----------
    preprocessing
        For the geometry.
    settings
        The network, and how it is trained.

    Raises
    ------
    InputError
        The geometry cannot be cut into the patches of a transformer.
    """

    def __init__(self, preprocessing: Preprocessing, settings: MatchingSettings) -> None:
        super().__init__()
        geometry, conditions = preprocessing.geometry, 1 + preprocessing.layers
        own = settings.shower
        self.times = settings.times
        network: nn.Module
        if own.network == "vit":
            network = VisionTransformer(
                Patches(geometry, own.patch), conditions, own.width, own.heads, own.blocks
            )
        else:
            network = ResidualNetwork(
                geometry.voxels, conditions, own.width, own.blocks, own.embedding
            )
        self.network = Averaged(network, settings.average)

    def forward(self, voxels: Tensor, condition: Tensor) -> Tensor:
        """Give the loss of each row, (n, voxels), (n, conditions) -> (n)."""
        chance = _chance(self, voxels.device)
        if self.training:
            self.network.update()
        time = probability_path.times(len(voxels), self.times, voxels.device, chance)
        noise = torch.randn(voxels.shape, generator=chance, device=voxels.device)
        wrong = probability_path.loss(
            lambda position, at: self.network(position, at, condition), voxels, time, noise
        )
        return wrong.mean(dim=1)

    def velocity(self, condition: Tensor) -> ode.DifferentiableVelocity:
        """Velocity of the voxels with their conditions (n, conditions)."""

        def velocity(time: float | Tensor, position: Tensor) -> Tensor:
            at = _times(time, position)
            return probability_path.velocity(
                lambda scaled, when: self.network(scaled, when, condition), at, position
            )

        return velocity


def _chance(module: nn.Module, device: torch.device) -> torch.Generator | None:
    """The losses of two epochs compare only at the same times and positions."""
    return None if module.training else torch.Generator(device).manual_seed(FIXED)


def _times(time: float | Tensor, position: Tensor) -> Tensor:
    """One time for all rows, as a column; a learned one keeps its gradient."""
    if isinstance(time, Tensor):
        return time.to(position).expand(len(position), 1)
    return position.new_full((len(position), 1), time)
