"""Settings of the tagger on the Lund plane."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel

Coordinate = Literal["lnz", "lndelta", "psi", "lnm", "lnkt"]


class LundSettings(SettingsModel):
    """LundNet (2012.08526); the defaults are the published LundNet-5.

    LundNet-3 has the coordinates lnz, lndelta and lnkt.
    """

    kind: Literal["lund"] = Field("lund", description="the architecture")
    coordinates: tuple[Coordinate, ...] = Field(
        ("lnz", "lndelta", "psi", "lnm", "lnkt"),
        min_length=1,
        description="what the network sees of a declustering",
    )
    blocks: tuple[tuple[int, ...], ...] = Field(
        ((32, 32), (32, 32), (64, 64), (64, 64), (128, 128), (128, 128)),
        min_length=1,
        description="layers of the network on edges, for each EdgeConv block",
    )
    fusion: int | None = Field(
        None,
        ge=1,
        description="size of the layer on the outputs of all blocks; null for their sum rounded "
        "down to a multiple of 128, between 128 and 1024, which is 384 for the published blocks",
    )
    head: tuple[int, ...] = Field(
        (256,), min_length=1, description="layers of the network on the average over declusterings"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout in the layers of the head")
    max_nodes: int | None = Field(
        None,
        ge=1,
        description="declusterings of a jet at most, from large angles to small; null for all",
    )
