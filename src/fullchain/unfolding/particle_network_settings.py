"""Settings of the networks on the particles of a jet, and of what they are given."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class ParticleInputSettings(SettingsModel):
    """What a network sees of the particles of a jet."""

    largest: int = Field(
        100,
        ge=1,
        description="largest number of particles of a jet, those of highest pT; how many others "
        "there are is said, and in history.json",
    )
    radius: float = Field(
        0.4, gt=0, description="distances from the axis of the jet are divided by this"
    )
    identity: Literal["none", "charge", "pdg"] = Field(
        "pdg",
        description="kind of the particle: none; its charge; or a small number for its PDG code, "
        "as EnergyFlow has it",
    )


class PfnClassifierSettings(SettingsModel):
    """Particle Flow Network (1810.05165); the defaults are the sizes of OmniFold (1911.09107)."""

    kind: Literal["pfn"] = Field("pfn", description="the architecture")
    phi: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (100, 100, 256),
        min_length=1,
        description="layers of the per-particle network; the last is the latent dimension",
    )
    f: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (100, 100, 100), min_length=1, description="layers of the network on the sum"
    )
    typical: int = Field(
        30, ge=1, description="number of particles that the sum is divided by, for all jets"
    )


class TransformerClassifierSettings(SettingsModel):
    """Transformer on a cloud of particles."""

    kind: Literal["transformer"] = Field("transformer", description="the architecture")
    width: int = Field(32, ge=1, description="size of what is known of each particle")
    heads: int = Field(2, ge=1, description="heads of attention; they divide the width")
    blocks: int = Field(2, ge=1, description="blocks of attention among the particles")
    class_blocks: int = Field(
        1, ge=1, description="blocks in which the token of the jet attends to the particles"
    )
    expansion: int = Field(2, ge=1, description="hidden size of dense layers, in widths")

    @model_validator(mode="after")
    def _heads_divide(self) -> "TransformerClassifierSettings":
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} do not divide the width of {self.width}")
        return self


ParticleNetworkSettings = Annotated[
    PfnClassifierSettings | TransformerClassifierSettings, Field(discriminator="kind")
]
"""Settings of either network, told apart by `kind`."""
