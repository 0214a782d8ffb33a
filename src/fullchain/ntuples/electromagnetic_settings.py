"""Settings of how the electromagnetic calorimeter answers: a formula, or showers."""

from typing import Annotated, Literal

from pydantic import Field

from fullchain.model import SettingsModel


class ResolutionResponse(SettingsModel):
    """All energy in one point, smeared with the resolution of the calorimeter."""

    kind: Literal["resolution"] = Field(
        "resolution", description="energies are smeared with the resolution of the calorimeter"
    )


class ShowerResponse(SettingsModel):
    """Photons and electrons of |eta| < 3 become showers in crystals."""

    detector: str = Field(
        "crystal",
        description="detector of calorimetry.detectors whose showers they are; its voxels lie "
        "around the line of sight from the centre to the point of impact",
    )
    least_energy: float = Field(
        1.0,
        ge=0.05,
        description="energy below which particles keep the resolution formula [GeV]",
    )
    crystal: float = Field(
        0.0175, ge=0.006, le=0.1, description="size of crystals in eta and phi, barrel"
    )
    crystal_endcap: float = Field(
        2.86, ge=0.5, le=10, description="size of crystals in the endcaps [cm]"
    )
    seed_energy: float = Field(
        0.23,
        ge=0,
        description="energy of a crystal above all its neighbours' that begins a cluster beside "
        "a higher one [GeV]",
    )
    seed_fraction: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="the same, as part of the highest energy two crystals away or nearer; a tenth "
        "of it at four crystals away or nearer",
    )
    calibration_showers: int = Field(
        400, ge=20, description="showers at each energy that calibrate the mean response"
    )
    most_outside: float = Field(
        0.01,
        ge=0,
        le=1,
        description="largest part of the particles above least_energy that may lie outside the "
        "energies that the showers are made for: they keep the formula and are counted",
    )


class ParameterisedResponse(ShowerResponse):
    """Showers of the full parameterisation (Grindhammer and Peters)."""

    kind: Literal["parameterised"] = Field(
        "parameterised", description="showers of the full parameterisation, slow"
    )


class ModelResponse(ShowerResponse):
    """Showers of a generative model."""

    kind: Literal["model"] = Field("model", description="showers of a generative model")
    model: str = Field(description="model of calorimetry.models, trained for the same detector")


ElectromagneticResponse = Annotated[
    ResolutionResponse | ParameterisedResponse | ModelResponse, Field(discriminator="kind")
]
