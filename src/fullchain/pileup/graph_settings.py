"""Settings of the networks on graphs of candidates."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel
from fullchain.pileup.learned_settings import LearnedSettings


class GatedSettings(SettingsModel):
    """Gated graph network, as PuppiML (1810.07988) has it; sizes are ours.

    Messages go along edges to candidates within `rings[-1]`; each ring is a type of edge with
    weights of its own, and a gated recurrent unit takes them up (1511.05493).
    """

    kind: Literal["gated"] = Field("gated", description="the layers")
    rings: tuple[float, ...] = Field(
        (0.1, 0.2, 0.4),
        min_length=1,
        description="outer distances in eta and phi of the types of edges; the last is the "
        "largest distance of a neighbour",
    )
    neighbours: int = Field(
        48, ge=1, description="nearest neighbours within that distance at most; bounds the memory"
    )
    hidden: int = Field(32, ge=1, description="size of the state of a candidate")
    rounds: int = Field(2, ge=1, description="messages one after the other, with the same weights")
    fc: tuple[int, ...] = Field((64,), description="layers of the network on the last state")

    @model_validator(mode="after")
    def _rings_grow(self) -> "GatedSettings":
        if any(b <= a for a, b in zip((0.0, *self.rings), self.rings, strict=False)):
            raise ValueError(f"rings must grow from 0, not {list(self.rings)}")
        return self

    @property
    def radius(self) -> float:
        """Largest distance of a neighbour."""
        return self.rings[-1]


class AttentionBlockSettings(SettingsModel):
    """One layer of attention pooling over neighbours, and what follows it."""

    space: Literal["direction", "features"] = Field(
        "direction", description="in which the neighbours are near"
    )
    heads: int = Field(1, ge=1, description="attention heads")
    size: int = Field(32, ge=1, description="size of the features of an edge")
    layers: tuple[int, ...] = Field(
        (64, 128, 128), min_length=1, description="layers on each candidate after the pooling"
    )


class AttentionSettings(SettingsModel):
    """Attention over neighbours, as ABCNet (2001.05311) has it.

    The defaults are those of the authors' program (ViniciusMikuni/ABCNet, segmentation/train.py).
    """

    kind: Literal["attention"] = Field("attention", description="the layers")
    radius: float = Field(
        0.8,
        gt=0,
        description="largest distance in eta and phi of neighbours in direction; the paper has no "
        "limit",
    )
    neighbours: int = Field(50, ge=1, description="nearest neighbours that a candidate sees")
    blocks: tuple[AttentionBlockSettings, ...] = Field(
        (
            AttentionBlockSettings(),
            AttentionBlockSettings(space="features", heads=2, size=64, layers=(128, 128)),
        ),
        min_length=1,
        description="layers one after the other",
    )
    globals_size: int = Field(16, ge=1, description="features made of those of the event")
    pooled: int = Field(
        128, ge=1, description="features whose mean over the window every candidate gets"
    )
    fc: tuple[int, ...] = Field((256, 256, 256), description="last layers on each candidate")
    dropout: float = Field(0.4, ge=0, lt=1, description="dropout in these, but for the last")


Layers = Annotated[GatedSettings | AttentionSettings, Field(discriminator="kind")]


class WindowSettings(SettingsModel):
    """Windows in eta and phi: candidates of the core get a weight, those of the halo are seen."""

    core: float = Field(0.5, gt=0, le=1.5, description="half the side of the core")
    halo: float = Field(0.4, ge=0, le=1.5, description="width of the halo around it")
    points: int = Field(
        500,
        ge=2,
        description="candidates of a training window at most; of larger ones, those farthest from "
        "the centre are left out",
    )


class GraphSettings(LearnedSettings):
    """A network that gives each candidate a weight from what is around it."""

    kind: Literal["graph"] = Field("graph", description="the method")
    layers: Layers = Field(default_factory=GatedSettings, description="messages or attention")
    windows: WindowSettings = Field(
        default_factory=WindowSettings, description="pieces of events, for training and attention"
    )
    charged: Literal["fixed", "free"] = Field(
        "free",
        description="the network weighs all candidates; or tracks get 1 or 0 by their vertex, and "
        "the network weighs the rest",
    )
    loss: Literal["cross_entropy", "squared"] = Field(
        "cross_entropy", description="distance of a weight from the true fraction"
    )
    pt_power: float = Field(
        1.0,
        ge=0,
        le=2,
        description="power of pT that a candidate counts with in the loss; 0: alike",
    )
    pt_limit: float = Field(
        50.0, gt=0, description="pT above which a candidate counts no more than at it [GeV]"
    )
    local_sums: bool = Field(
        True,
        description="also give the network sums of pT and PUPPI's alpha in rings around each "
        "candidate, from the whole event",
    )
    tracker_eta: float = Field(2.5, gt=0, description="|eta| beyond which no tracks are expected")
