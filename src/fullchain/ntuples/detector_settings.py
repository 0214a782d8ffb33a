"""Settings of the parametric detector; where the numbers come from stands with the algorithms."""

from pydantic import Field

from fullchain.model import SettingsModel
from fullchain.ntuples.electromagnetic_settings import ElectromagneticResponse, ResolutionResponse


class TrackerSettings(SettingsModel):
    """Efficiency and resolution of tracks; defaults resemble the CMS tracker."""

    field: float = Field(3.8, gt=0, description="solenoid field [T]")
    pt_min: float = Field(0.16, ge=0, description="lowest pT of a track at eta = 0 [GeV]")
    efficiency_barrel: float = Field(
        0.93, ge=0, le=1, description="efficiency for hadrons, |eta| < 1.5, high pT"
    )
    efficiency_endcap: float = Field(
        0.90, ge=0, le=1, description="efficiency for hadrons, 1.5 < |eta| < 2.5, high pT"
    )
    efficiency_edge: float = Field(
        0.38, ge=0, le=1, description="efficiency for hadrons, 2.5 < |eta| < 3, high pT"
    )
    turn_on: float = Field(
        0.30, gt=0, description="pT at which half the plateau is reached at eta = 0 [GeV]"
    )
    turn_on_power: float = Field(3.3, gt=0, description="steepness of the turn-on in pT")
    turn_on_fall: float = Field(
        0.20, ge=0, description="power of 1/cosh(eta) with which pt_min and turn_on fall"
    )
    efficiency_electron: float = Field(0.92, ge=0, le=1, description="for electrons, over hadrons'")
    efficiency_muon: float = Field(0.99, ge=0, le=1, description="for muons, |eta| < 2.5")
    displacement: float = Field(
        50.0, gt=0, description="radius of production at which the efficiency has fallen to 0 [cm]"
    )
    d0_constant: float = Field(13e-4, ge=0, description="resolution of d0 at high pT [cm]")
    d0_scattering: float = Field(68e-4, ge=0, description="resolution of d0 at 1 GeV [cm]")
    dz_constant: float = Field(22e-4, ge=0, description="resolution of dz at high pT [cm]")
    dz_scattering: float = Field(75e-4, ge=0, description="resolution of dz at 1 GeV [cm]")


