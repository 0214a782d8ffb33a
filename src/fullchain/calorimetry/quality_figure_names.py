"""Names of the figures of quality against time."""

from collections.abc import Iterable

QUALITY = "quality_time"


def name_of(figure: str, showers: str) -> str:
    """Give the name of a figure of a set of showers."""
    return f"{figure}_{showers}"


def quality_figure_names(showers: Iterable[str]) -> list[str]:
    """Give the names for the sets of showers that are looked at."""
    return [name_of(QUALITY, name) for name in showers]
