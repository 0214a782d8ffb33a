"""Settings of the stage `jets`."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fullchain.errors import InputError
from fullchain.jets.dask_settings import DaskSettings
from fullchain.model import SettingsModel

OF_THE_FILE = ("auto", "none", "chs", "stored")
"""Pile-up mitigation with what the file has; all others have weights of the stage `pileup`."""


class ReadingSettings(SettingsModel):
    """How events are read."""

    executor: Literal["iterative", "futures", "dask"] = Field(
        "iterative",
        description="coffea executor within one job: one process, several, or a Dask cluster; the "
        "result is the same",
    )
    workers: int = Field(
        1,
        ge=1,
        description="processes of the futures executor, or workers that the Dask executor starts",
    )
    dask: DaskSettings = Field(
        default_factory=DaskSettings, description="the cluster of the Dask executor"
    )
    events_per_chunk: int = Field(
        1000, ge=1, description="events read at once; sets the memory, not the result"
    )

    @classmethod
    def given(
        cls, settings: Mapping[str, Any], *, dask: str = "", **options: Any
    ) -> "ReadingSettings":
        """Take settings with the options of a step laid over them; empty ones change nothing.

        Parameters
        ----------
        dask
            Settings of the Dask cluster as JSON, in place of those that are there.

        Raises
        ------
        InputError
            `dask` is no JSON, or a setting is wrong.
        """
        reading = {**settings, **{name: value for name, value in options.items() if value}}
        try:
            if dask:
                reading["dask"] = json.loads(dask)
            return cls.model_validate(reading)
        except ValueError as problem:
            raise InputError(f"options of reading (--executor, --dask, ...): {problem}") from None

    @property
    def on_this_machine(self) -> bool:
        """Whether events are read on the machine of the step, and not by workers elsewhere."""
        return self.executor != "dask" or self.dask.cluster == "local"

    @property
    def processes(self) -> int:
        """How many processes of this machine are busy with one part."""
        alone = self.executor == "iterative" or not self.on_this_machine
        return 1 if alone else self.workers


class ClusteringSettings(SettingsModel):
    """Which candidates become which jets."""

    mitigation: str = Field(
        "auto",
        description="pile-up mitigation: none; chs drops charged candidates of other vertices; "
        "stored applies the PUPPI weights of the file; auto takes them where the file has some, "
        "else chs; puppi, softkiller and the names in pileup.learned apply weights that the stage "
        "pileup computes",
    )
    radius: float = Field(0.8, gt=0, le=1.5, description="radius of the large anti-kT jets")
    small_radius: float = Field(0.4, gt=0, le=1.0, description="radius of the small anti-kT jets")
    small_pt_min: float = Field(30.0, gt=0, description="least pT of a small jet [GeV]")
    small_abs_eta_max: float = Field(2.5, gt=0, description="largest |eta| of a small jet")


class SubstructureSettings(SettingsModel):
    """Parameters of the substructure observables."""

    soft_drop_z_cut: float = Field(0.1, gt=0, lt=0.5, description="z_cut of soft drop (CMS: 0.1)")
    soft_drop_beta: float = Field(0.0, description="beta of soft drop (CMS: 0)")
    subjettiness_axes: Literal["one_pass_kt", "kt"] = Field(
        "one_pass_kt",
        description="axes of N-subjettiness: exclusive kT, with or without one minimisation "
        "(CMS: one_pass_kt)",
    )
    correlator_beta: float = Field(
        1.0, gt=0, description="angular exponent of the energy correlators in D2 and N2"
    )


class SelectionSettings(SettingsModel):
    """Which jets are kept. All cuts act on the jets of each variation."""

    pt_min: float = Field(500.0, gt=0, description="least pT of a jet [GeV]")
    pt_max: float = Field(700.0, gt=0, description="largest pT of a jet [GeV]")
    abs_eta_max: float = Field(2.0, gt=0, description="largest |eta| of a jet")
    jets_per_event: int = Field(
        2, ge=1, description="only this many jets of highest pT in an event are looked at"
    )
    loose_pt_fraction: float = Field(
        0.7,
        gt=0,
        le=1,
        description="jets below this fraction of pt_min are never looked at, whatever the shift",
    )
    identification: bool = Field(
        True,
        description="drop jets that are mostly lepton, photon or neutral hadron (the limits of the "
        "CMS tight identification with lepton veto)",
    )
    max_neutral_hadron_fraction: float = Field(
        0.99, gt=0, le=1, description="of the jet's energy, if identification"
    )
    max_photon_fraction: float = Field(
        0.9, gt=0, le=1, description="of the jet's energy, if identification"
    )
    max_electron_fraction: float = Field(
        0.8, gt=0, le=1, description="of the jet's energy, if identification"
    )
    max_muon_fraction: float = Field(
        0.8, gt=0, le=1, description="of the jet's energy, if identification"
    )

    @model_validator(mode="after")
    def _ordered(self) -> "SelectionSettings":
        if self.pt_max <= self.pt_min:
            raise ValueError(f"pt_max ({self.pt_max}) must be larger than pt_min ({self.pt_min})")
        return self


class TruthSettings(SettingsModel):
    """Matching of jets to the generator's truth."""

    label_radius: float = Field(
        0.8, gt=0, description="largest distance of a truth particle from the jet's axis"
    )
    gen_jet_radius: float = Field(
        0.4, gt=0, description="largest distance of a particle-level jet from the jet"
    )
    gen_soft_drop: bool = Field(
        True, description="groom particle-level jets, where the file has their particles"
    )


