"""Settings of the stage tagging."""

import re
from itertools import product
from typing import Any, Literal

from pydantic import Field, model_validator

from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel
from fullchain.tagging.architectures import Architecture
from fullchain.tagging.explanation_settings import ExplanationSettings
from fullchain.tagging.pfn_settings import PfnSettings
from fullchain.tagging.trees_settings import TreesSettings

LABELS = {
    "gluon": 0,
    "light": 1,
    "b": 2,
    "W": 3,
    "Z": 4,
    "top": 5,
    "H": 6,
    "unmatched": -1,
}
"""Numbers of the truth labels in the column `label` of the jets."""

Label = Literal["gluon", "light", "b", "W", "Z", "top", "H", "unmatched"]


RESERVED = ("flat", "none", "others")
"""Words that mean something else where a class may be named."""


class SelectionSettings(SettingsModel):
    """Which jets a tagger is trained and measured on. All jets get a score."""

    pt_min: float = Field(500.0, ge=0, description="lowest jet pT [GeV]")
    pt_max: float = Field(700.0, gt=0, description="highest jet pT [GeV]")
    abs_eta_max: float = Field(2.0, gt=0, description="largest |eta| of the jet")

    @model_validator(mode="after")
    def _window(self) -> "SelectionSettings":
        if self.pt_min >= self.pt_max:
            raise ValueError(f"pt_min ({self.pt_min}) must be below pt_max ({self.pt_max})")
        return self


Part = Literal["train", "validation", "test"]


class SplitSettings(SettingsModel):
    """Parts of the events, divided by a hash of their identity; the rest trains."""

    samples: dict[str, Part] = Field(
        default_factory=dict,
        description="samples whose events all belong to one part, for data sets that come divided; "
        "not for taggers with folds",
    )

    validation: float = Field(
        0.15, gt=0, lt=1, description="part of the events that decides when training stops"
    )
    test: float = Field(
        0.35, gt=0, lt=1, description="part of the events that performance is measured on"
    )

    @model_validator(mode="after")
    def _something_left(self) -> "SplitSettings":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave no events to train on")
        return self


class ClassSettings(SettingsModel):
    """Which jets make up one class."""

    samples: tuple[str, ...] = Field(min_length=1, description="names of samples")
    labels: tuple[Label, ...] = Field(min_length=1, description="truth labels of the jets")
    fully_contained: bool = Field(
        False, description="only jets that contain all decay products of their particle"
    )

    @property
    def label_numbers(self) -> tuple[int, ...]:
        """Numbers of the labels in the column `label`."""
        return tuple(LABELS[name] for name in self.labels)


class ReweightingSettings(SettingsModel):
    """Weights of training jets, so that the classes differ in substructure and not in spectrum."""

    reference: str = Field(
        "signal",
        description="spectrum that all classes are brought to: flat, that of the signal, that of "
        "the class of this name, or none (the classes are balanced in any case)",
    )
    variables: tuple[Literal["pt", "eta", "mass", "msoftdrop"], ...] = Field(
        ("pt",), min_length=1, max_length=2, description="columns whose spectrum is brought there"
    )
    bins: int = Field(20, ge=1, description="bins in each variable, over the range of the jets")
    largest: float = Field(
        20.0, gt=1, description="largest factor on a jet, relative to the median of its class"
    )


