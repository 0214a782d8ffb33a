"""Names of the figures of weights of generated showers."""

from collections.abc import Iterable

WEIGHTS = "control_weights"
SEPARATIONS = "control_separations"
FEATURES = "control_features"

EACH = (WEIGHTS, SEPARATIONS, FEATURES)


def name_of(figure: str, model: str) -> str:
    """Give the name of a figure of a model."""
    return f"{figure}_{model}"


def control_figure_names(models: Iterable[str]) -> list[str]:
    """Give the names for the models whose showers are weighted."""
    return [name_of(figure, name) for name in models for figure in EACH]
