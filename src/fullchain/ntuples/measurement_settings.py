"""Settings of the numbers that the stage ntuples reports."""

from pydantic import Field

from fullchain.model import SettingsModel


class MeasurementSettings(SettingsModel):
    """How densities of candidates are measured."""

    max_events: int = Field(
        2000, ge=10, description="events of each sample that are looked at, from its beginning"
    )
    jet_radius: float = Field(
        1.2, gt=0, description="candidates closer to one of the two leading AK8 jets are left out"
    )
