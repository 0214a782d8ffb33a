"""Settings of the synthetic benchmark of INFERNO."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel

CaseName = Literal["B0", "B1", "B2", "B3", "B4"]

CLASSIFIER = "classifier"
"""Name of the summary that is trained with the cross-entropy; the others are those of the cases."""


class SummaryTrainingSettings(SettingsModel):
    """How the networks of a summary are trained, by plain stochastic gradient descent."""

    epochs: int = Field(20, ge=1, description="passes over the training events; 200 as published")
    learning_rate: float = Field(
        4e-6,
        gt=0,
        description="learning rate, constant; as published 1e-6 for INFERNO and 1e-3 for the "
        "classifier, with four times the epochs for the same way",
    )
    batch: int = Field(1000, ge=1, description="events per class and step")


class SyntheticSettings(SettingsModel):
    """The synthetic benchmark of INFERNO, arXiv:1806.04743; sizes and learning rates differ."""

    cases: tuple[CaseName, ...] = Field(
        ("B2",), description="inference problems for which a summary is learned with INFERNO"
    )
    seeds: int = Field(2, ge=1, description="trainings from other weights and orders of events")
    inferno: SummaryTrainingSettings = Field(
        default_factory=SummaryTrainingSettings, description="training with the loss of INFERNO"
    )
    classifier: SummaryTrainingSettings | None = Field(
        default_factory=lambda: SummaryTrainingSettings(epochs=10, learning_rate=4e-3, batch=32),
        description="training with the cross-entropy, for all cases; null: none",
    )
    layers: tuple[int, ...] = Field(
        (100, 100), min_length=1, description="nodes of the hidden layers, with ReLU"
    )
    bins: int = Field(10, ge=2, description="outputs of INFERNO, and bins of the classifier")
    temperature: float = Field(0.1, gt=0, description="of the softmax of INFERNO")
    events: int = Field(100_000, ge=1, description="training events of each class")
    validation: int = Field(
        20_000,
        ge=1000,
        description="events of each class, not trained on, whose loss after each epoch tells which "
        "weights are kept; 100000 as published",
    )
    evaluation: int = Field(
        200_000, ge=1000, description="further events of each class for the templates in the end"
    )
    threads: int = Field(
        1, ge=1, description="CPU threads; part of the settings because rounding may depend on it"
    )

    @property
    def summaries(self) -> list[str]:
        """Names of all summaries to learn."""
        return [*([CLASSIFIER] if self.classifier is not None else []), *self.cases]
