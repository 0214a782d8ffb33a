"""Which figures of the synthetic benchmark are drawn: known before anything is drawn."""

from fullchain.inference.synthetic_settings import SyntheticSettings

TABLE = "synthetic_uncertainties"
TRAINING = "synthetic_training"
PLANE = "synthetic_bins"
YIELDS = "synthetic_yields"
PROFILE = "synthetic_profile"


def synthetic_figure_names(settings: SyntheticSettings | None) -> list[str]:
    """Give the names of all figures; none without the benchmark."""
    if settings is None or not settings.summaries:
        return []
    return [TABLE, TRAINING, PLANE, YIELDS, PROFILE]
