"""Settings of the stage tagging."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel

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


class SplitSettings(SettingsModel):
    """Parts of the events, divided by a hash of their identity; the rest trains."""

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


class PfnSettings(SettingsModel):
    """Particle Flow Network (1810.05165); the defaults are the published sizes."""

    kind: Literal["pfn"] = Field("pfn", description="the architecture")
    phi: tuple[int, ...] = Field(
        (100, 100, 256),
        min_length=1,
        description="layers of the per-particle network; the last is the latent dimension",
    )
    f: tuple[int, ...] = Field(
        (100, 100, 100), min_length=1, description="layers of the network on the sum"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout in the layers of f")


class ReweightingSettings(SettingsModel):
    """Weights of training jets, so that the classes differ in substructure and not in spectrum."""

    reference: Literal["none", "flat", "signal", "background"] = Field(
        "signal",
        description="spectrum that both classes are brought to: flat, that of a class, or none "
        "(the classes are balanced in any case)",
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

    architecture: PfnSettings = Field(default_factory=PfnSettings, description="the network")
    signal: ClassSettings = Field(
        default_factory=lambda: ClassSettings(
            samples=("tt",), labels=("top",), fully_contained=True
        ),
        description="jets that the score goes to one for",
    )
    background: ClassSettings = Field(
        default_factory=lambda: ClassSettings(samples=("qcd",), labels=("gluon", "light", "b")),
        description="jets that the score goes to zero for",
    )
    inputs: Literal["kin", "pt_eta_phi"] = Field(
        "kin",
        description="features of a particle: kin (the seven of 2202.03772) or pt_eta_phi "
        "(pT fraction and angles to the jet axis, 1810.05165)",
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

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the samples that the tagger is trained on, each once."""
        return tuple(dict.fromkeys((*self.signal.samples, *self.background.samples)))


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
        None, description="jets to measure on; null for those of tagging.selection"
    )
    replicas: int = Field(200, ge=20, description="replicas of the bootstrap over events")
    working_points: tuple[float, ...] = Field(
        (0.3, 0.5), min_length=1, description="signal efficiencies at which 1/eB is quoted"
    )
    score_bins: int = Field(25, ge=2, description="bins of the score histograms")
    calibration_bins: int = Field(10, ge=2, description="bins of the calibration curve")
    baseline: BaselineSettings = Field(
        default_factory=BaselineSettings, description="cut that the taggers are compared with"
    )

    @model_validator(mode="after")
    def _efficiencies(self) -> "EvaluationSettings":
        for point in self.working_points:
            if not 0 < point < 1:
                raise ValueError(f"a working point is a signal efficiency in (0, 1), not {point}")
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
    taggers: dict[str, TaggerSettings] = Field(
        default_factory=lambda: {"pfn": TaggerSettings()},
        description="taggers by name; several may share an architecture",
    )
