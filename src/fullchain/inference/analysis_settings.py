"""Settings of one analysis: templates, systematic uncertainties, statistical model."""

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from fullchain.inference.hypothesis_settings import Hypothesis
from fullchain.inference.selection_settings import Selection
from fullchain.inference.systematic_settings import Model, Systematic, default_systematics
from fullchain.model import SettingsModel


class Sample(SettingsModel):
    """A process of the fit."""

    ntuples: list[str] = Field(min_length=1, description="ntuple samples that make up the process")
    role: Literal["signal", "background"] = Field(
        "background", description="signal: scaled by the signal strength"
    )
    cross_section_pb: float | None = Field(
        None, gt=0, description="cross section [pb]; null: that of the generator"
    )

    @model_validator(mode="after")
    def _one_cross_section(self) -> "Sample":
        if self.cross_section_pb is not None and len(self.ntuples) > 1:
            raise ValueError(
                "cross_section_pb replaces that of one ntuple sample; this process has "
                f"{len(self.ntuples)}: give it to the ntuple samples instead"
            )
        return self


class Luminosity(SettingsModel):
    """Integrated luminosity of the data, or of the data to be imitated."""

    value: float = Field(0.1, gt=0, description="integrated luminosity [1/fb]")
    uncertainty: float = Field(0.014, gt=0, lt=1, description="its relative uncertainty")


class Data(SettingsModel):
    """What is fitted."""

    kind: Literal["asimov", "pseudo", "sample"] = Field(
        "pseudo",
        description="asimov: the expectation; pseudo: Poisson numbers around it; sample: the "
        "jets of an ntuple sample, unweighted",
    )
    mu: float = Field(1.0, description="signal strength that is put in (asimov, pseudo)")
    nuisances: Literal["drawn", "nominal"] = Field(
        "drawn",
        description="drawn: the true nuisance parameters are drawn from their constraints, so that "
        "the fit scatters by all uncertainties; nominal: all are at their nominal values (pseudo)",
    )
    sample: str | None = Field(None, description="ntuple sample that holds the data (sample)")

    @model_validator(mode="after")
    def _sample_is_named(self) -> "Data":
        if (self.kind == "sample") != (self.sample is not None):
            raise ValueError("kind: sample needs the name of a sample, and no other kind takes one")
        return self