class TaggerSettings(SettingsModel):
    """One tagger: what it tells apart, what it sees, what it is."""

    architecture: Architecture = Field(default_factory=PfnSettings, description="the network")
    classes: dict[str, ClassSettings] = Field(
        default_factory=lambda: {
            "top": ClassSettings(samples=("tt",), labels=("top",), fully_contained=True),
            "qcd": ClassSettings(samples=("qcd",), labels=("gluon", "light", "b")),
        },
        min_length=2,
        description="what the tagger tells apart, by name; several may share a sample",
    )
    signal: str = Field(
        "",
        description="class whose probability is the score, and first output of the network; empty "
        "for the first that is written",
    )
    selection: SelectionSettings | None = Field(
        None, description="jets to train on; null for those of tagging.selection"
    )
    training: TrainingSettings | None = Field(
        None,
        description="training loop of this tagger alone; what is not given here has its own "
        "default. null for tagging.training",
    )
    inputs: Literal["kin", "full", "pt_eta_phi"] = Field(
        "kin",
        description="features of a particle: kin (the seven of 2202.03772), full (its 17, with "
        "charge, particle type and impact parameters) or pt_eta_phi (pT fraction and angles to "
        "the jet axis, 1810.05165)",
    )
    standardisation: Literal["published", "measured"] = Field(
        "published",
        description="scale of the features: published values, or measured on the training jets "
        "(median and 16-84 %)",
    )
    n_constituents: int = Field(
        64, ge=1, description="particles per jet at most, in falling pT; the rest is left out"
    )
    rotate: bool = Field(
        True,
        description="rotate and reflect training jets at random about their axis: their "
        "substructure has no preferred direction",
    )
    reweighting: ReweightingSettings = Field(
        default_factory=ReweightingSettings, description="weights of the training jets"
    )
    folds: int = Field(
        1,
        ge=1,
        description="1: train once, on the training part. From 2 on: that many trainings, each "
        "without one fold of the events, so that every jet has a score from a training that did "
        "not see it",
    )
    seeds: int = Field(
        1,
        ge=1,
        description="trainings that differ in their random numbers only; the score is their mean",
    )

    @model_validator(mode="before")
    @classmethod
    def _first_is_signal(cls, values: Any) -> Any:
        """Write down which class is first: settings on the way to a step lose their order."""
        if not isinstance(values, dict) or values.get("signal"):
            return values
        classes = values.get("classes")
        if not isinstance(classes, dict):
            return {**values, "signal": "top"} if classes is None else values
        names = [name for name, entry in classes.items() if entry is not None]
        return {**values, "signal": names[0]} if names else values

    @model_validator(mode="after")
    def _classes_are_apart(self) -> "TaggerSettings":
        for name in self.classes:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in RESERVED:
                raise ValueError(
                    f"classes: {name!r} cannot name a class: it must be letters, digits and _, "
                    f"and none of {', '.join(RESERVED)}"
                )
        if self.signal not in self.classes:
            raise ValueError(
                f"signal: no class is called {self.signal!r}; there are {', '.join(self.classes)}"
            )
        if "signal" in self.classes and self.signal != "signal":
            raise ValueError("the class that is called signal must be the signal")
        seen: dict[tuple[str, str], str] = {}
        for name, wanted in self.classes.items():
            for key in product(wanted.samples, wanted.labels):
                other = seen.setdefault(key, name)
                if other != name:
                    raise ValueError(
                        f"classes: {other} and {name} both take jets of sample {key[0]} with "
                        f"label {key[1]}; a jet belongs to one class"
                    )
        known = ("flat", "none", "signal", *self.classes)
        if self.reweighting.reference not in known:
            raise ValueError(
                f"reweighting.reference: no class is called {self.reweighting.reference!r}; known "
                f"are {', '.join(known)}"
            )
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the outputs: the signal, then by alphabet.

        The order of writing would not survive the way to a step, on which keys are sorted.
        """
        return (self.signal, *sorted(name for name in self.classes if name != self.signal))

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the samples that the tagger is trained on, each once, in order of classes."""
        return tuple(
            dict.fromkeys(
                sample for name in self.class_names for sample in self.classes[name].samples
            )
        )


class BaselineSettings(SettingsModel):
    """Cut on substructure beside which the taggers are shown: tau32 in a soft-drop window."""

    msoftdrop_min: float = Field(105.0, ge=0, description="lowest soft-drop mass [GeV]")
    msoftdrop_max: float = Field(210.0, gt=0, description="highest soft-drop mass [GeV]")
    tau32_max: float = Field(
        0.65, gt=0, le=1, description="cut on tau32 whose accuracy is quoted; the curve has all"
    )


