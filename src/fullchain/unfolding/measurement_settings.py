"""Settings of what is unfolded: simulation, data, background, and how it is tested."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class StressSettings(SettingsModel):
    """A change of the particle level of pseudo-data, which a method must find."""

    observable: str = Field(description="observable whose spectrum is changed")
    slope: float = Field(
        0.5,
        description="weights are multiplied by exp(slope x), where x is the observable less its "
        "weighted mean, in standard deviations, and no less than -3 and no more than 3",
    )


class PartSettings(SettingsModel):
    """Events of one or several samples."""

    samples: tuple[str, ...] = Field(
        min_length=1,
        description="names of samples, toys or pairs; several samples are joined in the proportion "
        "of their cross sections, toys and pairs with the weights that they have",
    )
    half: Literal["all", "first", "second"] = Field(
        "all", description="all events, or one half, divided by a hash of their identity"
    )
    stress: StressSettings | None = Field(
        None, description="change of the particle level of pseudo-data; null: none"
    )


class AlternativeSettings(PartSettings):
    """Another simulation, which puts the model of the first to the test."""

    samples: tuple[str, ...] = Field(
        (),
        description="names of samples, toys or pairs, joined as those of the simulation; none: "
        "the events of the simulation (`half` is that of it, too), with another `stress`, which "
        "shows what depends on the prior",
    )

    @model_validator(mode="after")
    def _differs(self) -> "AlternativeSettings":
        if not self.samples and self.stress is None:
            raise ValueError(
                "without samples an alternative is the simulation itself: give samples, or the "
                "stress that changes its particle level"
            )
        if not self.samples and self.half != "all":
            raise ValueError("half: without samples it is that of the simulation; leave it out")
        return self


class BackgroundSettings(SettingsModel):
    """A simulated background in the data."""

    samples: tuple[str, ...] = Field(
        min_length=1,
        description="names of samples or toys; several samples are joined in the proportion of "
        "their cross sections",
    )
    expected: float = Field(
        gt=0, lt=1, description="expected part of the sum of weights of the data"
    )


class MeasurementSettings(SettingsModel):
    """One unfolding: what is unfolded with which simulation."""

    simulation: PartSettings = Field(description="simulated events, both levels")
    data: PartSettings = Field(description="data, or simulated events that take their place")
    background: BackgroundSettings | None = Field(
        None, description="simulated background, subtracted; null: none"
    )
    observables: tuple[str, ...] = Field(min_length=1, description="which ones are unfolded")
    methods: tuple[str, ...] | None = Field(
        None, description="names of methods; null: all that can take these observables"
    )
    kind: Literal["measurement", "closure", "stressed", "swap"] = Field(
        "measurement",
        description="what it is, for the report: the measurement; closure, where simulation and "
        "data are halves of one sample; stressed closure, where the data are also reweighted; "
        "swap, where the data are of another generator",
    )
    shifts: tuple[str, ...] = Field(
        (), description="shifts of the detector (names in jets.shifts) that are unfolded as well"
    )
    factors: tuple[str, ...] = Field(
        (), description="variations of the weight (isr_up, ...) that are unfolded as well"
    )
    alternatives: dict[str, AlternativeSettings] = Field(
        default_factory=dict,
        description="other simulations by name; what they change is the model's uncertainty",
    )

    @model_validator(mode="after")
    def _nothing_twice(self) -> "MeasurementSettings":
        for name in ("observables", "methods", "shifts", "factors"):
            values = getattr(self, name) or ()
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: a name stands twice")
        return self

    @model_validator(mode="after")
    def _no_event_on_both_sides(self) -> "MeasurementSettings":
        for where, part in self.simulations():
            shared = set(part.samples) & set(self.data.samples)
            if shared and {part.half, self.data.half} != {"first", "second"}:
                raise ValueError(
                    f"{where} and data are both of {', '.join(sorted(shared))}: give one the first "
                    "and the other the second half"
                )
        if self.background is not None and (
            shared := set(self.background.samples) & set(self.data.samples)
        ):
            raise ValueError(
                f"background and data are both of {', '.join(sorted(shared))}: the background is "
                "simulated by itself"
            )
        return self

    @model_validator(mode="after")
    def _no_sample_twice(self) -> "MeasurementSettings":
        parts: list[tuple[str, PartSettings | BackgroundSettings]] = [
            *self.simulations(),
            ("data", self.data),
        ]
        if self.background is not None:
            parts.append(("background", self.background))
        for where, part in parts:
            if len(set(part.samples)) < len(part.samples):
                raise ValueError(f"{where}.samples: a sample stands twice")
        return self

    @model_validator(mode="after")
    def _stressed_is_unfolded(self) -> "MeasurementSettings":
        for where, part in (*self.simulations(), ("data", self.data)):
            if part.stress is not None and part.stress.observable not in self.observables:
                without = "" if where in ("simulation", "data") else f", or set {where} to null"
                raise ValueError(
                    f"{where}.stress.observable: {part.stress.observable!r} is not among the "
                    f"observables of the measurement: take one of {', '.join(self.observables)}"
                    f"{without}"
                )
        return self

    def simulations(self) -> list[tuple[str, PartSettings]]:
        """Give the simulation and all others, each after the name of its setting."""
        return [
            ("simulation", self.simulation),
            *((f"alternatives.{name}", self.simulated(name)) for name in self.alternatives),
        ]

    def simulated(self, alternative: str | None) -> PartSettings:
        """Give the simulation, or the alternative of a name with the samples that it takes."""
        if alternative is None:
            return self.simulation
        chosen = self.alternatives[alternative]
        if chosen.samples:
            return chosen
        return self.simulation.model_copy(update={"stress": chosen.stress})
