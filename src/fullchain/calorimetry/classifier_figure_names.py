"""Names of the figures of classifiers of showers."""

from collections.abc import Iterable

AREAS = "classifier_areas"
SCORES = "classifier_scores"

EACH = (AREAS, SCORES)


def name_of(figure: str, showers: str) -> str:
    """Give the name of a figure of a set of showers."""
    return f"{figure}_{showers}"


def classifier_figure_names(showers: Iterable[str]) -> list[str]:
    """Give the names for the sets of showers that are looked at."""
    return [name_of(figure, name) for name in showers for figure in EACH]
