"""Settings of the test vectors."""

from pydantic import Field

from fullchain.model import SettingsModel


class StimuliSettings(SettingsModel):
    """Vectors beside the jets of the test part, all of which are taken."""

    random: int = Field(
        100_000, ge=0, description="vectors drawn uniformly from all values of the inputs"
    )
    extreme: int = Field(2000, ge=2, description="vectors of lowest and highest inputs only")
