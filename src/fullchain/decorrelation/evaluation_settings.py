"""Settings of the measurement of decorrelated classifiers."""

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class MassFitSettings(SettingsModel):
    """Fits of a signal in the mass of jets that pass a cut: what decorrelation is for."""

    luminosity: float = Field(
        1.0, gt=0, description="integrated luminosity that the fits are expected for [1/fb]"
    )
    expected: dict[str, float] | None = Field(
        None,
        description="jets of each class that are expected in the window before the cut, by class, "
        "where there are no cross sections; null: cross section x luminosity x the part of the "
        "generated weights that is in the window",
    )
    bins: int = Field(25, ge=5, description="bins of the mass, over its window")
    largest_order: int = Field(
        4, ge=0, le=8, description="fits are made with transfer factors of orders 0 to this"
    )
    order: int | None = Field(
        None,
        ge=0,
        description="order that is quoted; null: the lowest that describes the expected background",
    )
    level: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="level of the likelihood-ratio tests by which orders are chosen, of the fit "
        "and of the expected background",
    )
    truth_order: int = Field(
        8,
        ge=1,
        le=12,
        description="largest order of the polynomials that smooth the expected background: "
        "logarithm of its mass spectrum, and logit of its efficiency",
    )
    least_jets: int = Field(
        20, ge=2, description="simulated background jets that have to pass a cut for fits after it"
    )
    toys: int = Field(200, ge=10, description="background-only toys for the spurious signal")
    replicas: int = Field(
        40, ge=10, description="bootstrap replicas behind the uncertainties of expected fits"
    )

    @model_validator(mode="after")
    def _values_fit(self) -> "MassFitSettings":
        if self.order is not None and self.order > self.largest_order:
            raise ValueError(f"order ({self.order}) is above largest_order ({self.largest_order})")
        most = max(self.largest_order, self.truth_order)
        if self.bins < most + 3:
            raise ValueError(f"bins ({self.bins}): at least {most + 3} for polynomials of {most}")
        for name, number in (self.expected or {}).items():
            if not number > 0:
                raise ValueError(f"expected.{name}: a number of jets above zero, not {number:g}")
        return self


class EvaluationSettings(SettingsModel):
    """What is measured of each classifier."""

    signal_efficiency: float = Field(
        0.5, gt=0, lt=1, description="working point of rejection and of 1/JSD"
    )
    working_points: tuple[float, ...] = Field(
        (0.3, 0.5, 0.7),
        min_length=1,
        description="signal efficiencies at which shapes, sculpting and fits are given, beside "
        "signal_efficiency",
    )
    mass_bins: int = Field(50, ge=2, description="bins of the mass in the divergence")
    shape_bins: int = Field(25, ge=2, description="bins of the mass in figures of shapes")
    efficiency_bins: int = Field(
        10, ge=2, description="bins of equal occupancy in which efficiencies are compared"
    )
    replicas: int = Field(100, ge=20, description="bootstrap replicas behind each uncertainty")
    random_cuts: int = Field(
        200,
        ge=50,
        description="random cuts of the same size: what the divergence is of jets that a cut takes "
        "whatever their mass",
    )
    mass_fit: MassFitSettings | None = Field(
        default_factory=MassFitSettings, description="fits of a signal in the mass; null for none"
    )

    @model_validator(mode="after")
    def _efficiencies(self) -> "EvaluationSettings":
        for point in self.working_points:
            if not 0 < point < 1:
                raise ValueError(f"a working point is a signal efficiency in (0, 1), not {point}")
        return self

    @property
    def points(self) -> tuple[float, ...]:
        """All working points, rising."""
        return tuple(sorted({*self.working_points, self.signal_efficiency}))
