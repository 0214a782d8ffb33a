"""Settings of the fast generative calorimetry."""

from collections.abc import Collection

from pydantic import Field, model_validator

from fullchain.calorimetry.classifier_settings import ClassifierSettings
from fullchain.calorimetry.control_settings import ControlSettings
from fullchain.calorimetry.default_models import default_models
from fullchain.calorimetry.detector_settings import DetectorSettings, default_detectors
from fullchain.calorimetry.downstream_settings import DownstreamSettings
from fullchain.calorimetry.evaluation_settings import EvaluationSettings
from fullchain.calorimetry.model_settings import ShowerModelSettings
from fullchain.calorimetry.refinement_settings import RefinementSettings
from fullchain.calorimetry.showers_settings import (
    FileSettings,
    ShowersSettings,
    default_showers,
)
from fullchain.calorimetry.solver_scan_settings import SolverScanSettings
from fullchain.calorimetry.timing_settings import TimingSettings
from fullchain.calorimetry.variation_settings import VariationSettings
from fullchain.model import SettingsModel
from fullchain.setting_errors import nearest

TEACHERS = {"student": "autoregressive", "bespoke": "matching"}
"""Kinds that learn from another model, and the kind of it."""

REFERENCE = "_reference"
"""Ends the name under which a second sample of the full simulation is judged."""


