"""Settings of the measurement of decorrelated classifiers."""

from pydantic import Field

from fullchain.model import SettingsModel


class EvaluationSettings(SettingsModel):
    """What is measured of each classifier."""

    signal_efficiency: float = Field(
        0.5, gt=0, lt=1, description="working point of rejection and of 1/JSD"
    )
    mass_bins: int = Field(50, ge=2, description="bins of the mass in the divergence")
    replicas: int = Field(100, ge=20, description="bootstrap replicas behind each uncertainty")
