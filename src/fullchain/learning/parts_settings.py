"""Settings of the parts that events are divided into, see `learning.split`."""

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class PartsSettings(SettingsModel):
    """Parts of the events, divided by a hash of their identity; the rest trains."""

    validation: float = Field(
        0.15, gt=0, lt=1, description="part of the events that decides when training stops"
    )
    test: float = Field(
        0.35, gt=0, lt=1, description="part of the events that performance is measured on"
    )

    @model_validator(mode="after")
    def _something_left(self) -> "PartsSettings":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave no events to train on")
        return self
