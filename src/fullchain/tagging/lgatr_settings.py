"""Settings of the Lorentz-equivariant transformers."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class LorentzTransformerSettings(SettingsModel):
    """L-GATr (2411.00446) or L-GATr-slim (2512.17011); the defaults are the published slim one.

    The published full network is ``variant: full, vector_channels: 16, scalar_channels: 32,
    expansion: 4, attention_expansion: 2, beam: xyplane``.
    """

    kind: Literal["lgatr"] = Field("lgatr", description="the architecture")
    variant: Literal["slim", "full"] = Field(
        "slim",
        description="slim carries vectors and scalars, full carries multivectors and scalars",
    )
    blocks: int = Field(12, ge=1, description="transformer blocks")
    vector_channels: int = Field(32, ge=1, description="vectors (multivectors) per particle")
    scalar_channels: int = Field(96, ge=1, description="scalars per particle")
    heads: int = Field(8, ge=1, description="attention heads")
    expansion: int = Field(4, ge=1, description="widening of the feed-forward layers")
    attention_expansion: int = Field(1, ge=1, description="widening of the attention layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout; the published networks have none")
    momentum_scale: float = Field(
        20.0, gt=0, description="momenta are divided by this [GeV] (20 as published)"
    )
    beam: Literal["lightlike", "spacelike", "timelike", "xyplane", "none"] = Field(
        "lightlike",
        description="reference that breaks the symmetry along the beam: two vectors, one per "
        "direction, or (full only) the transverse plane",
    )
    time: bool = Field(
        True, description="reference that breaks the symmetry under boosts: the time direction"
    )
    scalars: Literal["none", "features"] = Field(
        "none",
        description="none gives the network momenta alone; features adds those of the tagger, "
        "which are no Lorentz scalars",
    )
    pooling: Literal["token", "mean"] = Field(
        "token", description="where the result is read: a token of its own, or the mean"
    )

    @model_validator(mode="after")
    def _scalars_enter(self) -> "LorentzTransformerSettings":
        # Its layers have no bias, and only the token or features bring a scalar that is not zero.
        if (self.variant, self.pooling, self.scalars) == ("slim", "mean", "none"):
            raise ValueError(
                "the slim variant with pooling mean and scalars none has no scalar input, and "
                "would give zero for every jet: take pooling token, or scalars features"
            )
        return self


SLIM_23K = LorentzTransformerSettings(
    blocks=2, vector_channels=8, scalar_channels=32, heads=4, expansion=2
)
"""L-GATr-slim (2512.17011) with about 23 thousand parameters, which trains on a few CPU cores."""

FULL = LorentzTransformerSettings(
    variant="full",
    vector_channels=16,
    scalar_channels=32,
    attention_expansion=2,
    beam="xyplane",
)
"""L-GATr at the published size for tagging (2411.00446)."""
