"""The whole configuration: composed, merged, checked, documented.

The pydantic models are its only source: defaults, units, meanings, the default configuration file
and the JSON schema all come from them. No step imports this module, so that a new setting of one
stage does not count as a change of the others.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from fullchain import stage_links, unsafe_settings
from fullchain.calorimetry.settings import CalorimetrySettings
from fullchain.decorrelation.settings import DecorrelationSettings
from fullchain.errors import InputError
from fullchain.firmware.settings import FirmwareSettings
from fullchain.inference.settings import InferenceSettings
from fullchain.jets.settings import JetsSettings
from fullchain.model import SettingsModel
from fullchain.ntuples.settings import NtuplesSettings
from fullchain.paper.settings import PaperSettings
from fullchain.pileup.settings import PileupSettings
from fullchain.setting_errors import explain
from fullchain.setting_files import merge, read_files
from fullchain.tagging.settings import TaggingSettings
from fullchain.unfolding.settings import UnfoldingSettings
from fullchain.unwanted_defaults import (
    without_default_classifiers,
    without_default_measurements,
    without_default_scores,
    without_unwanted_defaults,
)


class Settings(SettingsModel):
    """The configuration of a run."""

    run: str = Field(
        "default",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
        description="name of the run: everything is written to results/<run>/",
    )
    seed: int = Field(
        20261, ge=0, description="seed from which every stream of random numbers is derived"
    )
    ntuples: NtuplesSettings = Field(
        default_factory=NtuplesSettings, description="events: generated, or read from ROOT files"
    )
    pileup: PileupSettings | None = Field(
        default_factory=PileupSettings,
        description="pile-up mitigation; null leaves the stage out",
    )
    jets: JetsSettings = Field(
        default_factory=JetsSettings, description="selection, clustering, substructure, shifts"
    )
    tagging: TaggingSettings | None = Field(
        default_factory=TaggingSettings, description="jet taggers; null leaves the stage out"
    )
    decorrelation: DecorrelationSettings | None = Field(
        default_factory=DecorrelationSettings,
        description="mass-decorrelated classifiers, made of taggers; null leaves the stage out",
    )
    calorimetry: CalorimetrySettings | None = Field(
        default_factory=CalorimetrySettings,
        description="fast generative calorimetry; null leaves the stage out",
    )
    unfolding: UnfoldingSettings | None = Field(
        default_factory=UnfoldingSettings,
        description="what happened, from what was measured; null leaves the stage out",
    )
    inference: InferenceSettings | None = Field(
        default_factory=InferenceSettings,
        description="templates, statistical model, fit; null leaves the stage out",
    )
    firmware: FirmwareSettings | None = Field(
        default_factory=FirmwareSettings,
        description="models for a trigger and their firmware; null leaves the stage out",
    )
    paper: PaperSettings = Field(
        default_factory=PaperSettings, description="figures, tables and the report"
    )

    @model_validator(mode="after")
    def _stages_fit(self) -> "Settings":
        """Check what one stage takes of another."""
        stage_links.check(self)
        return self


def validate(values: Mapping[str, Any], where: str = "configuration") -> Settings:
    """Check a configuration against the models, on top of their defaults.

    Parameters
    ----------
    values
        Nested mapping; what it leaves out takes the default.
    where
        Name of the file, for the error message.

    Raises
    ------
    InputError
        Names each wrong key with its full path and, for an unknown one, the nearest right one.
    """
    unsafe_settings.check(values, where)
    defaults = Settings().model_dump(mode="json")
    everything = merge(defaults, values)
    try:
        wanted = without_unwanted_defaults(everything, defaults)
        wanted = without_default_classifiers(wanted, defaults)
        wanted = without_default_measurements(wanted, defaults)
        wanted = without_default_scores(wanted, defaults)
        return Settings.model_validate(wanted)
    except ValidationError as problem:
        lines = [explain(error, Settings) for error in problem.errors()]
        raise InputError(f"{where}:\n" + "\n".join(f"  {line}" for line in lines)) from None


def load(*paths: Path) -> Settings:
    """Read configuration files, each laid over the ones before it, over the defaults.

    Raises
    ------
    InputError
        As `read_files` and `validate`.
    """
    return validate(read_files(paths), ", ".join(map(str, paths)) or "configuration")
