"""Settings of solvers of few steps that are fitted to a flow matching model."""

from typing import Literal

from pydantic import Field

from fullchain.calorimetry.matching_settings import MatchingSettings, SolverSettings
from fullchain.calorimetry.model_base_settings import ModelBaseSettings
from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel


class BespokeSolverSettings(SettingsModel):
    """One solver."""

    steps: int = Field(4, ge=1, description="steps")
    base: Literal["euler", "midpoint"] = Field(
        "midpoint", description="method of a step: euler, 1 evaluation, or midpoint, 2"
    )


class BespokeSettings(ModelBaseSettings):
    """Bespoke solvers (2310.19075) of a flow matching model, which itself does not change."""

    kind: Literal["bespoke"] = Field("bespoke", description="the model")
    teacher: str = Field(
        "matching", description="model of calorimetry.models, of kind matching, that is solved"
    )
    energies: BespokeSolverSettings = Field(
        BespokeSolverSettings(steps=4), description="solver of the ratios"
    )
    shower: BespokeSolverSettings = Field(
        BespokeSolverSettings(steps=3), description="solver of the voxels"
    )
    rows: int = Field(
        1000, ge=1, description="training showers that solutions are found for (or all, if fewer)"
    )
    reference: SolverSettings = Field(
        SolverSettings(method="rk4", evaluations=64), description="how the solutions are found"
    )
    training: TrainingSettings = Field(
        TrainingSettings(
            epochs=12, batch_size=100, learning_rate=2e-2, schedule="cosine", patience=1000
        ),
        description="fit of both solvers",
    )
    velocity: MatchingSettings | None = Field(
        None, description="the model whose velocity is followed; filled in by the fit"
    )
