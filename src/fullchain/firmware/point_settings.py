"""Settings of a point: one way to make a fixed-point network of a trained one."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel


class PruningSettings(SettingsModel):
    """Removal of the smallest weights, in rounds with training in between (arXiv:1506.02626)."""

    fraction: float = Field(
        0.5, gt=0, lt=1, description="part of the weights of the dense layers that is removed"
    )
    rounds: int = Field(
        5, ge=1, description="steps in which the fraction is reached, by the same factor each"
    )
    start: float = Field(0.0, ge=0, lt=1, description="part of the training before the first round")
    end: float = Field(0.5, gt=0, lt=1, description="part of the training before the last round")

    @model_validator(mode="after")
    def _in_order(self) -> "PruningSettings":
        if self.end < self.start:
            raise ValueError("pruning ends before it starts")
        return self


class PenaltySettings(SettingsModel):
    """Price of resources in the loss, as in HGQ (arXiv:2405.00645)."""

    ebops: float = Field(
        4e-5, ge=0, description="price of one effective bit operation (EBOP), in units of the loss"
    )
    first: float | None = Field(
        None,
        gt=0,
        description="price at the start, from which it rises logarithmically; null: constant",
    )
    bits: float = Field(
        1e-6,
        ge=0,
        description="price of one bit of a weight or of an activation (L1 of all bit widths), "
        "which also lowers bits that no EBOP depends on",
    )

    @model_validator(mode="after")
    def _rises(self) -> "PenaltySettings":
        if self.first is not None and self.first > self.ebops:
            raise ValueError("the first price of an EBOP is above the last one")
        return self


class PointSettings(SettingsModel):
    """How a trained network is quantised."""

    method: Literal["aware", "post"] = Field(
        "aware",
        description="aware: trained on with rounded numbers; post: rounded after training, with "
        "fixed bits",
    )
    bits: Literal["learned", "fixed"] = Field(
        "learned",
        description="learned: fractional bits are trained against the penalty; fixed: as given",
    )
    weight_bits: int = Field(
        6, ge=2, le=24, description="bits of weights with the sign, initial ones where learned"
    )
    bias_bits: int | None = Field(
        None,
        ge=1,
        le=32,
        description="bits of biases with the sign; null: those of weights, and where bits are "
        "fixed the sum of those of weights and activations",
    )
    activation_bits: int = Field(
        6, ge=1, le=24, description="bits of activations, initial ones where learned"
    )
    input_bits: int = Field(
        8, ge=1, le=24, description="bits of inputs with the sign, initial ones where learned"
    )
    weight_granularity: Literal["layer", "weight"] = Field(
        "weight", description="what has one bit width: all weights of a layer, or each"
    )
    activation_granularity: Literal["layer", "channel"] = Field(
        "channel", description="what has one format: all outputs of a layer, or each"
    )
    ranges: Literal["maximum", "learned"] = Field(
        "learned",
        description="integer bits of inputs and activations. maximum: those that the largest value "
        "on the training jets needs; learned: trained from there, by the values that saturate; "
        "only where bits are learned",
    )
    coverage: float = Field(
        0.999,
        gt=0.5,
        le=1,
        description="part of the values on the training jets that the integer bits are to hold "
        "without saturation, where they are measured before training; 1: all of them",
    )
    rate_of_bits: float = Field(
        2.0, gt=0, description="learning rate of bit widths, in units of that of weights [bits]"
    )
    largest_bits: int = Field(16, ge=1, le=24, description="fractional bits of any number at most")
    penalty: PenaltySettings = Field(
        PenaltySettings(), description="price of resources, where bits are learned"
    )
    pruning: PruningSettings | None = Field(
        None, description="magnitude pruning while the rounded network trains; null: none"
    )
    training: TrainingSettings = Field(
        TrainingSettings(
            epochs=240, batch_size=1024, learning_rate=5e-3, schedule="cosine", patience=1000
        ),
        description="training of the rounded network",
    )
    overflow_limit: float = Field(
        0.1,
        gt=0,
        le=1,
        description="part of the values of a layer on the validation part that may saturate; more "
        "is an error. Where ranges are learned any part may: the training chose it",
    )

    @model_validator(mode="after")
    def _fits(self) -> "PointSettings":
        if self.method == "post" and (self.bits == "learned" or self.pruning is not None):
            raise ValueError(
                "method post trains nothing: set bits to fixed and pruning to null (the float "
                "network can be pruned instead)"
            )
        return self
