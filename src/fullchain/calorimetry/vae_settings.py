"""Settings of the variational autoencoder of showers."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.calorimetry.model_base_settings import ModelBaseSettings
from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings
from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel

Likelihood = Literal["normal", "mixed", "dirichlet"]


class RatioFlowSettings(SettingsModel):
    """Coupling flow of the few numbers that say how energy is shared between layers."""

    blocks: int = Field(6, ge=1, description="coupling blocks")
    layers: tuple[int, ...] = Field((48, 48), min_length=1, description="dense layers of a block")
    bins: int = Field(8, ge=2, description="bins of each spline")
    bound: float = Field(6.0, gt=0, description="range of the splines, in widths of each number")


class VaeSettings(ModelBaseSettings):
    """Variational autoencoder (1312.6114), conditional on the incident energy."""

    kind: Literal["vae"] = Field("vae", description="the model")
    latent: int = Field(4, ge=1, description="latent numbers")
    encoder: tuple[int, ...] = Field((192, 128), min_length=1, description="dense layers")
    decoder: tuple[int, ...] = Field((128, 128), min_length=1, description="dense layers")
    likelihood: Likelihood = Field(
        "dirichlet",
        description="of voxels, given the latent numbers: normal (each number, with learned "
        "width), mixed (a point mass for empty voxels, else normal), or dirichlet (parts of the "
        "energy of a layer with a learned number of spots, cut at the threshold)",
    )
    energies: Literal["normal", "flow"] = Field(
        "flow",
        description="energies of layers: normal (decoded from the latent numbers, as voxels are), "
        "or flow (drawn first, by a small coupling flow; voxels are then conditional on them)",
    )
    ratio_flow: RatioFlowSettings = Field(
        RatioFlowSettings(), description="the flow, for energies: flow"
    )
    beta: float = Field(
        1.0, gt=0, description="factor on the divergence of the latent numbers; 1: a true bound"
    )
    beta_warmup: int = Field(
        300, ge=0, description="optimiser steps over which the factor rises from 0 to beta"
    )
    preprocessing: PreprocessingSettings = Field(
        PreprocessingSettings(noise=1e-8), description="from showers to numbers"
    )
    training: TrainingSettings = Field(
        TrainingSettings(epochs=12, batch_size=256, learning_rate=5e-3, gradient_clip=10.0),
        description="length, rate, schedule, optimiser",
    )

    @model_validator(mode="after")
    def _logarithms(self) -> "VaeSettings":
        if self.preprocessing.marginals != "standard":
            raise ValueError(
                "preprocessing.marginals: this model has a likelihood of its own for voxels, which "
                "needs the numbers called standard"
            )
        if self.likelihood != "normal" and self.preprocessing.transform != "log":
            raise ValueError(
                f"likelihood {self.likelihood} draws voxels that are exactly empty, which "
                "preprocessing.transform: log knows only; use log, or likelihood: normal"
            )
        return self
