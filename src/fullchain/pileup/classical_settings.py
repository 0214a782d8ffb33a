"""Settings of the classical methods, and of how methods are compared."""

from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel
from fullchain.pileup.association_settings import AssociationSettings


class RegionSettings(SettingsModel):
    """PUPPI in one range of |eta|."""

    abs_eta_min: float = Field(ge=0, description="least |eta|, included")
    abs_eta_max: float = Field(gt=0, le=10, description="largest |eta|, excluded")
    neighbours: Literal["charged", "all"] = Field(
        description="alpha sums over tracks of the leading vertex, or over all candidates"
    )
    neutral_pt: float = Field(
        ge=0, description="least weighted pT of a neutral candidate with no vertex [GeV]"
    )
    neutral_pt_slope: float = Field(ge=0, description="what each vertex adds to it [GeV]")
    median_factor: float = Field(1.0, gt=0, description="factor on the median of alpha")
    rms_factor: float = Field(1.0, gt=0, description="factor on the spread of alpha")
    rms_pt_min: float = Field(
        0.1, ge=0, description="least pT of a track that enters median and spread [GeV]"
    )

    @model_validator(mode="after")
    def _ordered(self) -> "RegionSettings":
        if self.abs_eta_max <= self.abs_eta_min:
            raise ValueError(
                f"abs_eta_max ({self.abs_eta_max}) must be larger than abs_eta_min "
                f"({self.abs_eta_min})"
            )
        return self


def _default_regions() -> tuple[RegionSettings, ...]:
    """Ranges as in CMS; the cuts are tuned to our detector, see docs/stages/pileup.md."""
    return (
        RegionSettings(
            abs_eta_min=0.0,
            abs_eta_max=2.5,
            neighbours="charged",
            neutral_pt=0.05,
            neutral_pt_slope=0.01,
        ),
        RegionSettings(
            abs_eta_min=2.5,
            abs_eta_max=3.0,
            neighbours="all",
            neutral_pt=1.7,
            neutral_pt_slope=0.04,
            rms_pt_min=0.5,
        ),
        RegionSettings(
            abs_eta_min=3.0,
            abs_eta_max=10.0,
            neighbours="all",
            neutral_pt=2.0,
            neutral_pt_slope=0.04,
            rms_pt_min=0.5,
        ),
    )


