"""Names of the figures of sets of showers."""

from collections.abc import Iterable


def response(name: str) -> str:
    """Name of the figure of linearity and resolution of a set."""
    return f"showers_{name}_response"


def profiles(name: str) -> str:
    """Name of the figure of mean profiles of a set."""
    return f"showers_{name}_profiles"


def showers_figure_names(sets: Iterable[str]) -> list[str]:
    """Give the names for the names of sets in `calorimetry.showers`."""
    return [give(name) for name in sets for give in (response, profiles)]
