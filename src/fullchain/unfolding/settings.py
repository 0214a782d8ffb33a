"""Settings of the stage unfolding."""

import re
from collections.abc import Iterator

from pydantic import Field, model_validator

from fullchain.model import SettingsModel
from fullchain.unfolding.default_observables import default_observables
from fullchain.unfolding.evaluation_settings import CoverageSettings, EvaluationSettings
from fullchain.unfolding.measurement_settings import (
    AlternativeSettings,
    BackgroundSettings,
    MeasurementSettings,
    PartSettings,
    StressSettings,
)
from fullchain.unfolding.method_settings import MethodSettings, default_methods
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.pair_settings import PairSettings
from fullchain.unfolding.publication_settings import PublicationSettings
from fullchain.unfolding.selection_settings import SelectionSettings
from fullchain.unfolding.toy_settings import OBSERVABLE, ToySettings, default_toys

SIX = ("mass", "multiplicity", "width", "ln_rho", "tau21", "z_g")
"""Observables of the OmniFold paper."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

RESERVED = frozenset({"events", "coverage", "figures"})
"""Folders beside those of the measurements."""


def default_measurements() -> dict[str, MeasurementSettings]:
    """The measurement of Z + jet, its tests, and the case with known truth."""
    first = PartSettings(samples=("zmumu",), half="first")
    second = PartSettings(samples=("zmumu",), half="second")
    stress = StressSettings(observable="mass", slope=0.3)
    tests = ("ibu", "multifold")
    return {
        "zjet": MeasurementSettings(
            simulation=PartSettings(samples=("zmumu",)),
            data=PartSettings(samples=("zmumu_cp5",)),
            observables=SIX,
            kind="swap",
            methods=("ibu", "unifold", "multifold", "omnifold", "cinn", "flow_matching"),
            shifts=("jes_up", "jes_down", "jer_up", "jer_down", "track_efficiency_down"),
            factors=("fsr_up", "fsr_down"),
            # About as far from the simulation as CP5 is: 0.1 standard deviations of the mass.
            alternatives={
                "prior": AlternativeSettings(stress=StressSettings(observable="mass", slope=-0.1))
            },
        ),
        "closure": MeasurementSettings(
            simulation=first, data=second, observables=SIX, kind="closure", methods=tests
        ),
        "stressed": MeasurementSettings(
            simulation=first,
            data=second.model_copy(update={"stress": stress}),
            observables=SIX,
            kind="stressed",
            methods=tests,
        ),
        "gaussian": MeasurementSettings(
            simulation=PartSettings(samples=("gaussian",)),
            data=PartSettings(samples=("gaussian_data",)),
            background=BackgroundSettings(samples=("gaussian_background",), expected=0.1),
            observables=("x",),
            methods=("ibu_converged", "multifold", "cinn", "flow_matching"),
        ),
    }


class UnfoldingSettings(SettingsModel):
    """What is unfolded, with what, and how."""

    selection: SelectionSettings = Field(
        default_factory=SelectionSettings, description="events with a Z boson and a jet"
    )
    toys: dict[str, ToySettings] = Field(
        default_factory=default_toys, description="samples of the Gaussian case, by name"
    )
    pairs: dict[str, PairSettings] = Field(
        default_factory=dict,
        description="samples of jets of the stage jets with their particle level, by name",
    )
    observables: dict[str, ObservableSettings] = Field(
        default_factory=default_observables, description="observables by name"
    )
    methods: dict[str, MethodSettings] = Field(
        default_factory=default_methods, description="methods by name"
    )
    measurements: dict[str, MeasurementSettings] = Field(
        default_factory=default_measurements,
        min_length=1,
        description="what is unfolded, by name; samples are those of ntuples, toys or pairs",
    )
    evaluation: EvaluationSettings = Field(
        default_factory=EvaluationSettings, description="numbers of each result"
    )
    coverage: CoverageSettings | None = Field(
        default_factory=CoverageSettings,
        description="pulls over pseudo-experiments of the Gaussian case; null: none",
    )
    publication: PublicationSettings = Field(
        default_factory=PublicationSettings, description="tables for HEPData"
    )
    published: dict[str, tuple[str, ...]] = Field(
        {"zjet": ("ibu", "multifold")},
        description="measurements, and of each the methods whose spectra become HEPData records",
    )

    @model_validator(mode="after")
    def _names(self) -> "UnfoldingSettings":
        for section in ("toys", "pairs", "observables", "methods", "measurements"):
            for name in getattr(self, section):
                if not NAME.fullmatch(name):
                    raise ValueError(f"{section}: {name!r} must be letters, digits and _")
        for name in RESERVED & self.measurements.keys():
            raise ValueError(f"measurements: {name} is the name of a folder; call it otherwise")
        for name in self.toys.keys() & self.pairs.keys():
            raise ValueError(f"pairs: {name} is the name of a toy; call it something else")
        return self

    @model_validator(mode="after")
    def _references_exist(self) -> "UnfoldingSettings":
        for where, kind, name, known in self._references():
            if name not in known:
                raise ValueError(
                    f"{where}: no {kind} is called {name!r}; there are {', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _coverage_fits(self) -> "UnfoldingSettings":
        if self.coverage is None:
            return self
        for name in self.coverage.methods:
            method = self.methods[name]
            if getattr(method, "median_of", None) is not None:
                raise ValueError(
                    f"coverage.methods: {name} is told a median (median_of), which is the same in "
                    "all simulated events of the Gaussian case; take a method without it"
                )
            if method.kind == "omnifold" and method.inputs != "multifold":
                raise ValueError(
                    f"coverage.methods: {name} has the inputs {method.inputs}, which make no sense "
                    "for the one observable of the Gaussian case; take one with multifold"
                )
        if OBSERVABLE not in self.observables:
            raise ValueError(
                f"coverage: pseudo-experiments are of the observable {OBSERVABLE!r} of the "
                "Gaussian case, which is not in observables; give it again, or set coverage: null"
            )
        return self

    @model_validator(mode="after")
    def _events_have_what_is_asked_for(self) -> "UnfoldingSettings":
        made = self.selection.shifts
        for name, chosen in self.measurements.items():
            where, own = f"measurements.{name}", {*self.toys, *self.pairs}
            if own & set(chosen.simulation.samples):
                for kind, there in (("shifts", chosen.shifts), ("factors", chosen.factors)):
                    if there:
                        raise ValueError(
                            f"{where}.{kind}: toys and pairs have no {kind}; take none"
                        )
            for shift in chosen.shifts:
                if made is not None and shift not in made:
                    raise ValueError(f"{where}.shifts: {shift} is not in selection.shifts")
            for method in self.methods_of(name):
                if self.needs_particles(method) and not self.selection.particles:
                    raise ValueError(
                        f"{where}.methods: {method} takes particles, and selection.particles is "
                        "false"
                    )
        return self

    @model_validator(mode="after")
    def _methods_fit(self) -> "UnfoldingSettings":
        for name, chosen in self.measurements.items():
            own = {*self.toys, *self.pairs}
            for method in chosen.methods or ():
                if self.needs_particles(method) and own & set(samples_of(chosen)):
                    raise ValueError(
                        f"measurements.{name}.methods: {method} takes the particles of jets, which "
                        "toys and pairs do not have"
                    )
        return self

    @model_validator(mode="after")
    def _medians_can_be_told(self) -> "UnfoldingSettings":
        for name, chosen in self.measurements.items():
            for method in chosen.methods or ():
                if problem := self._without_median(chosen, method):
                    raise ValueError(f"measurements.{name}.methods: {method}: {problem}")
        return self

    def _without_median(self, chosen: MeasurementSettings, method: str) -> str | None:
        """Say why the median that a method is told is none in a measurement; None: it is."""
        how = self.methods[method]
        wanted = getattr(how, "median_of", None)
        if wanted is None:
            return None
        if wanted not in chosen.observables:
            return f"median_of: {wanted} is not unfolded here ({', '.join(chosen.observables)})"
        for where, part in chosen.simulations():
            if len(set(part.samples)) < 2:
                return f"median_of: {where} is of one sample; give samples that differ in it"
        if chosen.shifts and getattr(how, "variations", False):
            return (
                "median_of: the medians of the simulation are those of the nominal detector "
                "level; set variations: false, or leave the shifts of the measurement out"
            )
        return None

    def _references(self) -> Iterator[tuple[str, str, str, list[str]]]:
        observables, methods = list(self.observables), list(self.methods)
        for name, chosen in self.measurements.items():
            where = f"measurements.{name}"
            for one in chosen.observables:
                yield f"{where}.observables", "observable", one, observables
            for one in chosen.methods or ():
                yield f"{where}.methods", "method", one, methods
        for name, method in self.methods.items():
            if wanted := getattr(method, "median_of", None):
                yield f"methods.{name}.median_of", "observable", wanted, observables
        for name, taken in self.published.items():
            yield "published", "measurement", name, list(self.measurements)
            for one in taken:
                yield f"published.{name}", "method", one, self.methods_of(name)
        if self.coverage is not None:
            for one in self.coverage.methods:
                yield "coverage.methods", "method", one, methods
            for one in self.coverage.of_method:
                yield "coverage.of_method", "covered method", one, list(self.coverage.methods)

    def needs_particles(self, method: str) -> bool:
        """Whether a method takes the particles of jets."""
        return getattr(self.methods[method], "inputs", None) == "particles"

    def methods_of(self, measurement: str) -> list[str]:
        """Names of the methods of a measurement."""
        chosen = self.measurements[measurement]
        if chosen.methods is not None:
            return list(chosen.methods)
        own = {*self.toys, *self.pairs} & set(samples_of(chosen))
        return [
            name
            for name in self.methods
            if not (own and self.needs_particles(name))
            and self._without_median(self.measurements[measurement], name) is None
        ]

    @property
    def samples(self) -> tuple[str, ...]:
        """Samples of the ntuples whose events are unfolded, each once."""
        names = [name for one in self.measurements.values() for name in samples_of(one)]
        own = {*self.toys, *self.pairs}
        return tuple(dict.fromkeys(name for name in names if name not in own))


def samples_of(measurement: MeasurementSettings) -> tuple[str, ...]:
    """Names of all samples of a measurement, each once."""
    names = [*measurement.simulation.samples, *measurement.data.samples]
    if measurement.background is not None:
        names += measurement.background.samples
    for part in measurement.alternatives.values():
        names += part.samples
    return tuple(dict.fromkeys(names))
