"""Names of the figures of the uncertainty of generated distributions."""

from collections.abc import Mapping
from typing import Any


def name_of(model: str) -> str:
    """Give the name of the figure of a model."""
    return f"variation_{model}"


def variation_figure_names(models: Mapping[str, Any]) -> list[str]:
    """Give the names for the settings of models: those of flows with a distribution of weights."""
    return [name_of(name) for name, one in models.items() if getattr(one, "weights", None)]
