"""Settings of the comparison of events made with each response of the calorimeter."""

from pydantic import Field, field_validator

from fullchain.model import SettingsModel
from fullchain.ntuples.electromagnetic_settings import ShowerResponse
from fullchain.ntuples.generation_settings import BLOCK


class DownstreamSettings(SettingsModel):
    """The same events with the resolution formula, the full parameterisation, and models."""

    samples: list[str] = Field(
        ["qcd"],
        min_length=1,
        description="generated samples of ntuples.samples whose events are compared; without "
        "their pile-up",
    )
    events: int = Field(300, ge=BLOCK, description=f"of each sample; a multiple of {BLOCK}")
    models: list[str] = Field(
        default_factory=list,
        description="models of calorimetry.models that are compared; trained for the detector of "
        "`response`",
    )
    response: ShowerResponse = Field(
        ShowerResponse(), description="detector, crystals and least energy of showers"
    )
    jet_pt_min: float = Field(
        100.0, gt=0, description="lowest pT of jets of generated particles [GeV]"
    )
    jet_eta_max: float = Field(2.5, gt=0, description="highest |eta| of these jets")
    photon_pt_min: float = Field(1.0, ge=0, description="lowest pT of photons that count [GeV]")
    replicas: int = Field(200, ge=20, description="replicas of the bootstrap over events")

    @field_validator("events")
    @classmethod
    def _whole_blocks(cls, events: int) -> int:
        if events % BLOCK:
            raise ValueError(
                f"{events} is not a multiple of {BLOCK}, the number of events of one random seed"
            )
        return events

    @field_validator("samples", "models")
    @classmethod
    def _once(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError(f"a name stands twice: {', '.join(names)}")
        return names
