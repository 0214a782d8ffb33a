"""Settings of how generated showers are judged."""

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class FrechetSettings(SettingsModel):
    """FPD: distance of the moments of features, extrapolated to infinite samples."""

    smallest: int = Field(20_000, ge=20, description="least number of showers in a sample")
    largest: int = Field(50_000, ge=40, description="largest number of showers in a sample")
    points: int = Field(10, ge=3, description="sizes, equally spaced in the inverse")
    repetitions: int = Field(20, ge=2, description="random samples of each size")

    @model_validator(mode="after")
    def _rising(self) -> "FrechetSettings":
        if self.largest < 2 * self.smallest:
            raise ValueError("largest must be at least twice smallest, or no line can be drawn")
        return self


class EvaluationSettings(SettingsModel):
    """Numbers that `calorimetry evaluate` saves."""

    bootstraps: int = Field(50, ge=10, description="bootstrap samples of showers, for errors")
    slices: int = Field(
        6, ge=2, description="slices of a continuous spectrum of energies, equal in number"
    )
    least: int = Field(
        100, ge=20, description="showers that an energy must have on each side to be looked at"
    )
    frechet: FrechetSettings = Field(
        FrechetSettings(), description="Frechet distance of high-level features (FPD)"
    )
    kernel_batches: int = Field(10, ge=2, description="separate batches of KPD")
    kernel_size: int = Field(5000, ge=20, description="showers in a batch of KPD at most")
    neighbours: int = Field(
        5, ge=1, description="neighbours of precision, recall, density, coverage"
    )
    coverage_size: int = Field(
        2000,
        ge=20,
        description="showers in a subsample of precision, recall, density and coverage at most; "
        "they depend on it",
    )
    coverage_repetitions: int = Field(5, ge=2, description="separate subsamples of these")
