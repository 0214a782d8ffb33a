"""Settings of the Particle Transformer."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class ParticleTransformerSettings(SettingsModel):
    """Particle Transformer (2202.03772); the defaults are the published sizes."""

    kind: Literal["part"] = Field("part", description="the architecture")
    embedding: tuple[int, ...] = Field(
        (128, 512, 128),
        min_length=1,
        description="layers of the per-particle embedding; the last is the width of the network",
    )
    pairs: tuple[int, ...] = Field(
        (64, 64, 64),
        description="layers on pairs of particles, before the one that has an output per head",
    )
    heads: int = Field(8, ge=1, description="attention heads")
    blocks: int = Field(8, ge=1, description="particle attention blocks")
    class_blocks: int = Field(2, ge=1, description="class attention blocks")
    expansion: int = Field(
        4, ge=1, description="size of the feed-forward layers, in units of the width"
    )
    dropout: float = Field(
        0.1, ge=0, lt=1, description="dropout in the particle attention blocks; none in the others"
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> "ParticleTransformerSettings":
        if self.embedding[-1] % self.heads:
            raise ValueError(
                f"the width embedding[-1] ({self.embedding[-1]}) must be a multiple of "
                f"heads ({self.heads})"
            )
        return self


TINY = ParticleTransformerSettings(
    embedding=(32, 64, 32), pairs=(8, 8), heads=4, blocks=2, class_blocks=1
)
"""ParT-tiny: the same network at a size that trains on a few CPU cores."""
