"""Settings of fits, impacts and likelihood scans."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel


class FitSettings(SettingsModel):
    """The best fit."""

    minos: Literal["none", "poi", "all"] = Field(
        "poi",
        description="asymmetric errors from the profile likelihood (MINOS) for no parameter, the "
        "parameter of interest, or all",
    )
    at_limit: Literal["error", "report"] = Field(
        "error",
        description="a nuisance parameter at the limit of its range: an error, or only reported",
    )


class ImpactSettings(SettingsModel):
    """Impacts of nuisance parameters on the parameter of interest."""

    dataset: Literal["data", "asimov"] = Field(
        "data", description="what is fitted; a blind analysis always takes the expectation"
    )
    refit: bool = Field(
        True,
        description="fit again with each parameter held one standard deviation off; false: only "
        "impacts from the covariance, which cost nothing",
    )
    prefit: bool = Field(
        True, description="also with the parameter held off by its uncertainty before the fit"
    )


class ScanSettings(SettingsModel):
    """Scans of the profile likelihood."""

    parameters: list[str] = Field(
        [], description="parameters that are scanned besides the parameter of interest"
    )
    points: int = Field(31, ge=3, description="points of a scan")
    reach: float = Field(
        3.0, gt=0, description="distance from the best fit, in standard deviations"
    )
    contours: list[tuple[str, str]] = Field(
        [], description="pairs of parameters whose joint likelihood is scanned"
    )
    contour_points: int = Field(21, ge=3, description="points along each side of a joint scan")


class ResultsSettings(SettingsModel):
    """What is made of a statistical model."""

    fit: FitSettings = Field(default_factory=FitSettings, description="the best fit")
    impacts: ImpactSettings = Field(
        default_factory=ImpactSettings, description="impacts of nuisance parameters"
    )
    scan: ScanSettings = Field(
        default_factory=ScanSettings, description="scans of the profile likelihood"
    )
