"""Settings of events that are made of jets."""

from pydantic import Field

from fullchain.model import SettingsModel


class PairSettings(SettingsModel):
    """Which jets become events for unfolding."""

    sample: str = Field(description="name of the sample")
    label: int | None = Field(
        5,
        ge=-1,
        le=6,
        description="truth label of the jets (5 top, 3 W, see the stage jets); null: all",
    )
    fully_contained: bool = Field(True, description="only jets with all quarks of the decay")
