"""Settings of the record for HEPData."""

from pydantic import Field

from fullchain.hepdata_settings import LicenceSettings
from fullchain.model import SettingsModel


class PublicationSettings(SettingsModel):
    """What a HEPData record says beside the numbers."""

    title: str = Field(
        "Substructure of jets in Z + jet events, unfolded from simulated pseudo-data",
        min_length=1,
        description="title of the record",
    )
    abstract: str = Field(
        "Spectra of the mass, multiplicity, width, groomed mass, N-subjettiness ratio and groomed "
        "momentum fraction of the leading jet of radius 0.4 in events with a Z boson of pT "
        "above 200 GeV that decays to muons, at particle level. Uncertainties are given by source, "
        "with their correlation between bins and between observables.",
        min_length=1,
        description="what was measured, in which fiducial volume",
    )
    pseudo_data: bool = Field(
        True,
        description="whether the data are simulated events in place of data; every table then says "
        "that it is not a measurement",
    )
    energy: float = Field(13600.0, gt=0, description="centre-of-mass energy [GeV]")
    reactions: tuple[str, ...] = Field(
        ("P P --> Z0 JET X",), description="keyword: reactions, in the notation of HEPData"
    )
    observables: tuple[str, ...] = Field(
        ("N",), description="keyword: what is tabulated, in the notation of HEPData; N: events"
    )
    phrases: tuple[str, ...] = Field(
        ("Proton-Proton Scattering", "Z Production", "Jet Production"),
        description="keyword: phrases of HEPData",
    )
    luminosity: float | None = Field(
        None,
        gt=0,
        description="integrated luminosity [1/fb], stated with each table; null: the data are "
        "simulated events, whose number is that of no luminosity",
    )
    licence: LicenceSettings = Field(
        default_factory=LicenceSettings, description="terms of use of all tables"
    )
    sample_url: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        max_length=256,
        description="where the unfolded sample has been deposited, with its alternatives; null: "
        "they are attached",
    )
    attached_up_to: float = Field(
        20.0,
        ge=0,
        description="largest unfolded sample that is attached, together with its alternatives "
        "[MB]; of larger ones without sample_url the record gives the checksums only",
    )
