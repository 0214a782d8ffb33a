"""Settings of boosted trees on high-level features."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel
from fullchain.tagging.mlp_settings import DEFAULT_FEATURES, Features


class TreesSettings(SettingsModel):
    """Gradient-boosted trees on histograms of high-level features.

    These are the settings of training, too: of those of the training loop none applies to trees.
    """

    kind: Literal["trees"] = Field("trees", description="the architecture")
    features: Features = Field(
        DEFAULT_FEATURES,
        description="columns of the jets, or quotients of them: tau43, and masses over pT; with "
        "jets_from: ntuples any columns of the ROOT files that have one number a jet",
    )
    iterations: int = Field(500, ge=1, description="rounds of boosting at most")
    learning_rate: float = Field(0.05, gt=0, le=1, description="factor on the values of the leaves")
    max_depth: int = Field(4, ge=1, le=30, description="largest depth of a tree")
    max_leaves: int = Field(12, ge=2, description="leaves of a tree at most")
    min_jets_in_leaf: int = Field(20, ge=1, description="least number of training jets in a leaf")
    l2: float = Field(0.0, ge=0, description="L2 penalty on the values of the leaves")
    feature_fraction: float = Field(
        1.0, gt=0, le=1, description="part of the features that each split chooses from, at random"
    )
    max_bins: int = Field(255, ge=2, le=255, description="bins of a feature at most")
    patience: int = Field(
        30, ge=1, description="rounds without a better validation loss before training stops"
    )
