"""Settings of the association of tracks with vertices, which all methods share."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel


class AssociationSettings(SettingsModel):
    """Which tracks belong to the leading vertex.

    CMS asks the fits of the vertices first (CMSSW, CommonTools/PileupAlgos/plugins/PuppiProducer).
    In its tune v15 tracks fitted to one of the two next vertices are of the leading one with |dz|
    below 0.2 cm, because hard vertices split; here that holds for all other vertices.
    """

    loose_tracks: Literal["nearest", "dz", "free"] = Field(
        "dz",
        description="tracks used in the fit of no vertex: of the nearest one, by |dz|, or weighed "
        "like neutral candidates",
    )
    dz_max: float = Field(
        0.2, gt=0, description="largest |dz| to the leading vertex of its tracks, if dz [cm]"
    )
    dz_eta_min: float = Field(
        0.0, ge=0, description="tracks below this |eta| are weighed like neutral ones, if dz"
    )
    fitted_dz_max: float = Field(
        0.2,
        ge=0,
        description="tracks used in the fit of another vertex are of the leading one below this "
        "|dz| to it [cm]; 0: never",
    )
    protected_track_pt: float = Field(
        20.0,
        ge=0,
        description="tracks are of the leading vertex from this pT on, whatever was fitted [GeV]; "
        "0: no such rule",
    )
