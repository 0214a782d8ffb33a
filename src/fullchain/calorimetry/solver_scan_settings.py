"""Settings of the comparison of solvers."""

from pydantic import Field

from fullchain.calorimetry.matching_settings import Solver, SolverSettings
from fullchain.model import SettingsModel


class SolverScanSettings(SettingsModel):
    """Quality and time of flow matching against the evaluations of its velocity."""

    evaluations: dict[Solver, list[int]] = Field(
        {
            "euler": [4, 8, 16],
            "midpoint": [4, 8, 16],
            "rk4": [4, 8, 16],
        },
        description="evaluations of each method with equal steps",
    )
    tolerances: list[float] = Field([1e-2], description="of dopri5")
    reference: SolverSettings = Field(
        SolverSettings(method="rk4", evaluations=64), description="what counts as exact"
    )
    showers: int = Field(
        1000, ge=10, description="test showers whose energies are taken, from the first"
    )
    batch: int = Field(500, ge=1, description="showers at once")
    bootstraps: int = Field(50, ge=2, description="samples for uncertainties")
    threads: int = Field(1, ge=1, description="CPU threads")
