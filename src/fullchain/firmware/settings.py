"""Settings of the firmware."""

from collections.abc import Collection
from typing import Annotated

from pydantic import Field, model_validator

from fullchain.firmware.anomaly_settings import (
    AnomalySettings,
    AutoencoderSettings,
    BackgroundSettings,
)
from fullchain.firmware.evaluation_settings import EvaluationSettings
from fullchain.firmware.forest_settings import ForestSettings
from fullchain.firmware.hls_settings import HlsSettings
from fullchain.firmware.inputs_settings import InputsSettings
from fullchain.firmware.network_settings import NetworkSettings
from fullchain.firmware.rtl_settings import RtlSettings
from fullchain.firmware.stimuli_settings import StimuliSettings
from fullchain.firmware.synthesis_settings import SynthesisSettings
from fullchain.firmware.trigger_settings import TriggerSettings
from fullchain.learning.parts_settings import PartsSettings
from fullchain.model import SettingsModel
from fullchain.setting_errors import nearest
from fullchain.tagging.class_settings import ClassSettings, check_no_decays

FirmwareModel = Annotated[
    NetworkSettings | AnomalySettings | AutoencoderSettings | ForestSettings,
    Field(discriminator="kind"),
]


def default_classes() -> dict[str, ClassSettings]:
    """Give the five classes of the published jet-substructure benchmark (arXiv:1804.06913)."""
    return {
        "q": ClassSettings(samples=("qcd",), labels=("light", "b")),
        "g": ClassSettings(samples=("qcd",), labels=("gluon",)),
        "W": ClassSettings(samples=("wjet",), labels=("W",), fully_contained=True),
        "Z": ClassSettings(samples=("zjet",), labels=("Z",), fully_contained=True),
        "t": ClassSettings(samples=("tt",), labels=("top",), fully_contained=True),
    }


def default_models() -> dict[str, FirmwareModel]:
    """Give a network on the features of a jet, with learned bit widths."""
    return {"jet_tagger": NetworkSettings()}


class FirmwareSettings(SettingsModel):
    """Models for a trigger, and how they become firmware."""

    classes: dict[str, ClassSettings] = Field(
        default_factory=default_classes,
        min_length=2,
        description="what is told apart, by name; the workflow orders outputs by name",
    )
    split: PartsSettings = Field(
        default_factory=PartsSettings, description="training, validation and test part"
    )
    inputs: InputsSettings = Field(
        default_factory=InputsSettings, description="what the trigger sees of a jet"
    )
    models: dict[str, FirmwareModel] = Field(
        default_factory=default_models, description="networks and trees by name"
    )
    stimuli: StimuliSettings = Field(
        default_factory=StimuliSettings, description="vectors that implementations are compared on"
    )
    hls: HlsSettings = Field(
        default_factory=HlsSettings, description="hls4ml: projects, emulation, vendor tools"
    )
    rtl: RtlSettings = Field(
        default_factory=RtlSettings, description="distributed arithmetic, Verilog, emulation"
    )
    synthesis: SynthesisSettings = Field(
        default_factory=SynthesisSettings, description="resources of the Verilog"
    )
    trigger: TriggerSettings = Field(
        default_factory=TriggerSettings, description="rates, efficiencies, turn-ons"
    )
    evaluation: EvaluationSettings = Field(
        default_factory=EvaluationSettings, description="accuracy and areas under the curve"
    )

    @model_validator(mode="after")
    def _names(self) -> "FirmwareSettings":
        self._check_joined_names()
        check_no_decays(self.classes)
        check_no_decays(self.trigger.signals, "trigger.signals")
        for name, model in self.models.items():
            where = f"models.{name}"
            if not model.points:
                raise ValueError(f"{where}.points: give at least one way to quantise it")
            if isinstance(model, ForestSettings):
                self._check_quantities(f"{where}.features", model.features or (), candidates=0)
                continue
            own = model.architecture
            self._check_quantities(
                f"{where}.architecture.quantities", own.quantities or (), own.used_candidates
            )
            if own.used_candidates > self.inputs.candidates:
                raise ValueError(
                    f"{where}.architecture.candidates: {own.candidates} of "
                    f"{self.inputs.candidates} that inputs.candidates keeps; raise that"
                )
            if isinstance(model, BackgroundSettings):
                for one in model.classes:
                    _check(f"{where}.classes", "class", one, self.classes)
        for name, taken in self.trigger.triggers.items():
            for one in taken:
                _check(f"trigger.triggers.{name}", "class", one, self.classes)
        for one in self.evaluation.background:
            _check("evaluation.background", "class", one, self.classes)
        return self

    def _check_joined_names(self) -> None:
        """Check that no two points have one name in figures and tables, which is MODEL_POINT."""
        known: dict[str, str] = {}
        for model, chosen in self.models.items():
            for point in chosen.points:
                where, joined = f"models.{model}.points.{point}", f"{model}_{point}"
                if joined in known:
                    raise ValueError(
                        f"{known[joined]} and {where} are both called {joined} in figures; rename "
                        "one of them"
                    )
                known[joined] = where

    def _check_quantities(self, where: str, names: Collection[str], candidates: int) -> None:
        known = self.inputs.quantities if candidates else self.inputs.features
        for name in names:
            kind = "quantity of a candidate" if candidates else "feature"
            _check(where, kind, name, known)

    def networks(self) -> list[str]:
        """Names of models that are networks."""
        return [name for name in self.models if name not in self.forests()]

    def forests(self) -> list[str]:
        """Names of models that are trees."""
        return [name for name, one in self.models.items() if isinstance(one, ForestSettings)]

    def point_names(self) -> list[str]:
        """Names of the points of all models, each once."""
        return list(dict.fromkeys(point for one in self.models.values() for point in one.points))

    def class_samples(self) -> list[str]:
        """Names of the samples of the classes, each once."""
        return list(dict.fromkeys(name for one in self.classes.values() for name in one.samples))

    def anomaly_samples(self) -> list[str]:
        """Names of further samples that anomaly models are trained on."""
        own = [one for one in self.models.values() if isinstance(one, BackgroundSettings)]
        return list(dict.fromkeys(name for one in own for name in one.samples))

    def trigger_samples(self) -> list[str]:
        """Names of the samples of the rates and efficiencies, each once."""
        signals = (name for one in self.trigger.signals.values() for name in one.samples)
        return list(dict.fromkeys([*self.trigger.background, *signals]))

    def all_samples(self) -> list[str]:
        """Names of all samples, each once."""
        names = [*self.class_samples(), *self.anomaly_samples(), *self.trigger_samples()]
        return list(dict.fromkeys(names))

    def teacher_of(self, name: str) -> str:
        """Name of the tagger that a model is distilled from; empty for one without."""
        model = self.models[name]
        if isinstance(model, ForestSettings) or model.distillation is None:
            return ""
        return model.distillation.tagger


def _check(where: str, kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ValueError(f"{where}: no {kind} is called {name!r}{nearest(name, list(known))}")
