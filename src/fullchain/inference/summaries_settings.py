"""Settings of summaries of events that are trained for the uncertainty on the signal strength."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel
from fullchain.tagging.mlp_settings import DEFAULT_FEATURES, Feature

LossName = Literal["inferno", "cross_entropy", "significance", "likelihood"]

SCORES = "scores"
"""Name of what is evaluated beside the trained summaries: scores as they are."""


class SummaryTraining(SettingsModel):
    """Training of the networks of one loss."""

    learning_rate: float = Field(0.01, gt=0, description="of Adam")
    batches: int = Field(
        4, ge=1, description="parts that the training events are divided into in each epoch"
    )
    epochs: int = Field(30, ge=1, description="passes over the training events at most")
    warm_up: int = Field(
        0,
        ge=0,
        description="of these, epochs with cross entropy to begin with; of a softmax, that of its "
        "last bin over its first",
    )
    patience: int = Field(
        15, ge=1, description="epochs without a lower validation loss before a member stops"
    )
    temperature: float = Field(
        0.5,
        gt=0,
        description="softness: of the softmax over bins (inferno), of the cut on the score "
        "(significance), or of learned edges, relative to the mean width of a bin (likelihood); "
        "cross entropy has none",
    )
    derivative: Literal["tangent", "difference"] = Field(
        "tangent",
        description="object shifts: forward-mode derivative along half the difference of the "
        "shifted features, or half the difference of the yields at the shifted features (exact for "
        "shifts of any size, with two evaluations each)",
    )

    @model_validator(mode="after")
    def _loss_is_trained(self) -> "SummaryTraining":
        if self.warm_up >= self.epochs:
            raise ValueError("warm_up leaves no epoch for the loss itself")
        return self


class SummarySplit(SettingsModel):
    """Division of the events by their identity; the same hash as that of the taggers' split."""

    validation: float = Field(0.15, gt=0, lt=1, description="fraction that stops the training")
    test: float = Field(
        0.35,
        gt=0,
        lt=1,
        description="fraction that the expected uncertainty is evaluated on; not above that of "
        "tagging.split, or events that the compared taggers were trained on are evaluated",
    )

    @model_validator(mode="after")
    def _something_trains(self) -> "SummarySplit":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave no events to train on")
        return self


class SummariesSettings(SettingsModel):
    """Summaries of one analysis: INFERNO, further losses, and scores as they are."""

    analysis: str = Field("ttbar", description="analysis in inference.analyses")
    features: tuple[Feature, ...] = Field(
        DEFAULT_FEATURES, min_length=1, description="observables of the leading jet"
    )
    scores: tuple[str, ...] = Field(
        ("top_flow",),
        description="further taggers or decorrelated classifiers that are compared; the tagger of "
        "the analysis always is",
    )
    bins: int = Field(10, ge=2, description="bins of each summary")
    layers: tuple[int, ...] = Field((32, 32), min_length=1, description="dense layers")
    seeds: int = Field(4, ge=1, description="networks of each loss, with starts of their own")
    losses: dict[LossName, SummaryTraining] = Field(
        {
            "cross_entropy": SummaryTraining(batches=8),
            "inferno": SummaryTraining(temperature=0.2, warm_up=5),
            "significance": SummaryTraining(),
            "likelihood": SummaryTraining(temperature=0.2, warm_up=5),
        },
        min_length=1,
        description="losses to train with, with their settings",
    )
    simulation: bool = Field(
        True, description="whether the losses know of limited simulation, as the evaluation does"
    )
    split: SummarySplit = Field(default_factory=SummarySplit, description="division of the events")
    replicas: int = Field(
        50, ge=10, description="bootstrap replicas of the test events, the same for all summaries"
    )

    def score_names(self, tagger: str) -> list[str]:
        """Names of all scores that are compared, that of the analysis first."""
        return list(dict.fromkeys([tagger, *self.scores]))

    def summaries(self) -> list[str]:
        """Names of what the step `summarise` runs for: each loss, and all scores together."""
        return [*self.losses, SCORES]
