"""Settings of the measurement of sampling times."""

from pydantic import Field

from fullchain.model import SettingsModel


class TimingSettings(SettingsModel):
    """Batches, and how often each is drawn."""

    batches: list[int] = Field(
        [1, 100, 1000, 10000], min_length=1, description="showers that are drawn at once"
    )
    repeats: int = Field(7, ge=2, description="measurements at each batch size at most")
    showers: int = Field(
        20, ge=1, description="showers in one measurement at least: small batches are repeated"
    )
    limit_s: float = Field(
        3.0,
        gt=0,
        description="CPU time for each batch size, as foreseen from the one before [s]; it lowers "
        "the number of measurements, and a size with less than two is left out and named",
    )
    threads: int = Field(1, ge=1, description="CPU threads of the networks")
