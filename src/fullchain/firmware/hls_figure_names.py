"""Names of the figures of the conversion with hls4ml."""

import re
from collections.abc import Iterable

RANGES = "hls4ml_ranges"


def ranges_name(name: str) -> str:
    """Name of the figure of ranges of a model and point."""
    return f"{RANGES}_{re.sub(r'[^A-Za-z0-9]', '_', name)}"


def hls_figure_names(names: Iterable[str]) -> list[str]:
    """Give the names of all figures, for names of models and points."""
    return [ranges_name(name) for name in names]
