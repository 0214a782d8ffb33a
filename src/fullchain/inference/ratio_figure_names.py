"""Names of the figures of learned likelihood ratios."""

from typing import Any

LOG_RATIOS = "ratio_log_ratios"
CALIBRATION = "ratio_calibration"
PROFILES = "ratio_profiles"
PULLS = "ratio_pulls"
UNCERTAINTIES = "ratio_uncertainties"


def ratio_figure_names(settings: Any) -> list[str]:
    """Give the names for `RatioSettings`, or for None: none."""
    if settings is None:
        return []
    # The exact ratio of one's own events is not known.
    exact = [LOG_RATIOS] if settings.own is None else []
    return [*exact, CALIBRATION, PROFILES, PULLS, UNCERTAINTIES]
