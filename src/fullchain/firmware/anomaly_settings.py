"""Settings of anomaly triggers: networks that learn what jets of the background look like."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.firmware.inputs_settings import FEATURES
from fullchain.firmware.network_settings import ArchitectureSettings, TrainedNetworkSettings
from fullchain.firmware.point_settings import PenaltySettings, PointSettings
from fullchain.learning.settings import TrainingSettings

QUANTITIES: list[str] = [name for name in FEATURES if name != "d2_a1_b1"]
"""The features of a jet that are different numbers: d2_a1_b1 is d2_b1."""


class BackgroundSettings(TrainedNetworkSettings):
    """What networks have that are trained on background alone."""

    classes: tuple[str, ...] = Field(
        ("q", "g"), description="classes whose jets train it, those of their samples"
    )
    samples: tuple[str, ...] = Field(
        (), description="samples all of whose jets train it too, whatever their class"
    )
    training: TrainingSettings = Field(
        TrainingSettings(
            epochs=200, batch_size=256, learning_rate=5e-3, schedule="one_cycle", patience=200
        ),
        description="training in floating point",
    )
    points: dict[str, PointSettings] = Field(
        {"learned": PointSettings(penalty=PenaltySettings(ebops=3e-6, bits=1e-7))},
        description="ways to quantise the network, by name; an EBOP has a tenth of the price that "
        "it has for a classifier, whose loss is larger",
    )

    @model_validator(mode="after")
    def _unsupervised(self) -> "BackgroundSettings":
        if not self.classes and not self.samples:
            raise ValueError("classes and samples are both empty: nothing to train on")
        if self.distillation is not None:
            raise ValueError("distillation is for classifiers; an anomaly model has no teacher")
        return self


class AnomalySettings(BackgroundSettings):
    """A variational autoencoder: the encoder becomes firmware, which sums squared latent means.

    The decoder exists in training only (Govorkova et al., arXiv:2108.03986).
    """

    kind: Literal["anomaly"] = Field(
        "anomaly", description="anomaly: score of latent means, the sum of their squares"
    )
    architecture: ArchitectureSettings = Field(
        ArchitectureSettings(quantities=QUANTITIES, layers=[32, 16]),
        description="inputs and hidden layers of the encoder",
    )
    dimensions: int = Field(4, ge=1, description="latent dimensions")
    decoder: list[int] = Field([16, 32], description="hidden layers of the decoder")
    noise: float = Field(
        0.2,
        gt=0,
        description="standard deviation of inputs around what the decoder gives [spreads]; the "
        "larger, the fewer latent dimensions are used",
    )

    @model_validator(mode="after")
    def _sizes(self) -> "AnomalySettings":
        if any(size < 1 for size in self.decoder):
            raise ValueError("a layer of the decoder has no outputs")
        return self


class AutoencoderSettings(BackgroundSettings):
    """An autoencoder: all of it becomes firmware, the score is the error of the reconstruction."""

    kind: Literal["autoencoder"] = Field(
        "autoencoder",
        description="autoencoder: score of what is not reconstructed, the sum of the squared "
        "differences of outputs and inputs",
    )
    architecture: ArchitectureSettings = Field(
        ArchitectureSettings(quantities=QUANTITIES, layers=[16, 3, 16]),
        description="inputs and hidden layers, the narrowest in the middle; names its quantities",
    )
    clip: float = Field(
        4.0, gt=0, description="largest absolute value of a scaled input in training [spreads]"
    )

    @model_validator(mode="after")
    def _narrow(self) -> "AutoencoderSettings":
        if self.architecture.quantities is None:
            raise ValueError("an autoencoder names its inputs: set architecture.quantities")
        if min(self.architecture.layers, default=self.outputs) >= self.outputs:
            raise ValueError(
                f"no layer is narrower than the {self.outputs} inputs: an autoencoder that can "
                "copy them learns nothing"
            )
        return self

    @property
    def outputs(self) -> int:
        """Number of outputs, as many as inputs."""
        quantities = self.architecture.quantities or []
        return len(quantities) * (self.architecture.used_candidates or 1)
