"""Settings of sets of showers: where they come from, of which energies, and how many."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel

Particle = Literal["photon", "electron"]


class DiscreteEnergiesSettings(SettingsModel):
    """Some energies, equally often."""

    kind: Literal["discrete"] = Field("discrete", description="a list")
    values: tuple[float, ...] = Field(
        tuple(2.0**power for power in range(8, 23)),
        min_length=1,
        description="energies [MeV]; the default is that of the first data set, 2^8 ... 2^22",
    )

    @model_validator(mode="after")
    def _positive(self) -> "DiscreteEnergiesSettings":
        if any(not 0 < value < float("inf") for value in self.values):
            raise ValueError("values: energies must be positive and finite")
        if len(set(self.values)) < len(self.values):
            raise ValueError("values: one stands twice")
        return self


class ContinuousEnergiesSettings(SettingsModel):
    """Energies whose logarithm is uniform."""

    kind: Literal["log_uniform"] = Field("log_uniform", description="a range")
    low: float = Field(1_000.0, gt=0, description="lowest energy [MeV]")
    high: float = Field(1_000_000.0, gt=0, description="highest energy [MeV]")

    @model_validator(mode="after")
    def _rising(self) -> "ContinuousEnergiesSettings":
        if self.low >= self.high:
            raise ValueError(f"high: must be above low, {self.low:g}")
        return self


EnergiesSettings = Annotated[
    DiscreteEnergiesSettings | ContinuousEnergiesSettings, Field(discriminator="kind")
]


class SimulatedSettings(SettingsModel):
    """What all simulated sets have."""

    detector: str = Field("set1_photons", description="name among calorimetry.detectors")
    particle: Particle = Field("photon", description="that makes the showers")
    energies: EnergiesSettings = Field(
        default_factory=DiscreteEnergiesSettings, description="of the particles"
    )
    train: int = Field(20_000, ge=10, description="showers to learn from")
    test: int = Field(10_000, ge=10, description="showers to judge against")
    reference: int = Field(
        10_000, ge=10, description="further showers, judged as if they were generated: the floor"
    )


class ParameterisedSettings(SimulatedSettings):
    """Showers of the parameterisation."""

    kind: Literal["parameterised"] = Field("parameterised", description="by parameterisation")


class Geant4Settings(SimulatedSettings):
    """Showers of Geant4, where calzone and its data tables are installed."""

    kind: Literal["geant4"] = Field(description="by Geant4")
    model: Literal["standard", "option1", "option2", "option3", "option4", "livermore"] = Field(
        "standard", description="Geant4's electromagnetic physics"
    )
    cut: float = Field(0.7, gt=0, description="range below which secondaries are not made [mm]")
    calibration: int = Field(
        50,
        ge=2,
        description="showers of the middle energy that measure what part of the energy active "
        "layers of a sampling calorimeter see",
    )


class FileSettings(SettingsModel):
    """Showers of files of the CaloChallenge's format."""

    kind: Literal["files"] = Field(description="from files")
    particle: Particle | Literal["pion"] = Field("photon", description="that made the showers")
    train: list[str] = Field(min_length=1, description="HDF5 files to learn from")
    test: list[str] = Field(min_length=1, description="HDF5 files to judge against")
    geometry: str = Field(
        "set1_photons",
        description="name of a geometry that comes with fullchain, or path of the XML file",
    )
    bin: str | None = Field(None, description="name of the particle in the XML, if it has several")
    threshold: float = Field(
        0.0,
        ge=0,
        description="energy below which voxels are set to zero [MeV], that of the models of the "
        "set too; 0: none, and models have thresholds of their own",
    )
    in_mev: bool = Field(
        False,
        description="true: energies are in MeV, as is needed, although they look like GeV; false: "
        "files that look so are refused",
    )
    reference: float = Field(
        0.5, gt=0, lt=1, description="part of the showers of `test` that become the reference"
    )
    most: int | None = Field(
        None, ge=10, description="most showers that are taken of train, and of test; null: all"
    )


ShowersSettings = Annotated[
    ParameterisedSettings | Geant4Settings | FileSettings, Field(discriminator="kind")
]
"""A set of showers."""


def default_showers() -> dict[str, ShowersSettings]:
    """Showers of the default configuration.

    `photons` are those of the first data set, `crystal` are for the detector of the stage ntuples.
    """
    return {
        "photons": ParameterisedSettings(),
        "crystal": ParameterisedSettings(
            detector="crystal",
            energies=ContinuousEnergiesSettings(low=800.0, high=1_000_000.0),
            test=2_000,
            reference=2_000,
        ),
    }
