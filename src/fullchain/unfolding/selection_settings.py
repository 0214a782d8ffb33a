"""Settings of which events are unfolded, and how their jets are measured."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class DimuonSettings(SettingsModel):
    """The two muons of the Z boson, found and cut alike at both levels."""

    dressing_radius: float = Field(
        0.1,
        ge=0,
        lt=0.4,
        description="photons within this distance of a muon are added to it and belong to the Z; "
        "0: bare muons",
    )
    muon_pt_min: float = Field(20.0, gt=0, description="least pT of each muon [GeV]")
    muon_abs_eta_max: float = Field(2.4, gt=0, description="largest |eta| of each muon")
    mass_min: float = Field(71.0, ge=0, description="least mass of the two muons [GeV]")
    mass_max: float = Field(111.0, gt=0, description="largest mass of the two muons [GeV]")
    pt_min: float = Field(200.0, ge=0, description="least pT of the two muons together [GeV]")

    @model_validator(mode="after")
    def _ordered(self) -> "DimuonSettings":
        if self.mass_max <= self.mass_min:
            raise ValueError(
                f"mass_max ({self.mass_max:g}) must be larger than mass_min ({self.mass_min:g})"
            )
        return self


class LeadingJetSettings(SettingsModel):
    """The anti-kT jet of highest pT that passes the cuts, found and measured alike at both levels.

    The muons of the Z and the photons added to them are no part of what is clustered.
    """

    radius: float = Field(0.4, gt=0, le=1.5, description="radius of the anti-kT jets")
    pt_min: float = Field(50.0, gt=0, description="least pT [GeV]")
    abs_eta_max: float = Field(2.1, gt=0, description="largest |eta|")
    muon_distance: float = Field(
        0.4, ge=0, description="least distance in eta and phi of both muons from the axis of a jet"
    )
    soft_drop_z_cut: float = Field(0.1, gt=0, lt=0.5, description="z_cut of soft drop")
    soft_drop_beta: float = Field(0.0, description="beta of soft drop")
    ln_rho_floor: float = Field(
        -14.0,
        lt=0,
        description="value of ln rho where it is lower, and where soft drop leaves one particle",
    )
    subjettiness_axes: Literal["one_pass_kt", "kt"] = Field(
        "one_pass_kt",
        description="axes of N-subjettiness: exclusive kT, with or without one minimisation",
    )


class SelectionSettings(SettingsModel):
    """Z + jet events: two muons and the leading jet, with the same cuts at both levels."""

    dimuon: DimuonSettings = Field(DimuonSettings(), description="the Z boson")
    jet: LeadingJetSettings = Field(LeadingJetSettings(), description="the jet that is measured")
    shifts: tuple[str, ...] | None = Field(
        None,
        description="shifts of the detector (names in jets.shifts) under which the detector level "
        "is selected and measured again; null: all of them, []: none",
    )
    particles: bool = Field(
        True, description="whether the particles of the jets are kept, for full-particle OmniFold"
    )

    @model_validator(mode="after")
    def _nothing_twice(self) -> "SelectionSettings":
        if self.shifts is not None and len(set(self.shifts)) < len(self.shifts):
            raise ValueError("shifts: a name stands twice")
        return self
