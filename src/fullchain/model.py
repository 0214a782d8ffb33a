"""What all settings have in common."""

import typing
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class SettingsModel(BaseModel):
    """Base of all settings: unknown keys are errors, values cannot change after validation.

    In a field that is a mapping of names (samples, taggers, ...) the value None removes the entry,
    so that an overlay can drop what the defaults define.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_removed_entries(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        cleaned = dict(values)
        for name, field in cls.model_fields.items():
            value = cleaned.get(name)
            if typing.get_origin(field.annotation) is dict and isinstance(value, dict):
                cleaned[name] = {key: entry for key, entry in value.items() if entry is not None}
        return cleaned
