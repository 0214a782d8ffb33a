"""Settings of the statistical inference."""

import itertools
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel

Edges = Annotated[tuple[float, ...], Field(min_length=2)]
Outside = Literal["fold", "discard", "error"]


class WorkingPoint(SettingsModel):
    """Where the score is cut."""

    sample: str = Field("qcd", description="ntuple sample on whose validation jets the cut is set")
    labels: list[int] = Field(
        [],
        description="truth labels of the jets that count (0 gluon, 1 light quark, 2 b, 3 W, 4 Z, "
        "5 top, 6 Higgs); empty: all jets",
    )
    efficiency: float = Field(
        0.05, gt=0, lt=1, description="fraction of these jets that is to pass the cut"
    )


class Region(SettingsModel):
    """A channel of the fit."""

    score: Literal["pass", "fail", "any"] = Field(
        "any", description="side of the score cut on which the jets lie"
    )
    pt_min: float = Field(500.0, ge=0, description="lowest jet pT [GeV]")
    pt_max: float = Field(700.0, gt=0, description="highest jet pT [GeV]")
    edges: Edges = Field(
        (0.0, 105.0, 145.0, 205.0, 260.0), description="bin edges of the observable, in its unit"
    )

    @model_validator(mode="after")
    def _ordered(self) -> "Region":
        if self.pt_min >= self.pt_max:
            raise ValueError("pt_min must be below pt_max")
        if any(low >= high for low, high in itertools.pairwise(self.edges)):
            raise ValueError("edges must increase")
        return self


class Selection(SettingsModel):
    """What is filled into the templates."""

    working_point: WorkingPoint = Field(
        default_factory=WorkingPoint, description="cut on the tagger's score"
    )
    observable: str = Field(
        "msoftdrop", description="column of the jets that is histogrammed, or score: the tagger's"
    )
    jets: Literal["leading", "all"] = Field(
        "leading",
        description="leading: the selected jet of highest pT of each event, so that entries are "
        "independent; all: every selected jet",
    )
    underflow: Outside = Field(
        "fold",
        description="jets below the first edge: fold them into the first bin, discard them, or "
        "make them an error",
    )
    overflow: Outside = Field(
        "fold",
        description="jets above the last edge: fold them into the last bin, discard them, or make "
        "them an error",
    )
    regions: dict[str, Region] = Field(
        {
            "pass": Region(score="pass"),
            "fail": Region(score="fail", edges=(0.0, 20.0, 40.0, 60.0, 80.0, 105.0, 145.0, 220.0)),
        },
        min_length=1,
        description="channels of the fit by name",
    )


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


class Systematic(SettingsModel):
    """One systematic uncertainty: a kind of modifier, one source, the processes it acts on."""

    kind: Literal["normsys", "histosys", "lumi", "staterror", "normfactor"] = Field(
        description="normsys: the yield of each region; histosys: yield and shape; lumi: the "
        "luminosity; staterror: limited simulation, per bin; normfactor: a free normalisation"
    )
    shift: str | None = Field(
        None, description="source: a shift of the jets (their variations <shift>_up, <shift>_down)"
    )
    weight: str | None = Field(
        None, description="source: an event weight (columns w_<weight>_up, w_<weight>_down)"
    )
    sample: str | None = Field(
        None, description="source: an alternative ntuple sample in the place of the nominal one"
    )
    value: float | None = Field(
        None, gt=0, description="source: a relative uncertainty (log-normal: 1+value, 1/(1+value))"
    )
    samples: list[str] = Field([], description="processes that it acts on; empty: all")

    @model_validator(mode="after")
    def _one_source(self) -> "Systematic":
        allowed = {
            "normsys": ("shift", "weight", "sample", "value"),
            "histosys": ("shift", "weight", "sample"),
        }.get(self.kind, ())
        sources = ("shift", "weight", "sample", "value")
        given = [name for name in sources if getattr(self, name) is not None]
        if not allowed and given:
            raise ValueError(f"{self.kind} takes no source, but {' and '.join(given)} is given")
        if allowed and (len(given) != 1 or given[0] not in allowed):
            raise ValueError(
                f"{self.kind} takes exactly one source out of {', '.join(allowed)}; given: "
                f"{', '.join(given) or 'none'}"
            )
        if self.sample is not None and len(self.samples) != 1:
            raise ValueError("an alternative sample stands for one process; name it in samples")
        return self


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


class Model(SettingsModel):
    """Choices in the building of the statistical model."""

    poi: str = Field("mu", description="name of the signal strength")
    poi_range: tuple[float, float] = Field(
        (-50.0, 50.0), description="range in which the signal strength is fitted"
    )
    prune_normalisation: float = Field(
        0.0005, ge=0, description="drop a change of a yield by less than this fraction"
    )
    prune_shape: float = Field(
        0.005, ge=0, description="drop a change of a shape by less than this fraction in all bins"
    )
    largest_simulation_error: float = Field(
        0.4,
        gt=0,
        description="merge bins until limited simulation leaves each with at most this error, "
        "relative to the expected background; a background without a jet counts with the weight of "
        "one",
    )
    on_empty: Literal["error", "drop"] = Field(
        "error",
        description="background without a jet in a region: an error, or leave it out of the region",
    )


class InferenceSettings(SettingsModel):
    """Templates, statistical model and fit."""

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
    luminosity: Luminosity = Field(
        default_factory=Luminosity, description="integrated luminosity and its uncertainty"
    )
    systematics: dict[str, Systematic] = Field(
        {
            "lumi": Systematic(kind="lumi"),
            "mc_statistics": Systematic(kind="staterror"),
            "qcd_normalisation": Systematic(kind="normsys", value=0.2, samples=["qcd"]),
            "wjet_normalisation": Systematic(kind="normsys", value=0.1, samples=["wjet"]),
            "jes": Systematic(kind="histosys", shift="jes"),
            "jer": Systematic(kind="histosys", shift="jer"),
            "track_efficiency": Systematic(kind="histosys", shift="track_efficiency"),
            "isr": Systematic(kind="histosys", weight="isr", samples=["tt", "qcd"]),
            "fsr": Systematic(kind="histosys", weight="fsr", samples=["tt", "qcd"]),
            "tt_tune": Systematic(kind="normsys", sample="tt_a14", samples=["tt"]),
            "qcd_tune": Systematic(kind="normsys", sample="qcd_a14", samples=["qcd"]),
        },
        description="systematic uncertainties by name, one line each",
    )
    data: Data = Field(default_factory=Data, description="what is fitted")
    model: Model = Field(default_factory=Model, description="building of the statistical model")

    @model_validator(mode="after")
    def _names(self) -> "InferenceSettings":
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

    def recorded_data(self) -> str | None:
        """Name of the ntuple sample that is taken as data, if one is."""
        return self.data.sample

    def ntuple_samples(self) -> list[str]:
        """All ntuple samples that the templates need, without repetition, in order of use."""
        names = [name for sample in self.samples.values() for name in sample.ntuples]
        names += [line.sample for line in self.systematics.values() if line.sample]
        names.append(self.selection.working_point.sample)
        names += [self.data.sample] if self.data.sample else []
        return list(dict.fromkeys(names))