class Analysis(SettingsModel):
    """One measurement or search: templates, statistical model and data."""

    tagger: str = Field(
        "bdt",
        description="tagger, or decorrelated classifier such as disco_30, whose score is cut",
    )
    selection: Selection = Field(default_factory=Selection, description="what is histogrammed")
    samples: dict[str, Sample] = Field(
        {
            # A hypothesis that the luminosity of the generated QCD jets can tell from none at all;
            # a signal strength of one means this cross section.
            "zprime": Sample(ntuples=["zprime"], role="signal", cross_section_pb=50.0),
            "tt": Sample(ntuples=["tt"]),
            "qcd": Sample(ntuples=["qcd"]),
            "wjet": Sample(ntuples=["wjet"]),
        },
        description="processes of the fit by name",
    )
    hypotheses: dict[str, Hypothesis] = Field(
        {},
        description="signals by name, each in the place of the signal process: what limits are "
        "set on; empty: the signal itself",
    )
    luminosity: Luminosity = Field(
        default_factory=Luminosity, description="integrated luminosity and its uncertainty"
    )
    systematics: dict[str, Systematic] = Field(
        default_factory=default_systematics,
        description="systematic uncertainties by name, one line each",
    )
    blind: bool = Field(
        False,
        description="fit the expectation in the place of the data, which are not even read, until "
        "this is set to false",
    )
    data: Data = Field(default_factory=Data, description="what is fitted")
    model: Model = Field(default_factory=Model, description="building of the statistical model")

    @model_validator(mode="after")
    def _names(self) -> "Analysis":
        if not any(sample.role == "signal" for sample in self.samples.values()):
            raise ValueError("samples: one process must have the role signal")
        if self.model.poi in self.systematics:
            raise ValueError(f"systematics.{self.model.poi}: this is the signal strength's name")
        low, high = self.model.poi_range
        if not low <= 0 < 1 <= high:
            raise ValueError("model.poi_range: the range must include 0 and 1")
        for name, systematic in self.systematics.items():
            if (systematic.kind == "lumi") != (name == "lumi"):
                raise ValueError(
                    f"systematics.{name}: HistFactory knows one luminosity, with the name lumi "
                    "and the kind lumi"
                )
            # A step that builds the model is not given the selection, and checks against its bins.
            regions = self.selection.regions if "selection" in self.model_fields_set else None
            for region in systematic.regions:
                if regions is not None and region not in regions:
                    known = ", ".join(self.selection.regions)
                    raise ValueError(
                        f"systematics.{name}.regions: no region is called {region!r}; known are "
                        f"{known}"
                    )
            for process in systematic.samples:
                if process not in self.samples:
                    known = ", ".join(self.samples)
                    raise ValueError(
                        f"systematics.{name}.samples: no process is called {process!r}; "
                        f"known are {known}"
                    )
            if systematic.sample and len(self.samples[systematic.samples[0]].ntuples) > 1:
                raise ValueError(
                    f"systematics.{name}.sample: the process {systematic.samples[0]} has several "
                    "ntuple samples, so that one alternative sample cannot replace it"
                )
        return self

    @model_validator(mode="after")
    def _data_of_their_own(self) -> "Analysis":
        simulated = {name for place, name in self.sample_references() if place != "data.sample"}
        if self.data.sample in simulated:
            raise ValueError(
                f"data.sample: {self.data.sample!r} is also simulation (a process, hypothesis, "
                "alternative, or the sample of the working point); data are a sample of their own"
            )
        return self

    @model_validator(mode="after")
    def _hypotheses(self) -> "Analysis":
        if not self.hypotheses:
            return self
        signals = [name for name, sample in self.samples.items() if sample.role == "signal"]
        if len(signals) > 1:
            raise ValueError(
                "hypotheses: they stand in the place of the one signal process, but "
                f"{', '.join(signals)} are signals"
            )
        masses: dict[float, str] = {}
        for name, one in self.hypotheses.items():
            if not re.fullmatch(r"[a-zA-Z0-9_]+", name):
                raise ValueError(
                    f"hypotheses.{name}: names of patches have letters, digits and underscores only"
                )
            other = masses.setdefault(one.mass, name)
            if other != name:
                raise ValueError(
                    f"hypotheses.{name}.mass: {other} has the mass {one.mass:g} GeV, too"
                )
        for name, line in self.systematics.items():
            if line.sample and line.samples == signals:
                raise ValueError(
                    f"systematics.{name}.sample: one alternative sample of {signals[0]} cannot "
                    "replace each of the hypotheses; use a weight, a shift or a value"
                )
        return self

    @property
    def fitted(self) -> Data:
        """The data that are fitted: if blind, the expectation for the signal of the settings."""
        return Data(kind="asimov", mu=self.data.mu) if self.blind else self.data

    def recorded_data(self) -> str | None:
        """Name of the ntuple sample that is taken as data, if one is."""
        return self.fitted.sample

    def sample_references(self) -> Iterator[tuple[str, str]]:
        """Give the path of each setting that names an ntuple sample that is read, and the name."""
        for process, sample in self.samples.items():
            # The hypotheses stand in the place of the signal.
            for name in () if self.hypotheses and sample.role == "signal" else sample.ntuples:
                yield f"samples.{process}.ntuples", name
        for label, one in self.hypotheses.items():
            for name in one.ntuples:
                yield f"hypotheses.{label}.ntuples", name
        for label, line in self.systematics.items():
            if line.sample:
                yield f"systematics.{label}.sample", line.sample
        yield "selection.working_point.sample", self.selection.working_point.sample
        if recorded := self.recorded_data():
            yield "data.sample", recorded

    def ntuple_samples(self) -> list[str]:
        """All ntuple samples that the templates need, without repetition, in order of use."""
        return list(dict.fromkeys(name for _, name in self.sample_references()))
