"""Settings of the figures, and of the record for HEPData."""

from pydantic import Field

from fullchain.hepdata_settings import LicenceSettings
from fullchain.model import SettingsModel


class FigureSettings(SettingsModel):
    """What the figures show."""

    smallest_correlation: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="parameters without a correlation above this are left out of the matrix",
    )
    most_parameters: int = Field(
        20, ge=2, le=60, description="parameters in the matrix and in the ranking at most"
    )


class PublicationSettings(SettingsModel):
    """What the HEPData record of an analysis says beside the numbers."""

    title: str = Field(min_length=1, description="title of the record")
    abstract: str = Field(min_length=1, description="what was measured, in which events")
    energy: float = Field(13600.0, gt=0, description="centre-of-mass energy [GeV]")
    reactions: tuple[str, ...] = Field(
        ("P P --> TOP TOPBAR X",), description="keyword: reactions, in the notation of HEPData"
    )
    observables: tuple[str, ...] = Field(
        ("N",), description="keyword: what is tabulated, in the notation of HEPData; N: events"
    )
    phrases: tuple[str, ...] = Field(
        ("Proton-Proton Scattering", "Top", "Jet Production"),
        description="keyword: phrases of HEPData",
    )
    licence: LicenceSettings = Field(
        default_factory=LicenceSettings, description="terms of use of all tables"
    )


PUBLICATIONS = {
    "ttbar": PublicationSettings(
        title="Signal strength of boosted top pairs, from simulated pseudo-data",
        abstract="Soft-drop mass of a jet of radius 0.8 in events of which two, one or none of the "
        "two leading jets are accepted by a classifier of top quarks, with the signal strength of "
        "top-pair production and all nuisance parameters of the fit.",
    ),
    "zprime": PublicationSettings(
        title="Search for resonances that decay to top pairs, in simulated pseudo-data",
        abstract="Spectrum of boosted top candidates, and upper limits on the production of a "
        "narrow resonance Z' that decays to top pairs, with the likelihood of the search.",
        reactions=("P P --> Z-PRIME X", "Z-PRIME --> TOP TOPBAR"),
        phrases=("Proton-Proton Scattering", "Top", "Z-prime", "Jet Production"),
    ),
}
"""Records of the analyses of the default configuration."""