class EvaluationSettings(SettingsModel):
    """How performance is measured, on the jets of the test part."""

    selection: SelectionSettings | None = Field(
        None, description="jets to measure on; null for those that the tagger is trained on"
    )
    pairs: tuple[tuple[str, str], ...] | None = Field(
        None,
        description="pairs of classes to measure, [signal, background], for each tagger that has "
        "both; null for the signal against each other class. The signal against all others "
        "together is always measured",
    )
    alternatives: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="other simulations by name, each with the samples that stand in for those of "
        "a tagger: the tagger is measured on them too, and the differences are given",
    )
    replicas: int = Field(200, ge=20, description="replicas of the bootstrap over events")
    working_points: tuple[float, ...] = Field(
        (0.3, 0.5), min_length=1, description="signal efficiencies at which 1/eB is quoted"
    )
    score_bins: int = Field(25, ge=2, description="bins of the score histograms")
    calibration_bins: int = Field(10, ge=2, description="bins of the calibration curve")
    bins: dict[str, tuple[float, ...]] = Field(
        default_factory=lambda: {
            "pt": (500.0, 540.0, 580.0, 620.0, 660.0, 700.0),
            "abs_eta": (0.0, 0.5, 1.0, 1.5, 2.0),
            "npu": (0.0, 20.0, 40.0, 60.0, 80.0, 120.0, 200.0),
            "mass": (0.0, 40.0, 80.0, 120.0, 160.0, 200.0, 250.0),
        },
        description="edges of the bins in which the efficiency of a fixed cut is measured, by "
        "column of the jets; abs_eta is |eta|",
    )
    baseline: BaselineSettings = Field(
        default_factory=BaselineSettings, description="cut that the taggers are compared with"
    )

    @model_validator(mode="after")
    def _efficiencies(self) -> "EvaluationSettings":
        for point in self.working_points:
            if not 0 < point < 1:
                raise ValueError(f"a working point is a signal efficiency in (0, 1), not {point}")
        return self

    @model_validator(mode="after")
    def _edges(self) -> "EvaluationSettings":
        for name, edges in self.bins.items():
            if len(edges) < 2 or list(edges) != sorted(set(edges)):
                raise ValueError(f"bins.{name}: at least two edges that rise, not {edges}")
        return self


class TaggingSettings(SettingsModel):
    """Jet taggers: data, training, evaluation."""

    selection: SelectionSettings = Field(
        default_factory=SelectionSettings, description="jets to train and to measure on"
    )
    split: SplitSettings = Field(
        default_factory=SplitSettings, description="training, validation and test part"
    )
    training: TrainingSettings = Field(
        default_factory=TrainingSettings, description="training loop, the same for all taggers"
    )
    evaluation: EvaluationSettings = Field(
        default_factory=EvaluationSettings, description="measurement of performance"
    )
    explanation: ExplanationSettings = Field(
        default_factory=ExplanationSettings, description="what taggers have learned"
    )
    taggers: dict[str, TaggerSettings] = Field(
        default_factory=lambda: {
            "pfn": TaggerSettings(),
            "bdt": TaggerSettings(architecture=TreesSettings()),
        },
        description="taggers by name; several may share an architecture",
    )

    @model_validator(mode="after")
    def _divided_samples_have_no_folds(self) -> "TaggingSettings":
        for name, tagger in self.taggers.items():
            divided = set(tagger.samples) & set(self.split.samples)
            if divided and tagger.folds > 1:
                raise ValueError(
                    f"taggers.{name}.folds: split.samples puts {', '.join(sorted(divided))} into "
                    "one part; folds would mix the parts, so take folds: 1"
                )
        return self

    @model_validator(mode="after")
    def _pairs_exist(self) -> "TaggingSettings":
        for pair in self.evaluation.pairs or ():
            if not any(set(pair) <= set(tagger.classes) for tagger in self.taggers.values()):
                raise ValueError(
                    f"evaluation.pairs: no tagger has the classes {' and '.join(pair)}"
                )
            if pair[0] == pair[1]:
                raise ValueError(f"evaluation.pairs: {pair[0]} cannot be told from itself")
        return self

    @model_validator(mode="after")
    def _explained_exist(self) -> "TaggingSettings":
        unknown = [name for name in self.explanation.taggers or () if name not in self.taggers]
        if unknown:
            raise ValueError(
                f"explanation.taggers: no tagger is called {', '.join(unknown)}; there are "
                f"{', '.join(self.taggers)}"
            )
        return self

    @property
    def explained(self) -> tuple[str, ...]:
        """Names of the taggers that are explained."""
        wanted = self.explanation.taggers
        return tuple(self.taggers) if wanted is None else wanted

    def window(self, tagger: TaggerSettings) -> SelectionSettings:
        """Jets that a tagger is trained on."""
        return tagger.selection or self.selection
