"""Settings of the networks of a trigger."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.firmware.point_settings import PointSettings, PruningSettings
from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel


class ArchitectureSettings(SettingsModel):
    """Dense layers with ReLU between them, on features of a jet or on its leading candidates."""

    inputs: Literal["features", "candidates"] = Field(
        "features", description="features of the jet, or quantities of its leading candidates"
    )
    quantities: list[str] | None = Field(
        None,
        min_length=1,
        description="names of features, or of quantities of a candidate; null: all there are",
    )
    candidates: int = Field(
        8, ge=1, description="leading candidates in falling pT, for inputs: candidates"
    )
    shared: list[int] = Field(
        [], description="sizes of layers that every candidate passes through, with equal weights"
    )
    pool: Literal["sum", "flatten"] = Field(
        "sum",
        description="what joins the candidates after the shared layers: the sum of each channel "
        "(deep sets, arXiv:1810.05165), or one candidate after the other",
    )
    layers: list[int] = Field([32, 32], description="sizes of hidden layers, all with ReLU")

    @model_validator(mode="after")
    def _fits(self) -> "ArchitectureSettings":
        if any(size < 1 for size in (*self.shared, *self.layers)):
            raise ValueError("a layer has no outputs")
        if self.inputs == "features" and self.shared:
            raise ValueError("shared layers are for inputs: candidates")
        return self

    @property
    def used_candidates(self) -> int:
        """Number of candidates whose quantities are the inputs; 0 for features of the jet."""
        return self.candidates if self.inputs == "candidates" else 0


class DistillationSettings(SettingsModel):
    """Training on the probabilities of a larger tagger too (arXiv:1503.02531)."""

    tagger: str = Field(description="name in tagging.taggers; its scores of all jets are read")
    classes: dict[str, str] = Field(
        {}, description="class of the tagger for a class here, where the names differ"
    )
    temperature: float = Field(
        2.0, gt=0, description="what logits of teacher and network are divided by"
    )
    weight: float = Field(
        0.5,
        gt=0,
        le=1,
        description="part of the loss that is the cross-entropy with the teacher; the rest is that "
        "with the true class",
    )


class TrainedNetworkSettings(SettingsModel):
    """What every trained network has."""

    kind: str = Field(description="kind of the network, which its own settings fix")
    architecture: ArchitectureSettings = Field(
        ArchitectureSettings(), description="inputs and layers"
    )
    training: TrainingSettings = Field(
        TrainingSettings(
            epochs=60, batch_size=512, learning_rate=5e-3, schedule="one_cycle", patience=20
        ),
        description="training in floating point",
    )
    clip: float = Field(
        8.0, gt=0, description="largest absolute value of a scaled input in training [spreads]"
    )
    pruning: PruningSettings | None = Field(
        None, description="magnitude pruning while the float network trains; null: none"
    )
    distillation: DistillationSettings | None = Field(
        None, description="learn from a larger tagger too; null: from true classes only"
    )
    replicas: int = Field(
        100, ge=2, description="replicas of the bootstrap over events of the validation part"
    )
    points: dict[str, PointSettings] = Field(
        {"learned": PointSettings()}, description="ways to quantise the network, by name"
    )


class NetworkSettings(TrainedNetworkSettings):
    """A network that tells classes of jets apart."""

    kind: Literal["network"] = Field("network", description="network: a classifier")
