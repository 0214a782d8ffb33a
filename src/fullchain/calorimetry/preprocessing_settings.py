"""Settings of the numbers that models of showers learn."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class NormalSettings(SettingsModel):
    """Tables of quantiles that make the distribution of each number normal."""

    nodes: int = Field(
        32,
        ge=2,
        description="energies at which quantiles are tabulated: of the particle for ratios (at "
        "most this many discrete ones are taken as they are), of the layer for voxels",
    )
    knots: int = Field(
        129, ge=9, description="quantiles in a table, equal steps from -4 to 4 sigma"
    )
    smear: float = Field(
        0.05,
        ge=0,
        description="width of a random factor, the same for all voxels of a layer, in training: "
        "without it the voxels of a layer lie on the surface where parts add up to one, and a "
        "flow spends itself on that surface",
    )


class PreprocessingSettings(SettingsModel):
    """From showers to numbers."""

    marginals: Literal["standard", "normal"] = Field(
        "standard",
        description="standard: mean zero and width one, as published; normal: the distribution of "
        "each number at its energy is made normal by tabulated quantiles, and an empty voxel is "
        "filled with an energy below the threshold",
    )
    transform: Literal["log", "logit"] = Field(
        "log",
        description="of the parts of voxels: log (CaloINN) or logit (CaloDREAM); standard only",
    )
    noise: float = Field(
        5e-6,
        gt=0,
        description="uniform noise added to the part of each voxel in its layer; standard only",
    )
    edge: float = Field(
        1e-6,
        gt=0,
        lt=0.1,
        description="distance from 0 and 1 that the logit keeps; standard only",
    )
    normal: NormalSettings = Field(NormalSettings(), description="tables of normal marginals")
    symmetric: bool = Field(
        False,
        description="turn and reflect training showers at random in alpha: right where the "
        "particles come in along the axis and no magnetic field bends the shower",
    )
    threshold: float = Field(
        1.0, ge=0, description="energy below which a voxel is empty in what is generated [MeV]"
    )

    @model_validator(mode="after")
    def _threshold(self) -> "PreprocessingSettings":
        if self.marginals == "normal" and self.threshold <= 0:
            raise ValueError("marginals: normal needs a threshold above zero")
        return self
