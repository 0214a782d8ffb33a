"""Settings of the reweighting of generated showers by a discriminator."""

from typing import Literal

from pydantic import Field

from fullchain.calorimetry.classifier_settings import ClassifierSettings, Seen
from fullchain.model import SettingsModel

Calibration = Literal["temperature", "none"]

Discriminator = Literal["trees", "network"]


class ControlSettings(SettingsModel):
    """Weights D/(1 - D), and showers that are accepted with them."""

    discriminator: Discriminator = Field(
        "trees",
        description="trees: boosted trees, which learn from few showers what is wrong; network: "
        "that of `classifier`",
    )
    level: Seen = Field(
        "both",
        description="what the discriminator sees: low or high, as in classifiers.levels; both: "
        "voxels and all features",
    )
    folds: int = Field(
        3,
        ge=2,
        description="parts of the showers; a discriminator that learned from the others weights "
        "each part",
    )
    calibration: Calibration = Field(
        "temperature",
        description="of the discriminator, with showers that did not train it: a temperature, or "
        "none; isotonic regression is no choice, as its ends are weights of zero and infinity",
    )
    energy_groups: int = Field(
        50,
        ge=1,
        description="weights have mean one at each incident energy, or, where there are more "
        "energies than this, in so many intervals",
    )
    maximum: float = Field(
        5.0,
        gt=0,
        description="largest weight, in units of the mean: larger ones count as this one, in "
        "weighted distributions as in resampling, whose efficiency is one over it",
    )
    replicas: int = Field(100, ge=2, description="replicas of the bootstrap over showers")
    classifier: ClassifierSettings = Field(
        default_factory=ClassifierSettings,
        description="the network of the discriminator, and the classifiers that judge before and "
        "after; their levels are those that are judged",
    )
