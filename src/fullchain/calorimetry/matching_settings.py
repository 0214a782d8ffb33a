"""Settings of conditional flow matching of showers."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fullchain.calorimetry.model_base_settings import ModelBaseSettings
from fullchain.calorimetry.preprocessing_settings import NormalSettings, PreprocessingSettings
from fullchain.learning.equal_steps import EVALUATIONS_OF_STEP
from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel

Solver = Literal["euler", "midpoint", "rk4", "dopri5"]


class SolverSettings(SettingsModel):
    """How a velocity is followed."""

    method: Solver = Field(
        "rk4",
        description="euler, midpoint, rk4: equal steps of 1, 2, 4 evaluations; dopri5: steps of "
        "its own choice",
    )
    evaluations: int = Field(
        32, ge=1, description="evaluations of the velocity at most; dopri5 takes what it needs"
    )
    tolerance: float = Field(1e-4, gt=0, description="largest estimated error of a step (dopri5)")

    @model_validator(mode="after")
    def _one_step(self) -> Self:
        needed = EVALUATIONS_OF_STEP.get(self.method, 1)
        if self.evaluations < needed:
            raise ValueError(f"evaluations: a step of {self.method} takes {needed}")
        return self


class EnergyMatchingSettings(SettingsModel):
    """The model of the energies of layers."""

    width: int = Field(48, ge=2, description="of the transformer")
    heads: int = Field(4, ge=1, description="of its attention")
    blocks: int = Field(2, ge=1, description="of attention and a dense layer")
    hidden: tuple[int, ...] = Field(
        (96, 96), min_length=1, description="dense layers of the network of the velocity"
    )
    draws: int = Field(
        8, ge=1, description="times at which each ratio of a batch is seen in one step"
    )
    solver: SolverSettings = Field(
        SolverSettings(method="midpoint", evaluations=16),
        description="how the velocity is followed",
    )
    training: TrainingSettings = Field(
        TrainingSettings(
            epochs=12, batch_size=256, learning_rate=2e-3, schedule="cosine", patience=1000
        ),
        description="length, rate, schedule, optimiser of the model of energies",
    )

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        _check_heads(self.width, self.heads)
        return self


class ResnetSettings(SettingsModel):
    """A dense residual network, for small geometries."""

    network: Literal["resnet"] = Field("resnet", description="the network")
    width: int = Field(384, ge=1, description="of the layers; 2000 for photons in 2405.09629")
    blocks: int = Field(2, ge=1, description="layers that are added; 2 in 2405.09629")
    embedding: int = Field(64, ge=2, multiple_of=2, description="width of the time")


class VitSettings(SettingsModel):
    """A transformer of patches of voxels, for geometries with equal layers."""

    network: Literal["vit"] = Field("vit", description="the network")
    patch: tuple[int, int, int] = Field(
        (3, 16, 1), description="voxels of a patch in layers, alpha and radius"
    )
    width: int = Field(480, ge=2, multiple_of=2, description="of the transformer")
    heads: int = Field(6, ge=1, description="of its attention")
    blocks: int = Field(6, ge=1, description="of attention and a dense layer")

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        _check_heads(self.width, self.heads)
        return self


def _check_heads(width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"heads: {heads} do not divide the width {width}")


class MatchingSettings(ModelBaseSettings):
    """Conditional flow matching as in CaloDREAM (2405.09629)."""

    kind: Literal["matching"] = Field("matching", description="the model")
    preprocessing: PreprocessingSettings = Field(
        PreprocessingSettings(
            marginals="normal",
            transform="logit",
            symmetric=True,
            normal=NormalSettings(smear=0.0),
        ),
        description="from showers to numbers; as published: marginals standard, transform logit, "
        "edge 1e-6",
    )
    times: Literal["uniform", "logit_normal"] = Field(
        "uniform", description="distribution of the times in training"
    )
    average: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="decay for each step of the moving average of weights that generates; 0: none",
    )
    energies: EnergyMatchingSettings = Field(
        EnergyMatchingSettings(), description="the model of the energies of layers"
    )
    shower: Annotated[ResnetSettings | VitSettings, Field(discriminator="network")] = Field(
        ResnetSettings(), description="the network of the voxels, given energies of layers"
    )
    solver: SolverSettings = Field(
        SolverSettings(method="midpoint", evaluations=8),
        description="how the velocity of the voxels is followed",
    )
    training: TrainingSettings = Field(
        TrainingSettings(
            epochs=12, batch_size=256, learning_rate=1e-3, schedule="one_cycle", patience=1000
        ),
        description="length, rate, schedule, optimiser of the network of the voxels",
    )
