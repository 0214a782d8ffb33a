"""Settings of the training loop, the same for each stage that trains."""

from typing import Literal

from pydantic import Field

from fullchain.learning.schedule import Schedule
from fullchain.model import SettingsModel


class TrainingSettings(SettingsModel):
    """How a network is trained."""

    epochs: int = Field(20, ge=1, description="passes over the training rows at most")
    batch_size: int = Field(128, ge=1, description="rows per optimiser step (nearly: all equal)")
    optimiser: Literal["adam", "adamw", "radam"] = Field(
        "adam", description="adam (1412.6980), adamw (1711.05101) or radam (1908.03265)"
    )
    learning_rate: float = Field(3e-3, gt=0, description="nominal learning rate")
    weight_decay: float = Field(0.0, ge=0, description="weight decay of the optimiser")
    schedule: Schedule = Field(
        "one_cycle",
        description="learning rate over the steps: constant, cosine, flat_then_decay, one_cycle",
    )
    warmup: float = Field(
        0.0, ge=0, lt=1, description="part of the steps over which the rate rises from zero"
    )
    final_rate: float = Field(
        0.01, gt=0, le=1, description="last learning rate, as a fraction of the nominal one"
    )
    gradient_clip: float | None = Field(
        None, gt=0, description="largest norm of the gradient; null for no limit"
    )
    patience: int = Field(
        15, ge=1, description="epochs without a better validation loss before training stops"
    )
    min_improvement: float = Field(
        0.0, ge=0, description="fall of the validation loss that counts as better"
    )
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu",
        description="cpu, cuda, or auto: CUDA where there is one, and numbers that depend on the "
        "machine",
    )
    threads: int = Field(
        1, ge=1, description="CPU threads; part of the settings because rounding may depend on it"
    )