class ScaleShift(SettingsModel):
    """Jet energy scale: the whole jet, with all its constituents, times a factor.

    The factor is 1 + shift + pt_slope ln(pT / 600 GeV) + eta_slope |eta|.
    """

    kind: Literal["jes"] = Field("jes", description="jet energy scale")
    shift: float = Field(description="relative change of the scale")
    pt_slope: float = Field(0.0, description="change of it per unit of ln(pT / 600 GeV)")
    eta_slope: float = Field(0.0, description="change of it per unit of |eta|")


class ResolutionShift(SettingsModel):
    """Jet energy resolution, times `factor`.

    With a particle-level jet in reach (and within three resolutions in pT) the difference to it is
    scaled, otherwise the jet is smeared by chance (hybrid method of CMS). The resolution is
    sqrt(noise^2 / pT^2 + stochastic^2 / pT + constant^2).
    """

    kind: Literal["jer"] = Field("jer", description="jet energy resolution")
    factor: float = Field(gt=0, description="new resolution in units of the nominal one")
    noise: float = Field(5.0, ge=0, description="noise term [GeV]")
    stochastic: float = Field(0.8, ge=0, description="stochastic term [sqrt(GeV)]")
    constant: float = Field(0.03, ge=0, description="constant term")


class TrackEfficiencyShift(SettingsModel):
    """Charged candidates are lost by chance before clustering."""

    kind: Literal["track_efficiency"] = Field(
        "track_efficiency", description="efficiency of tracking"
    )
    loss: float = Field(gt=0, lt=1, description="probability to lose a charged candidate")


Shift = Annotated[ScaleShift | ResolutionShift | TrackEfficiencyShift, Field(discriminator="kind")]


class MeasurementSettings(SettingsModel):
    """Window of the numbers in metrics.json."""

    pt_min: float = Field(550.0, gt=0, description="least pT [GeV]")
    pt_max: float = Field(650.0, gt=0, description="largest pT [GeV]")
    abs_eta_max: float = Field(2.0, gt=0, description="largest |eta|")
    replicas: int = Field(200, ge=20, description="bootstrap replicas behind each uncertainty")
    min_jets: int = Field(25, ge=2, description="labels with fewer jets of a sample give no number")


class FigureSettings(SettingsModel):
    """Control plots."""

    shifted: dict[str, int] = Field(
        default={"qcd": -2, "tt": 5, "wjet": 3},
        description="samples whose variations are compared with the nominal jets, and the label of "
        "the jets (-2: all; 0 gluon, 1 light quark, 2 b, 3 W, 4 Z, 5 top)",
    )
    alternatives: dict[str, str] = Field(
        default={
            "qcd_a14": "qcd",
            "tt_a14": "tt",
            "qcd_pu50": "qcd",
            "tt_pu50": "tt",
        },
        description="samples compared with another one, and that other one",
    )
    lund: dict[str, int] = Field(
        default={"qcd": -2, "tt": 5},
        description="samples whose Lund plane is drawn, and the label of the jets",
    )


class JetsSettings(SettingsModel):
    """Jets from ntuples."""

    reading: ReadingSettings = Field(
        default_factory=ReadingSettings, description="how events are read"
    )
    clustering: ClusteringSettings = Field(
        default_factory=ClusteringSettings, description="from candidates to jets"
    )
    selection: SelectionSettings = Field(
        default_factory=SelectionSettings, description="which jets are kept"
    )
    substructure: SubstructureSettings = Field(
        default_factory=SubstructureSettings, description="observables of the constituents"
    )
    truth: TruthSettings = Field(
        default_factory=TruthSettings, description="matching to the generator"
    )
    shifts: dict[str, Shift] = Field(
        default={
            "jes_up": ScaleShift(shift=0.01),
            "jes_down": ScaleShift(shift=-0.01),
            "jer_up": ResolutionShift(factor=1.1),
            "jer_down": ResolutionShift(factor=0.9),
            "track_efficiency_down": TrackEfficiencyShift(loss=0.03),
        },
        description="variations written besides the nominal jets, by name; set one to null to "
        "leave it out",
    )
    measurement: MeasurementSettings = Field(
        default_factory=MeasurementSettings, description="numbers in metrics.json"
    )
    figures: FigureSettings = Field(default_factory=FigureSettings, description="control plots")

    @model_validator(mode="after")
    def _names_free(self) -> "JetsSettings":
        if "nominal" in self.shifts:
            raise ValueError("shifts.nominal: the name 'nominal' is taken by the unshifted jets")
        return self
