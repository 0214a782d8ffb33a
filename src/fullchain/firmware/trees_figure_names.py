"""Names of the figures of trees."""

from collections.abc import Iterable

GROWTH = "trees_growth"


def trees_figure_names(models: Iterable[str]) -> list[str]:
    """Give the names for models that are trees."""
    return [f"{GROWTH}_{model}" for model in models]
