"""Which jets make up a class of a classifier: samples and truth labels."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from fullchain.model import SettingsModel

LABELS = {
    "gluon": 0,
    "light": 1,
    "b": 2,
    "W": 3,
    "Z": 4,
    "top": 5,
    "H": 6,
    "unmatched": -1,
}
"""Numbers of the truth labels in the column `label` of the jets."""

Label = Literal["gluon", "light", "b", "W", "Z", "top", "H", "unmatched"]


class ClassSettings(SettingsModel):
    """Which jets make up one class."""

    samples: tuple[str, ...] = Field(min_length=1, description="names of samples")
    labels: tuple[Label, ...] = Field(min_length=1, description="truth labels of the jets")
    fully_contained: bool = Field(
        False, description="only jets that contain all decay products of their particle"
    )

    @property
    def label_numbers(self) -> tuple[int, ...]:
        """Numbers of the labels in the column `label`."""
        return tuple(LABELS[name] for name in self.labels)


def classes_of(given: Mapping[str, Any]) -> dict[str, ClassSettings]:
    """Give the classes of a classifier, by name, as the settings have them."""
    return {name: ClassSettings.model_validate(one) for name, one in given.items()}
