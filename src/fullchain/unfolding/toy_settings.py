"""Settings of toys: samples of the Gaussian case, whose truth is known."""

from typing import Annotated, Literal

from pydantic import Field

from fullchain.model import SettingsModel
from fullchain.unfolding.observable_settings import ObservableSettings


class DetectorToySettings(SettingsModel):
    """What the detector of the Gaussian case does."""

    smearing: float = Field(
        0.5, gt=0, description="width of the normal number that the detector adds"
    )
    inefficiency: float = Field(
        0.1, ge=0, lt=1, description="part of the events of the particle level that is not seen"
    )
    fakes: float = Field(
        0.1, ge=0, lt=1, description="part of the seen events that are not of the particle level"
    )


class BackgroundShapeSettings(SettingsModel):
    """A background under the data of the Gaussian case."""

    fraction: float = Field(0.1, gt=0, lt=1, description="expected part of the data")
    mean: float = Field(0.0, description="mean of x at detector level")
    width: float = Field(1.2, gt=0, description="width of x at detector level")


class SimulationToySettings(SettingsModel):
    """Simulated events of the Gaussian case."""

    kind: Literal["simulation"] = Field("simulation", description="what the toy is in the place of")
    events: int = Field(6_000, ge=10, description="events before the detector")
    mean: float = Field(0.0, description="mean of x at particle level")
    width: float = Field(1.0, gt=0, description="width of x at particle level")
    detector: DetectorToySettings = Field(
        default_factory=DetectorToySettings, description="the detector"
    )


class DataToySettings(SettingsModel):
    """Pseudo-data of the Gaussian case: signal and background, in Poisson numbers."""

    kind: Literal["data"] = Field("data", description="what the toy is in the place of")
    events: int = Field(5_000, ge=10, description="expected signal events before the detector")
    mean: float = Field(0.2, description="true mean of x")
    width: float = Field(0.8, gt=0, description="true width of x")
    detector: DetectorToySettings = Field(
        default_factory=DetectorToySettings, description="the detector"
    )
    background: BackgroundShapeSettings | None = Field(
        default_factory=BackgroundShapeSettings, description="background; null: none"
    )


class BackgroundToySettings(SettingsModel):
    """Simulated background of the Gaussian case, at detector level."""

    kind: Literal["background"] = Field("background", description="what the toy is in the place of")
    events: int = Field(3_000, ge=10, description="events")
    mean: float = Field(0.0, description="mean of x at detector level")
    width: float = Field(1.2, gt=0, description="width of x at detector level")


ToySettings = Annotated[
    SimulationToySettings | DataToySettings | BackgroundToySettings, Field(discriminator="kind")
]


def default_toys() -> dict[str, ToySettings]:
    """The Gaussian case: simulation, data, background."""
    return {
        "gaussian": SimulationToySettings(),
        "gaussian_data": DataToySettings(),
        "gaussian_background": BackgroundToySettings(),
    }


OBSERVABLE = "x"
"""Name of the observable of the Gaussian case."""

X = ObservableSettings(
    label="$x$",
    low=-4.0,
    high=4.0,
    bins=50,
    edges=(-2.4, -1.6, -1.2, -0.8, -0.4, 0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.8),
)
"""The observable of the Gaussian case; bins about as wide as the smearing."""
