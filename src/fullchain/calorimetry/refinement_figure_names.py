"""Names of the figures of super-resolution."""

from collections.abc import Mapping
from typing import Any

SEPARATION, IMAGES, CLOSURE = "refinement_separation", "refinement_images", "refinement_closure"


def refinement_figure_names(settings: Mapping[str, Any]) -> list[str]:
    """Give the names for the mapping of `RefinementSettings` by name."""
    return [f"{kind}_{name}" for name in settings for kind in (SEPARATION, IMAGES, CLOSURE)]
