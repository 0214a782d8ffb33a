"""Settings of how firmware is judged."""

from pydantic import Field, field_validator

from fullchain.model import SettingsModel


class EvaluationSettings(SettingsModel):
    """Numbers that `firmware evaluate` saves."""

    bootstraps: int = Field(
        100, ge=10, description="replicas of the bootstrap over events, for all uncertainties"
    )
    efficiencies: tuple[float, ...] = Field(
        (0.3, 0.5, 0.8),
        min_length=1,
        description="signal efficiencies at which the background rejection is given",
    )
    background: tuple[str, ...] = Field(
        ("q", "g"),
        min_length=1,
        description="classes that are the background of anomaly scores",
    )
    signals: tuple[str, ...] | None = Field(
        None,
        description="classes, and samples of no class, that are signals of anomaly scores; null: "
        "all but the background",
    )
    grid: int = Field(
        40, ge=5, description="signal efficiencies, equally spaced, at which ROC curves are saved"
    )

    @field_validator("efficiencies")
    @classmethod
    def _are_efficiencies(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < value < 1 for value in values) or len(set(values)) < len(values):
            raise ValueError("efficiencies must lie between 0 and 1, each once")
        return values
