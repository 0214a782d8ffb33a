"""Settings of learned likelihood ratios and of the unbinned fit with them."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel

Loss = Literal["cross_entropy", "mlc"]
Link = Literal["exponential", "square", "softplus"]
CalibrationKind = Literal["none", "histogram", "isotonic"]


class RatioModelSettings(SettingsModel):
    """What is fitted: a signal yield, with one nuisance parameter that shifts the background."""

    signal: float = Field(50.0, gt=0, description="true, and expected, number of signal events")
    background: float = Field(1000.0, gt=0, description="expected number of background events")
    constraint: float = Field(
        0.4, gt=0, description="standard deviation of the auxiliary measurement of the nuisance"
    )
    reach: float = Field(
        0.8,
        gt=0,
        description="the nuisance parameter is drawn, learned and fitted between minus and plus "
        "this",
    )


class RatioEventsSettings(SettingsModel):
    """How many events are drawn."""

    training: int = Field(40_000, ge=100, description="of each class and for each member")
    validation: int = Field(10_000, ge=100, description="of each class and for each member")
    calibration: int = Field(300_000, ge=1000, description="of each class, for all members")
    check: int = Field(50_000, ge=1000, description="of each class, to test the calibration")
    templates: int = Field(
        200_000, ge=1000, description="of each class, for the templates of the binned fit"
    )


class RatioNetworkSettings(SettingsModel):
    """The networks; one computation trains all members of an ensemble."""

    members: int = Field(
        3, ge=2, description="networks, each from events and a start of its own; averaged in log"
    )
    layers: tuple[int, ...] = Field((32, 32), min_length=1, description="nodes of hidden layers")
    link: Link = Field(
        "exponential",
        description="ratio from the output u: exponential e^u, square (1 + u)^2 or softplus; "
        "cross-entropy always takes e^u",
    )
    degree: int = Field(
        3,
        ge=1,
        le=6,
        description="the output for the nuisance ratio is a polynomial of this degree in the "
        "nuisance parameter, zero at its nominal value, whose coefficients the network gives",
    )


class RatioCalibrationSettings(SettingsModel):
    """How learned ratios are made right."""

    kind: CalibrationKind = Field(
        "histogram",
        description="of the signal ratio, against events that were not trained on: ratio of two "
        "histograms of the learned ratio, isotonic regression, or none (but normalised)",
    )
    bins: int = Field(20, ge=3, description="bins of equal content (histogram)")
    nuisance: CalibrationKind = Field(
        "none",
        description="of the ratio of shifted and nominal background; it is normalised always",
    )


class RatioExperimentsSettings(SettingsModel):
    """Pseudo-experiments, the same ones for each method."""

    number: int = Field(300, ge=20, description="pseudo-experiments for each true nuisance value")
    nuisance: tuple[float, ...] = Field(
        (0.0,), min_length=1, description="true values of the nuisance parameter"
    )
    of_members: int = Field(
        100,
        ge=0,
        description="pseudo-experiments, of the first ones, that are fitted with each network "
        "alone too: the spread is the error from training",
    )
    bins: int = Field(10, ge=2, description="bins of the classifier score in the binned fit")


class OwnEventsSettings(SettingsModel):
    """Events of one's own instead of synthetic ones, see docs/stages/inference_ratio.md."""

    events: list[str] = Field(
        min_length=1, description="tables of simulated events, Parquet, to train and calibrate"
    )
    data: list[str] = Field([], description="tables of measured events, Parquet, that are fitted")
    features: tuple[str, ...] = Field(min_length=1, description="columns that networks see")
    label: str = Field("label", description="column: 1 signal, 0 background")
    weight: str | None = Field(None, description="column of event weights, not negative; null: one")
    nuisance: str = Field(
        "nuisance",
        description="column: the value of the nuisance parameter with which a background event "
        "was simulated, 0 for the nominal one; not read for signal",
    )


def _training() -> TrainingSettings:
    return TrainingSettings(epochs=8, batch_size=500, learning_rate=5e-3, patience=4)


class RatioSettings(SettingsModel):
    """Likelihood ratios learned by classifiers, calibrated and used in an unbinned fit."""

    losses: tuple[Loss, ...] = Field(
        ("cross_entropy", "mlc"),
        min_length=1,
        description="cross_entropy, or mlc: the maximum-likelihood-classifier loss (1806.02350, "
        "2305.10500)",
    )
    model: RatioModelSettings = Field(
        default_factory=RatioModelSettings, description="the statistical model"
    )
    events: RatioEventsSettings = Field(
        default_factory=RatioEventsSettings, description="numbers of simulated events"
    )
    network: RatioNetworkSettings = Field(
        default_factory=RatioNetworkSettings, description="networks"
    )
    training: TrainingSettings = Field(default_factory=_training, description="training of all")
    calibration: RatioCalibrationSettings = Field(
        default_factory=RatioCalibrationSettings, description="calibration"
    )
    experiments: RatioExperimentsSettings = Field(
        default_factory=RatioExperimentsSettings, description="pseudo-experiments"
    )
    own: OwnEventsSettings | None = Field(
        None, description="columns of a table of one's own events; null: the synthetic problem"
    )

    @model_validator(mode="after")
    def _inside(self) -> "RatioSettings":
        if len(set(self.losses)) < len(self.losses):
            raise ValueError("losses: one stands twice")
        for value in self.experiments.nuisance:
            if abs(value) >= self.model.reach:
                raise ValueError(
                    f"experiments.nuisance: {value:g} is not inside +-model.reach, "
                    f"{self.model.reach:g}"
                )
        return self
