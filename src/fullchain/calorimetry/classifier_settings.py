"""Settings of the classifiers that tell generated showers from simulated ones."""

from typing import Literal

from pydantic import Field

from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel

Mode = Literal["lite", "official"]
Level = Literal["low", "high"]
FeatureSet = Literal["challenge", "all"]

Seen = Literal["low", "high", "both"]
"""What a discriminator of weights may see: the inputs of a level, or voxels and all features."""

TREES = "_trees"
"""Ending of the name under which boosted trees stand beside the network of their level."""

OFFICIAL_LAYERS = (2048, 2048, 2048)
"""Sizes of the hidden layers of the CaloChallenge's classifier."""


class ClassifierSettings(SettingsModel):
    """Networks, and how they are trained."""

    mode: Mode = Field(
        "lite",
        description="official: the classifier of the CaloChallenge (2410.21611), 3 x 2048 with "
        "LeakyReLU in double precision, Adam 2e-4, batches of 1000, 50 epochs, inputs not "
        "standardised; of layers and training below, only device, threads, processes and compile "
        "are then used. lite: layers and training as set, single precision, inputs "
        "standardised; AUCs of the two modes are not the same quantity",
    )
    levels: list[Level] = Field(
        ["low", "high"],
        min_length=1,
        description="low: log10 of the incident energy and the part of it in each voxel; high: "
        "features of showers",
    )
    trees: bool = Field(
        True,
        description="judge each level by boosted trees too, which need fewer showers than a "
        "network to see what is wrong",
    )
    features: FeatureSet = Field(
        "challenge",
        description="of the high level: challenge (energies of layers, centres and widths in eta "
        "and phi), or all (also radii and sparsities)",
    )
    layers: list[int] = Field(
        [512, 512, 512], min_length=1, description="sizes of the hidden layers in lite mode"
    )
    validation: float = Field(
        0.2, gt=0, lt=1, description="part of the showers that chooses the epoch and calibrates"
    )
    test: float = Field(0.2, gt=0, lt=1, description="part of the showers that the AUC is of")
    seeds: int = Field(1, ge=1, description="trainings from different starts, averaged")
    replicas: int = Field(200, ge=2, description="replicas of the bootstrap over test showers")
    showers: int | None = Field(
        None, ge=100, description="showers of each kind at most; null: all of the smaller file"
    )
    training: TrainingSettings = Field(
        TrainingSettings(
            epochs=8, batch_size=200, learning_rate=1e-3, schedule="one_cycle", patience=4
        ),
        description="length, rate, schedule of lite mode",
    )
