"""Names of the figures of flow matching."""

from typing import Any

SOLVERS = "matching_solvers"


def matching_figure_names(settings: Any) -> list[str]:
    """Give the names for `SolverScanSettings`, or for None: none."""
    return [] if settings is None else [SOLVERS]
