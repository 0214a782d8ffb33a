"""Names of the figures that compare events made with each response of the calorimeter."""

from typing import Any

JETS = "downstream_jets"
PHOTONS = "downstream_photons"
TIME = "downstream_time"


def downstream_figure_names(settings: Any) -> list[str]:
    """Give the names for `DownstreamSettings`, or for None: none."""
    if settings is None:
        return []
    return [*(f"{kind}_{sample}" for sample in settings.samples for kind in (JETS, PHOTONS)), TIME]
