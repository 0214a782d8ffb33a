"""Settings of the measurement of what a tagger costs."""

from pydantic import Field

from fullchain.model import SettingsModel


class CostSettings(SettingsModel):
    """How the rate and the memory of inference are measured, on the CPU."""

    batch_sizes: tuple[int, ...] = Field(
        (1, 100, 1000), min_length=1, description="jets at once, at each of which the rate is given"
    )
    seconds: float = Field(
        0.2, gt=0, description="time to repeat each measurement for [s]; at least three are made"
    )
    repeats: int = Field(200, ge=3, description="repeats of each measurement at most")
    threads: int = Field(1, ge=1, description="CPU threads of torch and of onnxruntime")
    flop_jets: int = Field(
        100, ge=1, description="jets over which the operations of a jet are averaged"
    )
