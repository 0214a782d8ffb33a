"""Settings of the Particle Flow Network."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel


class PfnSettings(SettingsModel):
    """Particle Flow Network (1810.05165); the defaults are the published sizes."""

    kind: Literal["pfn"] = Field("pfn", description="the architecture")
    phi: tuple[int, ...] = Field(
        (100, 100, 256),
        min_length=1,
        description="layers of the per-particle network; the last is the latent dimension",
    )
    f: tuple[int, ...] = Field(
        (100, 100, 100), min_length=1, description="layers of the network on the sum"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout in the layers of f")
