"""Settings of the observables that are unfolded."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class ObservableSettings(SettingsModel):
    """An observable: how it is named, binned, and prepared for a network."""

    label: str = Field(description="name on axes, with $maths$")
    unit: str = Field("", description="unit on axes; empty for a pure number")
    low: float = Field(description="lower edge of the first bin")
    high: float = Field(description="upper edge of the last bin")
    bins: int = Field(
        50, ge=2, description="equal bins from low to high in which methods are compared"
    )
    edges: tuple[float, ...] | None = Field(
        None,
        min_length=3,
        description="edges of the bins in which spectra are unfolded and published; null: "
        "quarters of the number of equal bins, at least ten",
    )
    kind: Literal["continuous", "integer", "groomed"] = Field(
        "continuous",
        description="integer: generative methods smear it by a uniform number of width one; "
        "groomed: values below the cut of soft drop stand for a jet without two branches",
    )

    @model_validator(mode="after")
    def _rising(self) -> "ObservableSettings":
        if not self.low < self.high:
            raise ValueError(f"low must be below high, not {self.low:g} and {self.high:g}")
        if self.edges and any(a >= b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must rise")
        return self