class PuppiSettings(SettingsModel):
    """PUPPI, arXiv:1407.6013."""

    metric: Literal["pt_over_dr", "pt_over_dr_squared"] = Field(
        "pt_over_dr",
        description="what alpha sums: pT / dR as published, or (pT / dR)^2 as CMS and Delphes do",
    )
    cone: float = Field(0.4, ge=0.05, le=1, description="largest distance of a neighbour, R0")
    inner_cone: float = Field(
        0.01, gt=0, lt=0.5, description="least distance of a neighbour, Rmin; leaves out itself"
    )
    weight_cut: float = Field(0.01, ge=0, lt=1, description="smaller weights are 0")
    median_abs_eta_max: float = Field(
        2.0, gt=0, description="tracks within this |eta| give median and spread for all regions"
    )
    low_pileup_correction: bool = Field(
        False,
        description="shift median and spread where tracks of the leading vertex lie below the "
        "median, as CMS does",
    )
    protected_pt_start: float = Field(
        20.0, ge=0, description="pT from which the weight of a neutral candidate has a floor [GeV]"
    )
    protected_pt: float = Field(
        200.0, ge=0, description="pT from which that floor is 1 [GeV]; 0: no floor"
    )
    regions: tuple[RegionSettings, ...] = Field(
        default_factory=_default_regions,
        min_length=1,
        description="ranges of |eta|; candidates outside of all have weight 0",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "PuppiSettings":
        if self.inner_cone >= self.cone:
            raise ValueError(
                f"inner_cone ({self.inner_cone}) must be smaller than cone ({self.cone})"
            )
        if 0 < self.protected_pt <= self.protected_pt_start:
            raise ValueError(
                f"protected_pt ({self.protected_pt}) must be larger than protected_pt_start "
                f"({self.protected_pt_start}), or 0"
            )
        ordered = sorted(self.regions, key=lambda region: region.abs_eta_min)
        for low, high in pairwise(ordered):
            if high.abs_eta_min < low.abs_eta_max:
                raise ValueError(
                    f"regions overlap: one ends at |eta| {low.abs_eta_max}, the next begins at "
                    f"{high.abs_eta_min}"
                )
        return self


CMS_PUPPI = PuppiSettings(
    metric="pt_over_dr_squared",
    low_pileup_correction=True,
    protected_pt_start=0.0,
    regions=(
        RegionSettings(
            abs_eta_min=0.0,
            abs_eta_max=2.5,
            neighbours="charged",
            neutral_pt=0.2,
            neutral_pt_slope=0.015,
        ),
        RegionSettings(
            abs_eta_min=2.5,
            abs_eta_max=3.0,
            neighbours="all",
            neutral_pt=1.7,
            neutral_pt_slope=0.08,
            median_factor=0.9,
            rms_factor=1.2,
            rms_pt_min=0.5,
        ),
        RegionSettings(
            abs_eta_min=3.0,
            abs_eta_max=10.0,
            neighbours="all",
            neutral_pt=2.0,
            neutral_pt_slope=0.08,
            median_factor=0.75,
            rms_factor=0.95,
            rms_pt_min=0.5,
        ),
    ),
)
"""PUPPI of CMS in Run 2 (CMSSW, CommonTools/PileupAlgos/python/Puppi_cff.py, release 10_6)."""


class SoftKillerSettings(SettingsModel):
    """SoftKiller, arXiv:1407.0408."""

    patch_size: float = Field(0.4, ge=0.05, le=2, description="side of a patch in eta and phi")
    abs_eta_edges: tuple[float, ...] = Field(
        (0.0, 2.5, 5.0),
        min_length=2,
        description="edges of the bands of |eta|; each band has its own pT cut. (0, 5) is as "
        "published",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "SoftKillerSettings":
        edges = self.abs_eta_edges
        if edges[0] != 0 or any(b <= a for a, b in pairwise(edges)):
            raise ValueError(f"abs_eta_edges must grow from 0, not {list(edges)}")
        return self


class ClassicalSettings(SettingsModel):
    """Methods without training, and what they have in common."""

    association: AssociationSettings = Field(
        default_factory=AssociationSettings, description="tracks and vertices"
    )
    puppi: PuppiSettings = Field(default_factory=PuppiSettings, description="PUPPI")
    softkiller: SoftKillerSettings = Field(
        default_factory=SoftKillerSettings, description="SoftKiller"
    )


class EvaluationSettings(SettingsModel):
    """How the methods are compared."""

    samples: tuple[str, ...] | None = Field(
        None,
        description="generated samples to compare the methods on; null: all with pile-up",
    )
    max_events: int = Field(600, ge=10, description="events of each sample that are looked at")
    leading_jets: Literal["AK8", "AK4"] = Field(
        "AK8",
        description="jets whose pT, mass and shapes are compared, anti-kT with R = 0.8 or 0.4: the "
        "two leading particle-level ones",
    )
    jet_pt_min: float = Field(400.0, gt=0, description="least pT of these jets [GeV]")
    jet_abs_eta_max: float = Field(2.0, gt=0, description="their largest |eta|")
    n95_pixel: float = Field(
        0.1, gt=0, description="side of the pixels in eta and phi that N95 counts"
    )
    correlation_beta: float = Field(
        4.0, gt=0, description="exponent of the angles in ECF2 and ECF3"
    )
    baseline: Literal["none", "chs"] = Field(
        "none", description="method whose resolution others are compared with (gain)"
    )
    small_jet_pt_min: float = Field(
        30.0, ge=15, description="least pT of the particle-level AK4 jets [GeV]"
    )
    central_abs_eta: float = Field(
        2.5, gt=0, description="|eta| that parts central from forward candidates and jets"
    )
    forward_abs_eta: float = Field(4.7, gt=0, description="largest |eta| of forward AK4 jets")
    met_pt_min: float = Field(
        50.0, gt=0, description="least true missing pT of events that give its response [GeV]"
    )
    interactions: tuple[float, ...] = Field(
        (0, 1, 10, 30, 40, 45, 50, 55, 60, 70, 95, 125, 135, 145, 160, 200),
        min_length=2,
        description="edges of the bins in the number of pile-up interactions",
    )
    min_entries: int = Field(25, ge=5, description="bins with fewer entries give no number")
    replicas: int = Field(100, ge=20, description="bootstrap replicas behind each uncertainty")


class ComparisonSettings(SettingsModel):
    """PUPPI against the weights that a file has."""

    samples: tuple[str, ...] = Field(
        (), description="ingested samples with stored PUPPI weights (CMS PFNano)"
    )
    max_events: int = Field(1000, ge=1, description="events of each sample that are looked at")
    jet_pt_min: float = Field(200.0, gt=0, description="least pT of the AK8 jets [GeV]")
    puppi: PuppiSettings = Field(
        default_factory=lambda: CMS_PUPPI, description="PUPPI as the file was made with"
    )
