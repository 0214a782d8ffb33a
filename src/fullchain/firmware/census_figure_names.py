"""Names of the figures of what the trigger sees."""

FEATURES = "inputs_features"


def census_figure_names() -> list[str]:
    """Give the names of all figures of the census."""
    return [FEATURES]