class CalorimetrySettings(SettingsModel):
    """Showers, models of them, and how these are judged."""

    detectors: dict[str, DetectorSettings] = Field(
        default_factory=default_detectors, description="calorimeters by name"
    )
    showers: dict[str, ShowersSettings] = Field(
        default_factory=default_showers, description="sets of showers by name"
    )
    models: dict[str, ShowerModelSettings] = Field(
        default_factory=default_models, description="models of showers by name"
    )
    evaluation: EvaluationSettings = Field(
        default_factory=EvaluationSettings, description="separations and distances"
    )
    classifiers: ClassifierSettings = Field(
        default_factory=ClassifierSettings, description="that tell generated showers from full ones"
    )
    timing: TimingSettings = Field(
        default_factory=TimingSettings, description="time per generated shower"
    )
    controlled: list[str] = Field(
        default_factory=list, description="models whose showers are weighted by a classifier"
    )
    control: ControlSettings = Field(default_factory=ControlSettings, description="these weights")
    variation: VariationSettings = Field(
        default_factory=VariationSettings,
        description="uncertainty that Bayesian weights give, of each model that has them",
    )
    solvers: SolverScanSettings | None = Field(
        default_factory=SolverScanSettings,
        description="quality of flow matching against evaluations of the velocity; null: none",
    )
    refinement: dict[str, RefinementSettings] = Field(
        default_factory=dict, description="super-resolution of a layer, by name"
    )
    downstream: DownstreamSettings | None = Field(
        DownstreamSettings(models=["crystal"]),
        description="events made with each response of the calorimeter; null: none",
    )

    @model_validator(mode="after")
    def _names(self) -> "CalorimetrySettings":
        for name, one in self.showers.items():
            if not isinstance(one, FileSettings):
                _check(f"showers.{name}.detector", "detector", one.detector, self.detectors)
            if name + REFERENCE in self.models:
                raise ValueError(
                    f"models.{name}{REFERENCE}: the second sample of the set {name!r} is called "
                    "that; take another name"
                )
        for name, model in self.models.items():
            _check(f"models.{name}.showers", "set", model.showers, self.showers)
            if model.kind in TEACHERS:
                self._check_teacher(name)
            else:
                self._check_threshold(name)
        for name in self.controlled:
            _check("controlled", "model", name, self.models)
            if not self.models[name].judged:
                raise ValueError(f"controlled: showers of {name!r} are not judged")
        if self.downstream is not None:
            self._check_downstream(self.downstream)
        return self

    def _check_teacher(self, name: str) -> None:
        student = self.models[name]
        teacher = self.teacher_of(name)
        _check(f"models.{name}.teacher", "model", teacher, self.models)
        wanted = TEACHERS[student.kind]
        if self.models[teacher].kind != wanted:
            raise ValueError(
                f"models.{name}.teacher: {teacher!r} is of kind {self.models[teacher].kind!r}, and "
                f"a {student.kind} learns from one of kind {wanted!r}"
            )
        if self.models[teacher].showers != student.showers:
            raise ValueError(f"models.{name}.showers: not the set of the teacher {teacher!r}")
        if sorted(self.models[teacher].leave_out) != sorted(student.leave_out):
            raise ValueError(
                f"models.{name}.leave_out: not the energies that are left out for the teacher "
                f"{teacher!r}"
            )

    def _check_threshold(self, name: str) -> None:
        model = self.models[name]
        own, wanted = model.preprocessing.threshold, self.threshold_of(model.showers)
        # Zero says of files that their threshold is not known.
        unknown = wanted == 0 and isinstance(self.showers[model.showers], FileSettings)
        if own != wanted and not unknown:
            raise ValueError(
                f"models.{name}.preprocessing.threshold: is {own:g} MeV, and voxels of the set "
                f"{model.showers!r} are empty below {wanted:g} MeV; give that"
            )

    def _check_downstream(self, chosen: DownstreamSettings) -> None:
        _check("downstream.response.detector", "detector", chosen.response.detector, self.detectors)
        for name in chosen.models:
            _check("downstream.models", "model", name, self.models)
            if self.detector_of(name) != chosen.response.detector:
                raise ValueError(
                    f"downstream.models: {name!r} has learned showers of the detector "
                    f"{self.detector_of(name)!r}, and {chosen.response.detector!r} is needed"
                )

    def teacher_of(self, name: str) -> str:
        """Name of the model that a model learns from; empty for one that learns from showers."""
        return str(getattr(self.models[name], "teacher", ""))

    def detector_of(self, model: str) -> str | None:
        """Name of the detector whose showers a model learns; None for showers from files."""
        showers = self.showers[self.models[model].showers]
        return None if isinstance(showers, FileSettings) else showers.detector

    def threshold_of(self, showers: str) -> float:
        """Energy below which a voxel of a set is empty [MeV]."""
        chosen = self.showers[showers]
        if isinstance(chosen, FileSettings):
            return chosen.threshold
        return self.detectors[chosen.detector].threshold

    def judged_models(self) -> list[str]:
        """Models whose showers are generated and judged."""
        return [name for name, model in self.models.items() if model.judged]

    def judged_sets(self) -> list[str]:
        """Sets of showers that judged models learn, in order of use."""
        return list(dict.fromkeys(self.models[name].showers for name in self.judged_models()))

    def references(self) -> dict[str, str]:
        """Names under which second samples of the full simulation are judged, and their sets."""
        return {name + REFERENCE: name for name in self.judged_sets()}

    def set_of(self, judged: str) -> str:
        """The set of showers of a model, or of a second sample."""
        found = self.references().get(judged)
        return found if found is not None else self.models[judged].showers

    def matching_models(self) -> list[str]:
        """Models of conditional flow matching."""
        return [name for name, model in self.models.items() if model.kind == "matching"]

    def solved_models(self) -> dict[str, list[str]]:
        """Models whose solvers are compared, and models that are bespoke solvers for them."""
        if self.solvers is None:
            return {}
        bespoke = [name for name, model in self.models.items() if model.kind == "bespoke"]
        return {
            name: [one for one in bespoke if self.teacher_of(one) == name]
            for name in self.matching_models()
        }

    def varied_models(self) -> list[str]:
        """Models with a distribution of weights."""
        return [name for name, model in self.models.items() if getattr(model, "weights", None)]


def _check(where: str, kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ValueError(f"{where}: no {kind} is called {name!r}{nearest(name, list(known))}")
