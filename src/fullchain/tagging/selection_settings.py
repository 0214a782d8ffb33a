"""Settings of the jets that taggers are trained and measured on."""

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class SelectionSettings(SettingsModel):
    """Which jets a tagger is trained and measured on. All jets get a score."""

    pt_min: float = Field(500.0, ge=0, description="lowest jet pT [GeV]")
    pt_max: float = Field(700.0, gt=0, description="highest jet pT [GeV]")
    abs_eta_max: float = Field(2.0, gt=0, description="largest |eta| of the jet")
    ranges: dict[str, tuple[float, float]] = Field(
        default_factory=dict,
        description="ranges of further columns of the jets, such as msoftdrop: [50.0, 300.0]; a "
        "jet where the column is no number is outside",
    )

    @model_validator(mode="after")
    def _window(self) -> "SelectionSettings":
        if self.pt_min >= self.pt_max:
            raise ValueError(f"pt_min ({self.pt_min}) must be below pt_max ({self.pt_max})")
        for name, (low, high) in self.ranges.items():
            if not low < high:
                raise ValueError(f"ranges.{name}: {low:g} must be below {high:g}")
        return self
