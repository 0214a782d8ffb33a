r"""Conditional flow matching of showers: CaloDREAM (L. Favaro et al., 2405.09629).

A transformer gives the energies of layers, ratio by ratio; a residual network, or a transformer of
patches, gives the voxels given these. Both are velocities that carry normal numbers to the data
(`probability_path`). That the numbers may be made normal before (`preprocessing.marginals`) is not
in the publication.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fullchain.calorimetry.matching_parts import (
    EnergyMatching,
    Follow,
    ShowerMatching,
    following,
)
from fullchain.calorimetry.matching_settings import MatchingSettings
from fullchain.calorimetry.parts import Parts
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.learning.device import repeatable
from fullchain.learning.training import Resumption, initialised, train
from fullchain.seeds import derive


class MatchingModel(ShowerModel):
    """The model of ratios and that of voxels.

    Parameters
    ----------
    settings
        Networks and solvers.
    preprocessing
        Measured on the showers of the training.
    """

    def __init__(self, settings: MatchingSettings, preprocessing: Preprocessing) -> None:
        super().__init__(preprocessing)
        self.settings = settings
        self.layers = preprocessing.layers
        self.energies = EnergyMatching(
            self.layers, settings.energies, settings.times, settings.average
        )
        self.shower = ShowerMatching(preprocessing, settings)

    def loss(self, numbers: Tensor, condition: Tensor) -> Tensor:
        """Give the sum of the losses of both parts, (n)."""
        ratios, voxels = numbers[:, : self.layers], numbers[:, self.layers :]
        result: Tensor = self.energies(ratios, condition)
        return result + self.shower(voxels, torch.cat([condition, ratios], dim=1))

    def draw(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """Draw numbers for conditions (n, 1), (n, numbers)."""
        return self.drawn(
            condition,
            generator,
            following(self.settings.energies.solver),
            following(self.settings.solver),
        )

    def drawn(
        self, condition: Tensor, generator: torch.Generator, energies: Follow, shower: Follow
    ) -> Tensor:
        """Draw numbers with these ways to follow the velocities of ratios and of voxels."""
        shape = (len(condition), self.preprocessing.size)
        noise = torch.randn(shape, generator=generator, device=condition.device)
        ratios = self.energies.draw(noise[:, : self.layers], condition, energies)
        given = torch.cat([condition, ratios], dim=1)
        voxels = shower(self.shower.velocity(given), noise[:, self.layers :])
        return torch.cat([ratios, voxels], dim=1)


def build(settings: MatchingSettings, preprocessing: Preprocessing) -> MatchingModel:
    """Make a model that has learned nothing.

    Raises
    ------
    InputError
        The geometry cannot be cut into the patches of a transformer.
    """
    return MatchingModel(settings, preprocessing)


def fit(
    settings: MatchingSettings,
    preprocessing: Preprocessing,
    training: Parts,
    validation: Parts,
    seed: int,
    resumption: Resumption | None = None,
) -> tuple[MatchingModel, dict[str, Any]]:
    """Train both parts, each for as long as it needs, and give the model and both histories.

    Parameters
    ----------
    settings
        Networks and trainings.
    preprocessing
        Measured.
    training, validation
        Showers.
    seed
        Of weights, noise, and order.
    resumption
        Of the training of the voxels; the energies have a file beside it.
    """
    model = initialised(seed, lambda: build(settings, preprocessing))
    assert isinstance(model, MatchingModel)
    with repeatable(settings.training.threads), torch.no_grad():
        columns = {
            name: _columns(
                preprocessing, parts, torch.Generator().manual_seed(derive(seed, "noise", name))
            )
            for name, parts in (("training", training), ("validation", validation))
        }
    history = {}
    for name, part, objective, how in (
        ("energies", model.energies, _mean_loss, settings.energies.training),
        ("shower", model.shower, _Turned(preprocessing), settings.training),
    ):
        found = train(
            part,
            objective,
            columns["training"][name],
            columns["validation"][name],
            how,
            seed=derive(seed, "matching", name),
            resumption=_beside(resumption, name),
            description=f"flow matching, {name}",
        )
        history[name] = found.as_dict()
    model.eval()
    return model, history


def _columns(
    preprocessing: Preprocessing, parts: Parts, chance: torch.Generator
) -> dict[str, dict[str, Tensor]]:
    """Give what each part trains on: targets, and what they are given.

    The noise of the preprocessing is drawn once: positions on the paths differ in each epoch.
    """
    condition = preprocessing.condition(parts.incident)
    numbers = preprocessing(parts.ratios, parts.fractions, chance, incident=parts.incident)
    ratios, voxels = numbers[:, : preprocessing.layers], numbers[:, preprocessing.layers :]
    return {
        "energies": {"target": ratios.contiguous(), "given": condition},
        "shower": {
            "target": voxels.contiguous(),
            "given": torch.cat([condition, ratios], dim=1),
        },
    }


def _mean_loss(part: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {"loss": part(batch["target"], batch["given"]).mean()}


class _Turned:
    """The objective of the voxels: in training showers are turned and reflected at random."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing

    def __call__(self, part: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        target = batch["target"]
        if part.training:
            # All voxels of a ring have one map from fractions to numbers if they may be turned.
            target = self.preprocessing.turned(target)
        return {"loss": part(target, batch["given"]).mean()}


def _beside(resumption: Resumption | None, part: str) -> Resumption | None:
    if resumption is None:
        return None
    path: Path = resumption.path
    return replace(resumption, path=path.with_name(f"{path.name}.{part}"))
