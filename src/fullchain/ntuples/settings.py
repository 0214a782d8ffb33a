"""Settings of the stage ntuples: which samples there are and how the generated ones are made."""

import re
from typing import Annotated

from pydantic import Field, model_validator

from fullchain.model import SettingsModel
from fullchain.ntuples.detector_settings import DetectorSettings
from fullchain.ntuples.generation_settings import (
    BeamSettings,
    GeneratedSample,
    ObjectSettings,
    PoolSettings,
    Process,
)
from fullchain.ntuples.measurement_settings import MeasurementSettings
from fullchain.ntuples.sources_settings import IngestedSample


def _sample(process: Process, events: int, **settings: object) -> GeneratedSample:
    return GeneratedSample(process=process, events=events, **settings)


def _default_samples() -> dict[str, GeneratedSample | IngestedSample]:
    window = {"pthat_min": 525.0, "pthat_max": 675.0}
    # Below the 200 GeV that unfolding asks of the Z boson, so that events cross the cut both ways.
    recoil = {"pthat_min": 160.0}
    return {
        "qcd": _sample("qcd", 6000, shower_weights=True, **window),
        "tt": _sample("tt", 6000, shower_weights=True, **window),
        "wjet": _sample("wjet", 4000, **window),
        "zjet": _sample("zjet", 3000, events_per_job=1500, **window),
        "zmumu": _sample("zmumu", 9000, events_per_job=3000, shower_weights=True, **recoil),
        "zprime": _sample("zprime", 1500, events_per_job=1500),
        **{
            f"zprime_{mass}": _sample(
                "zprime",
                1000,
                events_per_job=1000,
                zprime_mass=float(mass),
                zprime_width=mass / 100,
            )
            for mass in (1500, 1700)
        },
        "tt_pu50": _sample("tt", 600, events_per_job=600, pileup=50.0, **window),
        "qcd_pu50": _sample("qcd", 600, events_per_job=600, pileup=50.0, **window),
        "qcd_a14": _sample("qcd", 2000, tune="a14", **window),
        "tt_a14": _sample("tt", 2000, tune="a14", **window),
        "zmumu_cp5": _sample("zmumu", 6000, events_per_job=3000, tune="cp5", **recoil),
    }


RESERVED = frozenset({"minbias", "pool", "figures", "logs"})
"""Names of folders and of streams of random numbers beside those of the samples."""

Sample = Annotated[GeneratedSample | IngestedSample, Field(discriminator="kind")]


class NtuplesSettings(SettingsModel):
    """Which samples there are, generated or ingested, and how the generated ones are made."""

    beams: BeamSettings = Field(BeamSettings(), description="the collider")
    pool: PoolSettings = Field(PoolSettings(), description="minimum-bias events for pile-up")
    detector: DetectorSettings = Field(DetectorSettings(), description="parametric detector")
    objects: ObjectSettings = Field(ObjectSettings(), description="thresholds of what is written")
    cross_section_events: int = Field(
        20000, ge=1000, description="hard processes that integrate a sample's cross section"
    )
    keep_default_samples: bool = Field(
        True,
        description="false: only the samples of your own configuration, none of the default ones, "
        "nor the default control plots and tests of taggers on other simulations that need them",
    )
    measurement: MeasurementSettings = Field(
        MeasurementSettings(), description="numbers that are reported"
    )
    samples: dict[str, Sample] = Field(
        default_factory=_default_samples,
        description="samples by name; null removes one of the defaults",
    )

    @model_validator(mode="after")
    def _names_are_free(self) -> "NtuplesSettings":
        for name in self.samples:
            if not re.fullmatch("[A-Za-z0-9_]+", name):
                raise ValueError(
                    f"samples.{name}: a name consists of letters, digits and underscores; it names "
                    "folders and columns"
                )
            if name in RESERVED:
                raise ValueError(
                    f"samples.{name}: this name is taken by the workflow; choose another"
                )
        return self
