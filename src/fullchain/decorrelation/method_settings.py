"""Settings of the methods of decorrelation."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel

Weighting = Literal["training", "flat"]


class DiscoSettings(SettingsModel):
    """Distance correlation of score and mass as a penalty, arXiv:2001.05310."""

    kind: Literal["disco"] = Field("disco", description="the method")
    strengths: tuple[float, ...] = Field(
        (30.0,), min_length=1, description="factors on the penalty, a classifier for each"
    )
    weighting: Weighting = Field(
        "training",
        description="weights of background jets in the penalty: those of training, or flat in "
        "the variables",
    )
    power: float = Field(1.0, gt=0, le=2, description="exponent of the distances; 1 as published")


class ModeSettings(SettingsModel):
    """Moments of the score in bins of the mass as a penalty, arXiv:2010.09745."""

    kind: Literal["mode"] = Field("mode", description="the method")
    strengths: tuple[float, ...] = Field(
        (100.0,), min_length=1, description="factors on the penalty, a classifier for each"
    )
    order: Literal[0, 1, 2] = Field(
        0, description="dependence on the mass that is left free: 0 none, 1 linear, 2 quadratic"
    )
    bins: int = Field(16, ge=3, description="bins of equal occupancy in the mass")
    unbiased: bool = Field(
        True,
        description="subtract what bins differ by in a batch of this size by chance; false: as "
        "published, for large batches",
    )
    monotonic: bool = Field(
        False, description="keep the free dependence monotonic over the range (order 2)"
    )
    largest_slope: float | None = Field(
        None,
        gt=0,
        description="cap on the linear part, relative to the constant (orders 1 and 2); null for "
        "none",
    )

    @model_validator(mode="after")
    def _options_of_the_order(self) -> "ModeSettings":
        if self.monotonic and self.order < 2:
            raise ValueError(
                f"monotonic: at order {self.order} the free dependence is monotonic as it is; "
                "take order: 2, or leave it out"
            )
        if self.largest_slope is not None and self.order < 1:
            raise ValueError(
                "largest_slope: at order 0 no slope is free; take order: 1 or 2, or leave it out"
            )
        return self


class AdversarySettings(SettingsModel):
    """A network that infers the mass from the score, in the manner of arXiv:1611.01046."""

    kind: Literal["adversary"] = Field("adversary", description="the method")
    strengths: tuple[float, ...] = Field(
        (10.0,), min_length=1, description="factors on the penalty, a classifier for each"
    )
    components: int = Field(20, ge=1, description="Gaussians of the mixture")
    layers: tuple[int, ...] = Field((64, 64), min_length=1, description="dense layers")
    learning_rate_factor: float = Field(
        1.0, gt=0, description="learning rate of the adversary over that of the tagger"
    )


class PlaningSettings(SettingsModel):
    """Training weights that make the classes alike in the variables, arXiv:1709.10106."""

    kind: Literal["planing"] = Field("planing", description="the method")
    reference: str = Field(
        "flat",
        description="distribution that all classes are brought to: flat, that of the signal, or "
        "that of the class of this name",
    )
    bins: int = Field(20, ge=1, description="bins in each variable, over the range of the jets")
    largest: float = Field(
        20.0, gt=1, description="largest factor on a jet, relative to the median of its class"
    )


class BoostingSettings(SettingsModel):
    """Boosted trees with uniform efficiency, by hep-ml (arXiv:1305.7248, 1410.4140)."""

    kind: Literal["boosting"] = Field("boosting", description="the method")
    strengths: tuple[float, ...] = Field(
        (60.0,),
        min_length=1,
        description="flatness: factor on the flatness loss; uboost: its uniforming rate, which "
        "is 1 in the paper",
    )
    loss: Literal["flatness", "uboost"] = Field(
        "flatness", description="flatness loss of gradient boosting, or uBoost on AdaBoost"
    )
    trees: int | None = Field(
        None,
        ge=1,
        description="trees, of uBoost for each efficiency; null: 200 for the flatness loss, 30 for "
        "each efficiency of uBoost",
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="factor on each tree; null: 0.1 for the flatness loss, 1 for uBoost",
    )
    max_depth: int = Field(4, ge=1, le=30, description="largest depth of a tree")
    min_jets_in_leaf: int = Field(20, ge=1, description="least number of training jets in a leaf")
    subsample: float = Field(0.7, gt=0, le=1, description="part of the jets that each tree sees")
    bins: int = Field(15, ge=2, description="bins of equal occupancy in each variable (flatness)")
    power: float = Field(2.0, gt=0, description="power of the difference of CDFs (flatness)")
    efficiencies: int = Field(10, ge=2, description="efficiencies that are made uniform (uboost)")
    spacing: Literal["equal", "quadratic"] = Field(
        "quadratic",
        description="where these are (uboost): equally spaced, as in hep-ml, or their squares, for "
        "taggers that pass little background",
    )
    width: float | None = Field(
        None,
        gt=0,
        description="width in the score of the smooth step at each cut (uboost); null: 10 over the "
        "number of efficiencies, as hep-ml has it",
    )
    neighbours: int = Field(50, ge=1, description="nearest jets for a local efficiency (uboost)")


class FlowSettings(SettingsModel):
    """Conditional flow from the score to its quantile at the mass of the jet, arXiv:2211.02486."""

    kind: Literal["flow"] = Field("flow", description="the method")
    transforms: int = Field(1, ge=1, description="monotonic transformations one after the other")
    layers: tuple[int, ...] = Field((64, 64), min_length=1, description="dense layers of each")
    bins: int = Field(8, ge=2, description="bins of a rational-quadratic spline")
    fitted_to: Literal["tested", "both", "validation"] = Field(
        "tested",
        description="background jets that it is fitted to: those of the training and the "
        "validation part of the tagger (both), of the validation part alone (validation), or both "
        "unless a Kolmogorov-Smirnov test tells the scores of the two apart (tested); with folds, "
        "of the other folds all (both, tested) or the validation part (validation)",
    )
    training: TrainingSettings = Field(
        default_factory=lambda: TrainingSettings(
            epochs=40, batch_size=256, learning_rate=1e-2, schedule="one_cycle", patience=15
        ),
        description="training loop of the flow",
    )


Method = Annotated[
    DiscoSettings
    | ModeSettings
    | AdversarySettings
    | PlaningSettings
    | BoostingSettings
    | FlowSettings,
    Field(discriminator="kind"),
]


class ClassifierSettings(SettingsModel):
    """A tagger of the stage tagging, decorrelated by one method."""

    tagger: str = Field(
        description="tagger: its network, inputs, classes, selection and training; of a flow, also "
        "a variant of a classifier that is trained, such as disco_30"
    )
    method: Method = Field(description="how it is decorrelated")
    seeds: int | None = Field(
        None, ge=1, description="trainings with other random numbers; null: as many as the tagger"
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        description="rows per step, for penalties that are measured in a batch; null: as the "
        "tagger's training",
    )
    epochs: int | None = Field(
        None, ge=1, description="passes over the training rows at most; null: as the tagger's"
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="epochs without a better validation loss before training stops; a penalty may "
        "need many. null: as the tagger's",
    )

    @model_validator(mode="after")
    def _strengths_differ(self) -> "ClassifierSettings":
        strengths = getattr(self.method, "strengths", ())
        if len(set(strengths)) < len(strengths) or any(one <= 0 for one in strengths):
            raise ValueError(
                "method.strengths: numbers above zero, each once; without decorrelation there is "
                "the tagger itself"
            )
        return self
