"""Settings of what a trigger sees of a jet."""

import math
from typing import Literal, get_args

from pydantic import Field, model_validator

from fullchain.model import SettingsModel

Quantity = Literal[
    "pt", "pt_share", "deta", "dphi", "charge", "photon", "neutral_hadron", "electron", "muon"
]
Feature = Literal[
    "zlogz",
    "c1_b0",
    "c1_b1",
    "c1_b2",
    "c2_b1",
    "c2_b2",
    "d2_b1",
    "d2_b2",
    "d2_a1_b1",
    "d2_a1_b2",
    "m2_b1",
    "m2_b2",
    "n2_b1",
    "n2_b2",
    "mass_mmdt",
    "multiplicity",
]
FEATURES: tuple[Feature, ...] = get_args(Feature)
"""The 16 features, in the order of the columns of the published data set."""


class InputsSettings(SettingsModel):
    """Resolution of the candidates, and what is made of them.

    Steps and widths of words are those of candidates in the level-1 trigger of CMS for Phase 2:
    `pt_t`, `glbeta_t` and `Scales` in DataFormats/L1TParticleFlow of CMSSW.
    """

    candidates: int = Field(16, ge=1, le=256, description="leading candidates that are written")
    quantities: tuple[Quantity, ...] = Field(
        ("pt", "pt_share", "deta", "dphi"),
        min_length=1,
        description="of a candidate: pt [GeV], its share of the jet's candidates, angles to the "
        "axis, charge [e], and 1 or 0 for a type of particle",
    )
    pt_step: float = Field(0.25, gt=0, description="step of pT [GeV]")
    pt_bits: int = Field(14, ge=1, le=32, description="bits of pT; larger values saturate")
    angle_step: float = Field(
        math.pi / 720, gt=0, description="step of eta and phi, by default pi/720 [rad]"
    )
    angle_bits: int = Field(
        9,
        ge=2,
        le=32,
        description="bits, one of them the sign, of angles to the axis; larger ones saturate",
    )
    pt_min: float = Field(
        0.0, ge=0, description="candidates below are dropped, after rounding [GeV]"
    )
    charged_pt_min: float = Field(
        0.0, ge=0, description="charged candidates below are dropped, after rounding [GeV]"
    )
    features: tuple[Feature, ...] = Field(FEATURES, min_length=1, description="of the jet")
    resolution: Literal["coarse", "full"] = Field(
        "coarse", description="of the candidates that features are made of"
    )
    features_candidates: int | None = Field(
        None, ge=1, description="leading candidates that features are made of; null takes all"
    )
    groomed: bool = Field(
        True,
        description="make the correlators c1 to n2 of what the modified mass-drop tagger leaves, "
        "as the published data set does; else of all candidates",
    )
    z_cut: float = Field(0.1, gt=0, lt=0.5, description="z_cut of the modified mass-drop tagger")

    @model_validator(mode="after")
    def _each_once(self) -> "InputsSettings":
        for name in ("quantities", "features"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"{name}: one stands twice")
        return self
