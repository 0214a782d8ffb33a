"""Settings of a masked autoregressive flow."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel


class MaskedFlowSettings(SettingsModel):
    """Blocks of masked networks (MADE) that shape rational-quadratic splines."""

    blocks: int = Field(2, ge=1, description="splines of each number, one after the other")
    layers: tuple[int, ...] = Field(
        (256,), min_length=1, description="nodes of the hidden layers of each masked network"
    )
    embedding: int = Field(
        32, ge=1, description="nodes that the condition becomes, which all layers of a block see"
    )
    bins: int = Field(8, ge=2, description="bins of a spline")
    bound: float = Field(
        14.0, gt=0, description="splines are the identity beyond it [standardised numbers]"
    )
    activation: Literal["relu", "silu"] = Field("relu", description="between the layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="part of hidden nodes dropped in training")
