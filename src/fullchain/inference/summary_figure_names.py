"""Which figures of summaries are drawn: known before anything is drawn."""

from fullchain.inference.summaries_settings import SummariesSettings

UNCERTAINTY = "summaries_uncertainty"
GROUPS = "summaries_groups"
BINS = "summaries_bins"
TRAINING = "summaries_training"


def summary_figure_names(settings: SummariesSettings | None) -> list[str]:
    """Names of the figures; none without summaries."""
    if settings is None:
        return []
    return [UNCERTAINTY, GROUPS, BINS, TRAINING]
