"""Settings of upper limits and of toys."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel


class LimitSettings(SettingsModel):
    """Upper limits on the signal strength, for each hypothesis of an analysis."""

    level: float = Field(0.95, gt=0.5, lt=1, description="confidence level of the limits")
    statistic: Literal["qtilde", "q"] = Field(
        "qtilde",
        description="qtilde: signal strengths are not negative; q: they may be "
        "(Cowan et al., EPJ C 71 (2011) 1554)",
    )
    scan_points: int = Field(
        25, ge=2, description="signal strengths at which CLs is written for the figure"
    )
    toys: int = Field(
        200,
        ge=0,
        description="toys with and as many without signal, at each of the points with toys; 0: "
        "asymptotic limits alone",
    )
    toy_hypotheses: Literal["first", "all"] = Field(
        "first", description="signal hypotheses whose limits are also computed with toys"
    )
    toy_points: tuple[float, ...] = Field(
        (0.85, 1.0, 1.15, 1.3),
        min_length=2,
        description="signal strengths of the toys, relative to the asymptotic limits: the observed "
        "one and the median of the expected ones",
    )
    most_failed: float = Field(
        0.01, ge=0, lt=1, description="largest fraction of toys whose fits may not converge"
    )


class ToySettings(SettingsModel):
    """Repeated experiments: goodness of fit, coverage and pulls of the signal strength."""

    goodness: int = Field(
        500, ge=0, description="toys of the best fit, whose goodness of fit is compared; 0: none"
    )
    coverage: int = Field(
        2000, ge=0, description="toys that test the 68 % interval of the signal strength; 0: none"
    )
    mu: float = Field(1.0, description="true signal strength of the toys for the coverage")
    truth: Literal["nominal", "best_fit"] = Field(
        "nominal", description="true nuisance parameters of the toys for the coverage"
    )
    nuisances: Literal["fixed", "drawn"] = Field(
        "fixed",
        description="fixed: the truth is the same for all toys and auxiliary measurements scatter "
        "about it; drawn: each toy has a truth from the constraints, and nominal auxiliary "
        "measurements",
    )
    most_failed: float = Field(
        0.01, ge=0, lt=1, description="largest fraction of toys whose fits may not converge"
    )
