"""Settings of the comparison of solvers."""

from typing import Self

from pydantic import Field, model_validator

from fullchain.calorimetry.matching_settings import Solver, SolverSettings
from fullchain.learning.equal_steps import EVALUATIONS_OF_STEP
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

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        for method, several in self.evaluations.items():
            if method not in EVALUATIONS_OF_STEP:
                raise ValueError(
                    f"evaluations: {method} chooses its steps; it is scanned by tolerances"
                )
            if any(number < EVALUATIONS_OF_STEP[method] for number in several):
                raise ValueError(
                    f"evaluations: a step of {method} takes {EVALUATIONS_OF_STEP[method]}"
                )
        return self

    @model_validator(mode="after")
    def _reference_is_finer(self) -> Self:
        most = max((max(several, default=0) for several in self.evaluations.values()), default=0)
        own = self.reference
        if own.method in EVALUATIONS_OF_STEP and own.evaluations <= most:
            raise ValueError(
                f"reference: {own.evaluations} evaluations count as exact, and {most} are compared "
                "with them; give the reference more"
            )
        return self
