"""Settings of the regions of an analysis: which events enter, and what is histogrammed."""

import itertools
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fullchain.inference.observable_names import DIJET_MASS, SCORE
from fullchain.model import SettingsModel

Edges = Annotated[tuple[float, ...], Field(min_length=2)]
Outside = Literal["fold", "discard", "error"]


class WorkingPoint(SettingsModel):
    """Where the score is cut: a jet above the cut is tagged."""

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
    """A channel of the fit: events, each with one entry."""

    jets: Literal["leading", "dijet"] = Field(
        "leading",
        description="jets that an event is looked at with: leading, its jet of highest pT in the "
        "window; dijet, its two jets of highest pT in the window",
    )
    score: Literal["pass", "fail", "any"] = Field(
        "any", description="side of the score cut on which the leading jet lies"
    )
    tagged: tuple[Annotated[int, Field(ge=0, le=2)], ...] = Field(
        (),
        description="numbers of tagged jets, out of the two, that are allowed (dijet); empty: any",
    )
    pt_min: float = Field(500.0, ge=0, description="lowest pT of each jet [GeV]")
    pt_max: float = Field(700.0, gt=0, description="highest pT of each jet [GeV]")
    leading_pt_min: float | None = Field(
        None, gt=0, description="lowest pT of the leading jet [GeV]; null: as of each jet"
    )
    delta_eta_max: float | None = Field(
        None, gt=0, description="largest |eta| difference of the two jets (dijet); null: any"
    )
    mass_window: tuple[float, float] | None = Field(
        None, description="lowest and highest soft-drop mass of each jet [GeV]; null: any"
    )
    observable: str = Field(
        "msoftdrop",
        description="what is histogrammed: a column of the jets; score, that of the tagger; "
        "dijet_mass, the mass of the two jets [GeV]",
    )
    observed_jet: Literal["leading", "highest_score"] = Field(
        "leading",
        description="jet whose column or score is histogrammed; highest_score: of the two the one "
        "that the tagger likes best, which is the tagged one where one is (dijet)",
    )
    edges: Edges = Field(
        (0.0, 105.0, 145.0, 205.0, 260.0), description="bin edges of the observable, in its unit"
    )

    @property
    def is_dijet(self) -> bool:
        """Whether an event needs two jets."""
        return self.jets == "dijet"

    @model_validator(mode="after")
    def _ordered(self) -> "Region":
        if self.pt_min >= self.pt_max:
            raise ValueError("pt_min must be below pt_max")
        if self.leading_pt_min is not None and not (
            self.pt_min <= self.leading_pt_min < self.pt_max
        ):
            raise ValueError("leading_pt_min must lie between pt_min and pt_max")
        if self.mass_window is not None and self.mass_window[0] >= self.mass_window[1]:
            raise ValueError("mass_window: the lowest mass must be below the highest")
        if any(low >= high for low, high in itertools.pairwise(self.edges)):
            raise ValueError("edges must increase")
        return self

    @model_validator(mode="after")
    def _two_jets_for_what_needs_them(self) -> "Region":
        if self.is_dijet:
            return self
        needing = {
            "tagged": bool(self.tagged),
            "delta_eta_max": self.delta_eta_max is not None,
            "observed_jet: highest_score": self.observed_jet == "highest_score",
            f"observable: {DIJET_MASS}": self.observable == DIJET_MASS,
        }
        for name, asked in needing.items():
            if asked:
                raise ValueError(f"{name} needs two jets; take jets: dijet")
        return self


class Selection(SettingsModel):
    """What is filled into the templates."""

    working_point: WorkingPoint = Field(
        default_factory=WorkingPoint, description="cut on the tagger's score"
    )
    underflow: Outside = Field(
        "fold",
        description="events below the first edge: fold them into the first bin, discard them, or "
        "make them an error",
    )
    overflow: Outside = Field(
        "fold",
        description="events above the last edge: fold them into the last bin, discard them, or "
        "make them an error",
    )
    regions: dict[str, Region] = Field(
        {
            "pass": Region(score="pass"),
            "fail": Region(score="fail", edges=(0.0, 20.0, 40.0, 60.0, 80.0, 105.0, 145.0, 220.0)),
        },
        min_length=1,
        description="channels of the fit by name",
    )

    def columns(self) -> list[str]:
        """Columns of the jets that the regions need beside those of every template."""
        found: list[str] = []
        for region in self.regions.values():
            if region.observable == DIJET_MASS:
                found += ["eta", "phi", "mass"]
            elif region.observable != SCORE:
                found.append(region.observable)
            if region.delta_eta_max is not None:
                found.append("eta")
            if region.mass_window is not None:
                found.append("msoftdrop")
        return list(dict.fromkeys(found))
