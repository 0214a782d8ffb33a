"""Settings of trigger rates, efficiencies and turn-ons."""

from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator, model_validator

from fullchain.model import SettingsModel
from fullchain.tagging.class_settings import ClassSettings

PT_TRIGGER = "pt"
"""Name of the trigger on the level-1 jet pT, with which all others are compared."""

DEFAULT_SIGNALS = {
    "tt": ClassSettings(samples=("tt",), labels=("top",), fully_contained=True),
    "W": ClassSettings(samples=("wjet",), labels=("W",), fully_contained=True),
    "Z": ClassSettings(samples=("zjet",), labels=("Z",), fully_contained=True),
    "zprime": ClassSettings(samples=("zprime",), labels=("top",), fully_contained=True),
}


class TriggerSettings(SettingsModel):
    """What triggers are made of a model, and at which rates they are compared."""

    background: tuple[str, ...] = Field(
        ("qcd",), min_length=1, description="samples whose events make up the rate"
    )
    signals: dict[str, ClassSettings] = Field(
        DEFAULT_SIGNALS,
        min_length=1,
        description="what should be triggered on, by name: efficiencies are those of the "
        "events of the samples with a jet, turn-ons those of their jets with these truth labels",
    )
    triggers: dict[str, tuple[str, ...]] = Field(
        {"t": ("t",), "W": ("W",), "heavy": ("W", "Z", "t")},
        description="triggers of a model that tells classes apart, by name: the classes that are "
        "taken together against all others; an anomaly model has one trigger, its score",
    )
    score: Literal["log_odds", "margin"] = Field(
        "log_odds",
        description="score of classes against all others, from the logits: logarithm of the odds, "
        "or largest logit of the classes less the largest of the others, which firmware forms "
        "with comparators and one subtraction",
    )
    fractions: tuple[float, ...] = Field(
        (0.01, 0.03, 0.1),
        description="parts of the background events at which thresholds are set; at least about "
        "ten background events of the test part should pass",
    )
    rates: tuple[float, ...] = Field(
        (), description="background rates at which thresholds are set as well [Hz]; need manifests"
    )
    luminosity: float = Field(
        2e34, gt=0, description="instantaneous luminosity of rates [cm^-2 s^-1]; HL-LHC: 7.5e34"
    )
    turn_on_edges: tuple[float, ...] = Field(
        tuple(range(500, 701, 20)),
        min_length=2,
        description="edges of bins of the offline jet pT of turn-ons [GeV]",
    )
    curve_points: int = Field(
        40, ge=2, description="thresholds of the curve of rate against efficiency"
    )
    histogram_bins: int = Field(25, ge=2, description="bins of the distributions of scores")
    bootstraps: int = Field(200, ge=20, description="bootstrap samples of events, for errors")

    @field_validator("fractions")
    @classmethod
    def _parts(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < value < 1 for value in values):
            raise ValueError(f"parts of the background lie between 0 and 1: {values}")
        return values

    @field_validator("rates")
    @classmethod
    def _positive(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if any(value <= 0 for value in values):
            raise ValueError(f"rates are positive: {values}")
        return values

    @field_validator("turn_on_edges")
    @classmethod
    def _rising(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if any(high <= low for low, high in pairwise(values)):
            raise ValueError(f"edges of bins rise: {values}")
        return values

    @model_validator(mode="after")
    def _something_to_do(self) -> "TriggerSettings":
        if not self.fractions and not self.rates:
            raise ValueError("fractions and rates are both empty: no threshold to set")
        if PT_TRIGGER in self.triggers:
            raise ValueError(f"{PT_TRIGGER} is the name of the trigger on the jet pT")
        for name, classes in self.triggers.items():
            if not classes:
                raise ValueError(f"trigger {name} has no classes")
        for name, signal in self.signals.items():
            if shared := set(signal.samples) & set(self.background):
                raise ValueError(f"signal {name}: {', '.join(sorted(shared))} is background too")
        return self
