"""Settings of ParticleNet."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel


class ParticleNetSettings(SettingsModel):
    """ParticleNet (1902.08570); the defaults are the published sizes."""

    kind: Literal["particlenet"] = Field("particlenet", description="the architecture")
    neighbours: int = Field(16, ge=1, description="nearest neighbours that a particle sees")
    blocks: tuple[tuple[int, ...], ...] = Field(
        ((64, 64, 64), (128, 128, 128), (256, 256, 256)),
        min_length=1,
        description="layers of the network on the edges, for each EdgeConv block",
    )
    fc: tuple[int, ...] = Field(
        (256,), min_length=1, description="layers of the network on the mean of the particles"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout in the layers of fc")
    fusion: bool = Field(
        False,
        description="join the outputs of all blocks, and not only take the last: not in the "
        "paper, but in some released weights",
    )


LITE = ParticleNetSettings(neighbours=7, blocks=((32, 32, 32), (64, 64, 64)), fc=(128,))
"""ParticleNet-Lite, of the same paper."""
