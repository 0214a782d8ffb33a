"""Names of the figures of triggers."""

from collections.abc import Iterable, Mapping
from typing import Any

RATE, TURN_ON, SCORES = "trigger_rate", "trigger_turn_on", "trigger_scores"


def trigger_figure_names(
    signals: Mapping[str, Any], points: Iterable[tuple[str, str]]
) -> list[str]:
    """Give the names for signals by name, and (model, point) of all reports."""
    found = [f"{RATE}_{signal}" for signal in signals]
    for model, point in points:
        found += [f"{kind}_{model}_{point}" for kind in (TURN_ON, SCORES)]
    return found