class CalorimeterSettings(SettingsModel):
    """Granularity, resolution and thresholds of calorimeter clusters."""

    radius: float = Field(129.0, gt=0, description="inner radius of the barrel [cm]")
    half_length: float = Field(317.0, gt=0, description="distance of the endcaps from z = 0 [cm]")
    ecal_cell: float = Field(
        0.035, gt=0, description="separation of photons in eta and phi, |eta| < 3 (two crystals)"
    )
    hcal_cell_barrel: float = Field(0.087, gt=0, description="tower size, |eta| < 1.5")
    hcal_cell_endcap: float = Field(0.174, gt=0, description="tower size, 1.5 < |eta| < 2.5")
    hcal_cell_edge: float = Field(0.41, gt=0, description="size of clusters, 2.5 < |eta| < 3")
    forward_cell: float = Field(0.175, gt=0, description="tower size, 3 < |eta| < 5.2")
    ecal_stochastic: float = Field(0.028, ge=0, description="photon resolution, stochastic term")
    ecal_noise: float = Field(0.12, ge=0, description="photon resolution, noise term [GeV]")
    ecal_constant: float = Field(0.007, ge=0, description="photon resolution, constant term")
    hcal_stochastic: float = Field(1.10, ge=0, description="hadron resolution, stochastic term")
    hcal_constant: float = Field(0.09, ge=0, description="hadron resolution, constant term")
    hcal_relative_max: float = Field(
        0.5, gt=0, description="largest relative resolution of hadrons, |eta| < 3"
    )
    forward_em_stochastic: float = Field(1.4, ge=0, description="HF, electromagnetic, stochastic")
    forward_em_constant: float = Field(0.09, ge=0, description="HF, electromagnetic, constant")
    forward_had_stochastic: float = Field(1.8, ge=0, description="HF, hadronic, stochastic")
    forward_had_constant: float = Field(0.11, ge=0, description="HF, hadronic, constant")
    hadron_response_energy: float = Field(
        2.0, ge=0, description="energy below which the response to hadrons falls [GeV]; 0: never"
    )
    hcal_response_edge: float = Field(
        0.9, gt=0, description="visible part of a hadron's energy, 2.5 < |eta| < 3"
    )
    ecal_threshold_barrel: float = Field(
        0.18, ge=0, description="lowest raw energy of a photon, |eta| < 1.5 [GeV]"
    )
    ecal_threshold_endcap: float = Field(
        0.50, ge=0, description="lowest raw energy of a photon, 1.5 < |eta| < 2.5 [GeV]"
    )
    ecal_threshold_edge: float = Field(
        3.3, ge=0, description="lowest raw energy of a photon, 2.5 < |eta| < 3 [GeV]"
    )
    soft_photon_efficiency: float = Field(
        0.5, ge=0, le=1, description="part of the softest photons that is seen, |eta| < 1.5"
    )
    soft_photon_energy_barrel: float = Field(
        2.0, gt=0, description="energy above which photons are seen, |eta| < 1.5 [GeV]"
    )
    soft_photon_energy_endcap: float = Field(
        6.5, gt=0, description="energy above which photons are seen, 1.5 < |eta| < 3 [GeV]"
    )
    hcal_threshold_barrel: float = Field(
        0.66, gt=0, description="lowest raw energy of a neutral hadron, |eta| < 1.8 [GeV]"
    )
    hcal_threshold_endcap: float = Field(
        5.0, gt=0, description="lowest energy of a neutral hadron, 2.1 < |eta| < 3 [GeV]"
    )
    threshold_bias: float = Field(
        1.15,
        ge=0,
        description="energy that is added in quadrature to that of photons and hadrons, "
        "|eta| < 3, in units of the threshold",
    )
    threshold_width: float = Field(
        0.6,
        ge=0,
        description="energy over which hadrons of 1.8 < |eta| < 3 and HF become visible above the "
        "threshold, in units of the threshold",
    )
    forward_response: float = Field(
        0.80, gt=0, description="visible part of the energy in HF (not calibrated)"
    )
    forward_em_efficiency: float = Field(
        0.35,
        ge=0,
        le=1,
        description="HF, |eta| > 4: part of electromagnetic clusters that are told from hadrons",
    )
    forward_em_threshold: float = Field(
        1.4, ge=0, description="HF, lowest energy of the electromagnetic part [GeV]"
    )
    forward_had_threshold: float = Field(
        3.5, ge=0, description="HF, lowest energy of the hadronic part [GeV]"
    )
    excess_significance: float = Field(
        1.6,
        ge=0,
        description="excess of calorimeter over tracks that makes a neutral candidate, in "
        "standard deviations of the calorimeter",
    )
    ecal_angle: float = Field(0.004, ge=0, description="angular resolution of photons [rad]")
    hcal_angle: float = Field(0.020, ge=0, description="angular resolution of hadrons [rad]")
    electromagnetic: ElectromagneticResponse = Field(
        ResolutionResponse(),
        description="photons and electrons of |eta| < 3: resolution (a formula), parameterised or "
        "model (showers that spread over crystals)",
    )


class VertexSettings(SettingsModel):
    """Reconstruction of interaction vertices and association of tracks."""

    min_tracks: int = Field(2, ge=1, description="fewest tracks of a reconstructed vertex")
    track_pt_min: float = Field(0.4, ge=0, description="lowest pT of tracks of a vertex [GeV]")
    merging_distance: float = Field(
        0.03, ge=0, description="vertices closer than this are one vertex [cm]"
    )
    fit_significance: float = Field(
        4.0, gt=0, description="|dz|, |d0| of tracks of a vertex fit, in standard deviations"
    )
    fit_floor: float = Field(0.01, ge=0, description="vertex resolution added to that of dz [cm]")


class DetectorSettings(SettingsModel):
    """Parametric detector that resembles CMS."""

    tracker: TrackerSettings = Field(TrackerSettings(), description="tracks")
    calorimeter: CalorimeterSettings = Field(CalorimeterSettings(), description="clusters")
    vertices: VertexSettings = Field(VertexSettings(), description="vertices")
