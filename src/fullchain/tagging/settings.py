"""Settings of the stage tagging."""

import re
from typing import Any, Literal

from pydantic import Field, model_validator

from fullchain.learning.parts_settings import PartsSettings
from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel
from fullchain.tagging.architectures import Architecture
from fullchain.tagging.bayesian_settings import BayesianSettings
from fullchain.tagging.between_settings import BetweenSettings
from fullchain.tagging.class_settings import ClassSettings, check_apart, check_no_decays
from fullchain.tagging.cost_settings import CostSettings
from fullchain.tagging.evaluation_settings import EvaluationSettings
from fullchain.tagging.explanation_settings import ExplanationSettings
from fullchain.tagging.mlp_settings import MlpSettings, check_measured
from fullchain.tagging.pfn_settings import PfnSettings
from fullchain.tagging.reweighting_settings import ReweightingSettings
from fullchain.tagging.robustness_settings import RobustnessSettings
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.trees_settings import TreesSettings
from fullchain.tagging.weights_settings import WeightsSettings

RESERVED = ("flat", "none", "others")
"""Words that mean something else where a class may be named."""


Part = Literal["train", "validation", "test"]


class SplitSettings(PartsSettings):
    """Parts of the events, divided by a hash of their identity; the rest trains."""

    samples: dict[str, Part] = Field(
        default_factory=dict,
        description="samples whose events all belong to one part, for data sets that come divided; "
        "not for taggers with folds",
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
    jets_from: Literal["jets", "ntuples"] = Field(
        "jets",
        description="stage whose jets are read: jets, or ntuples for the ROOT files of samples "
        "with one jet per entry (layouts jetclass, top_tagging, quark_gluon; for mlp and trees "
        "also w_tagging and high_level) as they are, without the selection, the shifts and the "
        "observables of the stage jets",
    )
    inputs: Literal["kin", "kinpid", "full", "pt_eta_phi"] = Field(
        "kin",
        description="features of a particle: kin (the seven of 2202.03772), kinpid (its 13, with "
        "charge and particle type), full (its 17, with impact parameters, too) or pt_eta_phi (pT "
        "fraction and angles to the jet axis, 1810.05165)",
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
    bayesian: BayesianSettings | None = Field(
        None,
        description="give weights of the network a distribution, and each score an uncertainty "
        "(1904.10004); null: each weight is a number",
    )
    between: BetweenSettings | None = Field(
        None,
        description="a second generator: the network is trained on all mixtures of both at once, "
        "with the part r of the second as one more input; null for one generator",
    )
    weights: WeightsSettings | None = Field(
        None,
        description="weights from a file of weaver-core instead of a training, for the "
        "architecture particlenet; null: the tagger is trained",
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
        check_apart(self.classes)
        known = ("flat", "none", "signal", *self.classes)
        if self.reweighting.reference not in known:
            raise ValueError(
                f"reweighting.reference: no class is called {self.reweighting.reference!r}; known "
                f"are {', '.join(known)}"
            )
        return self

    @model_validator(mode="after")
    def _seeds_differ(self) -> "TaggerSettings":
        sizes = self.architecture
        if isinstance(sizes, TreesSettings) and self.seeds > 1 and sizes.feature_fraction == 1:
            raise ValueError(
                "seeds: with feature_fraction 1 nothing in trees is random, and all trainings "
                "would be one and the same; lower architecture.feature_fraction, or take seeds: 1"
            )
        return self

    @model_validator(mode="after")
    def _bayesian_is_possible(self) -> "TaggerSettings":
        if self.bayesian is None:
            return self
        sizes = self.architecture
        if sizes.kind == "trees":
            raise ValueError(
                "bayesian: trees have no weights that could have a distribution; set bayesian to "
                "null, or take a network (mlp sees the same observables)"
            )
        if sizes.kind == "lgatr" and sizes.variant == "full":
            raise ValueError(
                "bayesian: the logits of lgatr with variant full do not come from a linear layer; "
                "take variant slim"
            )
        for name in self.classes:
            if len(self.classes) > 2 and f"_{name}".endswith(("_std", "_at_mean")):
                raise ValueError(
                    f"classes: {name!r} would give its column of scores the name of an "
                    "uncertainty; a class of a bayesian tagger must not be called std or at_mean, "
                    "nor end in _std or _at_mean"
                )
        return self

    @model_validator(mode="after")
    def _two_generators(self) -> "TaggerSettings":
        if self.between is None:
            return self
        if isinstance(self.architecture, TreesSettings):
            raise ValueError(
                "between: trees are fitted once to jets with one r each, and not to new ones in "
                "each epoch; take architecture mlp, which sees the same observables"
            )
        for name in self.samples:
            if name not in self.between.samples:
                raise ValueError(
                    f"between.samples: no sample of the second generator stands in for {name}"
                )
        for name in self.between.samples:
            if name not in self.samples:
                raise ValueError(
                    f"between.samples.{name}: no class takes jets of {name}; there are "
                    f"{', '.join(self.samples)}"
                )
        for name in self.classes:
            if re.fullmatch(r"r[0-9]\w*|\w*_r[0-9]\w*", name):
                raise ValueError(
                    f"classes: {name!r} would be taken for a value of r in the columns of scores; "
                    "call the class something else"
                )
        return self

    @model_validator(mode="after")
    def _jets_tell_enough(self) -> "TaggerSettings":
        if self.jets_from != "jets":
            return self
        check_no_decays(self.classes)
        if isinstance(self.architecture, MlpSettings | TreesSettings):
            check_measured(self.architecture.features)
        return self

    @model_validator(mode="after")
    def _weights_fit(self) -> "TaggerSettings":
        if self.weights is None:
            return self
        if self.architecture.kind != "particlenet":
            raise ValueError(
                "weights: files of weaver-core are read for the architecture particlenet, not "
                f"{self.architecture.kind}"
            )
        self.weights.check_classes(self.class_names)
        wrong = {
            "inputs (kin, kinpid or full)": self.inputs == "pt_eta_phi",
            "standardisation (published)": self.standardisation != "published",
            "training (null)": self.training is not None,
            "folds (1)": self.folds != 1,
            "seeds (1)": self.seeds != 1,
            "bayesian (null)": self.bayesian is not None,
            "between (null)": self.between is not None,
        }
        named = [name for name, there in wrong.items() if there]
        if named:
            raise ValueError(
                f"weights: a file holds one training of the published inputs; set back "
                f"{', '.join(named)}"
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
        """Names of the samples of the classes, each once, in order of classes."""
        return tuple(
            dict.fromkeys(
                sample for name in self.class_names for sample in self.classes[name].samples
            )
        )

    @property
    def training_samples(self) -> tuple[str, ...]:
        """Names of all samples that the tagger is trained on: with those of a second generator."""
        own = self.samples
        return (*own, *(self.between.samples[name] for name in own)) if self.between else own


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
    robustness: RobustnessSettings = Field(
        default_factory=RobustnessSettings,
        description="jets with constituents dropped or smeared",
    )
    cost: CostSettings = Field(
        default_factory=CostSettings, description="measurement of rate and memory of inference"
    )
    explanation: ExplanationSettings = Field(
        default_factory=ExplanationSettings, description="what taggers have learned"
    )
    taggers: dict[str, TaggerSettings] = Field(
        default_factory=lambda: {
            "pfn": TaggerSettings(),
            "bdt": TaggerSettings(architecture=TreesSettings()),
            # For the stage decorrelation: W bosons, told from QCD jets over a range of masses.
            "w_mlp": TaggerSettings(
                architecture=MlpSettings(),
                classes={
                    "W": ClassSettings(samples=("wjet",), labels=("W",), fully_contained=True),
                    "qcd": ClassSettings(samples=("qcd",), labels=("gluon", "light", "b")),
                },
                selection=SelectionSettings(ranges={"msoftdrop": (50.0, 300.0)}),
                seeds=3,
            ),
        },
        description="taggers by name; several may share an architecture",
    )

    @model_validator(mode="after")
    def _divided_samples_have_no_folds(self) -> "TaggingSettings":
        for name, tagger in self.taggers.items():
            divided = set(tagger.training_samples) & set(self.split.samples)
            if divided and tagger.folds > 1:
                raise ValueError(
                    f"taggers.{name}.folds: split.samples puts {', '.join(sorted(divided))} into "
                    "one part; folds would mix the parts, so take folds: 1"
                )
        return self

    @model_validator(mode="after")
    def _generators_have_their_names(self) -> "TaggingSettings":
        taken = {"first", "second"} & set(self.evaluation.alternatives)
        if taken and any(tagger.between for tagger in self.taggers.values()):
            raise ValueError(
                f"evaluation.alternatives.{min(taken)}: beside a tagger between two generators "
                "this is the name of one of them; call the alternative something else"
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

    def measured_samples(self, tagger: TaggerSettings) -> list[str]:
        """Names of the samples that a tagger is measured on: its own, and their stand-ins."""
        alternatives = self.evaluation.alternatives.values()
        others = [
            new for names in alternatives for old, new in names.items() if old in tagger.samples
        ]
        return list(dict.fromkeys([*tagger.training_samples, *others]))

    def window(self, tagger: TaggerSettings) -> SelectionSettings:
        """Jets that a tagger is trained on."""
        return tagger.selection or self.selection
