"""Names of the figures of the judgement of showers."""

from collections.abc import Iterable

SEPARATIONS = "evaluation_separations"
ENERGIES = "evaluation_energies"
POSITIONS = "evaluation_positions"
VOXELS = "evaluation_voxels"
MEAN_SHOWERS = "evaluation_mean_showers"
PHYSICS = "evaluation_physics"
DEVELOPMENT = "evaluation_development"
INTERPOLATION = "evaluation_interpolation"
CORRELATIONS = "evaluation_correlations"
FPD = "evaluation_fpd"

EACH = (
    SEPARATIONS, ENERGIES, POSITIONS, VOXELS, MEAN_SHOWERS, PHYSICS, DEVELOPMENT, INTERPOLATION,
    CORRELATIONS, FPD,
)  # fmt: skip


def name_of(figure: str, showers: str) -> str:
    """Give the name of a figure of a set of showers."""
    return f"{figure}_{showers}"


def evaluation_figure_names(showers: Iterable[str]) -> list[str]:
    """Give the names for the sets of showers that are looked at."""
    return [name_of(figure, name) for name in showers for figure in EACH]
