"""Settings of systematic uncertainties, and of the building of the statistical model."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel

Smoothing = Literal["none", "353qh"]
Symmetrise = Literal["none", "mirror", "average", "max"]

SOURCES = ("shift", "weight", "sample", "value")
ALLOWED_SOURCES = {"normsys": SOURCES, "histosys": ("shift", "weight", "sample")}
GROUP_OF_SOURCE = {
    "shift": "detector",
    "weight": "theory",
    "sample": "theory",
    "value": "normalisation",
}
GROUP_OF_KIND = {
    "lumi": "luminosity",
    "staterror": "MC statistics",
    "normfactor": "normalisation",
    "shapefactor": "normalisation",
}
STATISTICAL = "statistical"
"""The group that is not made of nuisance parameters: the spread of the data."""


class Systematic(SettingsModel):
    """One systematic uncertainty: a kind of modifier, one source, the processes it acts on."""

    kind: Literal["normsys", "histosys", "lumi", "staterror", "normfactor", "shapefactor"] = Field(
        description="normsys: the yield of each region; histosys: yield and shape; lumi: the "
        "luminosity; staterror: limited simulation, per bin; normfactor: a free normalisation; "
        "shapefactor: a free factor on each bin, common to its regions"
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
    regions: list[str] = Field([], description="regions that it acts on; empty: all")
    group: str | None = Field(
        None,
        description="its group among the impacts; null: detector for a shift, theory for a weight "
        "or an alternative sample, normalisation for a value or a free factor, MC statistics for "
        "staterror, luminosity for lumi",
    )
    smoothing: Smoothing | None = Field(
        None,
        description="smoothing of the change of shape; null: model.smoothing for shifts and "
        "alternative samples, none for weights",
    )
    symmetrise: Symmetrise | None = Field(
        None, description="how up and down are made symmetric; null: model.symmetrise"
    )

    @model_validator(mode="after")
    def _one_source(self) -> "Systematic":
        allowed = ALLOWED_SOURCES.get(self.kind, ())
        given = [name for name in SOURCES if getattr(self, name) is not None]
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

    @model_validator(mode="after")
    def _treatment(self) -> "Systematic":
        if self.smoothing == "353qh" and self.kind != "histosys":
            raise ValueError(f"smoothing acts on the shape of a histosys; this is a {self.kind}")
        varied = self.kind in ALLOWED_SOURCES and self.value is None
        if self.symmetrise is not None and not varied:
            raise ValueError("symmetrise acts on varied templates, and this line has none")
        if self.group == STATISTICAL:
            raise ValueError(
                f"the group {STATISTICAL!r} is what the data alone leave; take another name"
            )
        return self

    @property
    def source(self) -> str | None:
        """Which source it has: ``shift``, ``weight``, ``sample``, ``value``, or None."""
        return next((name for name in SOURCES if getattr(self, name) is not None), None)

    @property
    def group_name(self) -> str:
        """Its group among the impacts."""
        if self.group is not None:
            return self.group
        return GROUP_OF_SOURCE[self.source] if self.source else GROUP_OF_KIND[self.kind]

    def acts_on(self, region: str, process: str) -> bool:
        """Whether it changes a process in a region."""
        return (not self.regions or region in self.regions) and (
            not self.samples or process in self.samples
        )


class Model(SettingsModel):
    """Choices in the building of the statistical model."""

    poi: str = Field("mu", description="name of the signal strength")
    poi_range: tuple[float, float] = Field(
        (-50.0, 50.0), description="range in which the signal strength is fitted"
    )
    smoothing: Smoothing = Field(
        "353qh",
        description="smoothing of changes of shape by shifts and alternative samples: none, or "
        "353QH twice (J. Friedman, CERN 74-23), of the ratio to the nominal shape",
    )
    smoothing_p_value: float = Field(
        0.01,
        ge=0,
        le=1,
        description="keep a shape as it is where limited simulation explains what the smoothing "
        "would take away with less than this probability",
    )
    symmetrise: Symmetrise = Field(
        "average",
        description="none: a side that is missing is the nominal one; mirror: it is the other "
        "side, reflected; average, max: besides, where up and down go the same way, the mean of "
        "both or the larger of them, and its reflection",
    )
    prune_normalisation: float = Field(
        0.0005, ge=0, description="drop a change of a yield by less than this fraction"
    )
    prune_shape: float = Field(
        0.005, ge=0, description="drop a change of a shape by less than this fraction in all bins"
    )
    prune_normalisation_p_value: float = Field(
        1.0,
        gt=0,
        le=1,
        description="drop a change of a yield that limited simulation would make with a larger "
        "probability than this; 1: keep it",
    )
    prune_shape_p_value: float = Field(
        0.32,
        gt=0,
        le=1,
        description="drop a change of a shape that limited simulation would make with a larger "
        "probability than this; 1: keep it",
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
        description="process without a jet in a region: an error, or leave it out of the region "
        "(a signal must remain in one)",
    )
    on_negative: Literal["error", "clip"] = Field(
        "error",
        description="bin with a negative yield: an error, or set it to zero at the same yield of "
        "the region",
    )
    on_missing: Literal["error", "drop"] = Field(
        "error",
        description="process without the templates that a systematic asks for: an error, or leave "
        "the systematic out for this process",
    )
    on_no_effect: Literal["error", "drop"] = Field(
        "error",
        description="systematic whose templates equal the nominal ones everywhere: an error, or "
        "leave it out",
    )
    on_same_side: Literal["note", "error"] = Field(
        "note",
        description="yield or shape that moves the same way up and down: a note in model.json, or "
        "an error",
    )


def default_systematics() -> dict[str, Systematic]:
    """Systematic uncertainties of the default analyses, by name."""
    return {
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
    }
