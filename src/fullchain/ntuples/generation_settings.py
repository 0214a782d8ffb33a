"""Settings of generated samples: the generator, the pool of pile-up, and what is written."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel

# Events that share one random seed. It is part of what a sample is: a job of any length is a
# sequence of these blocks, and so the number of jobs cannot change an event.
BLOCK = 100

Process = Literal["qcd", "tt", "wjet", "zjet", "zmumu", "zprime", "scalar", "minbias"]
Tune = Literal["monash", "a14", "cp5"]
Shower = Literal["simple", "vincia"]


class GeneratedSample(SettingsModel):
    """Events of Pythia 8 with the parametric detector."""

    kind: Literal["generated"] = Field("generated", description="generate events with Pythia 8")
    process: Process = Field(
        description="hard process: qcd; tt (both W to quarks); wjet (W to quarks, + jet); zjet "
        "(Z to quarks, + jet); zmumu (Z to muons, + jet); zprime (heavy Z' to tt, W to quarks); "
        "scalar (made by gluons, decays to light quarks); minbias (inelastic)"
    )
    events: int = Field(ge=BLOCK, description=f"number of events; a multiple of {BLOCK}")
    events_per_job: int = Field(
        2000, ge=BLOCK, description=f"number of events of one job; a multiple of {BLOCK}"
    )
    pthat_min: float | None = Field(
        None, gt=0, description="lower edge of the pTHat window [GeV]; null: none"
    )
    pthat_max: float | None = Field(
        None, gt=0, description="upper edge of the pTHat window [GeV]; null: none"
    )
    tune: Tune = Field("monash", description="tune: monash, a14 (ATLAS) or cp5 (CMS)")
    shower: Shower = Field(
        "simple", description="parton shower: simple (Pythia's own) or vincia (about 10 x slower)"
    )
    shower_weights: bool = Field(
        False, description="weights of varied initial and final state radiation (PSWeight)"
    )
    top_mass: float | None = Field(
        None,
        gt=100,
        description="mass of the top quark [GeV], its width follows; null: the generator's own "
        "(173 in Pythia 8.317)",
    )
    zprime_mass: float = Field(1300.0, gt=0, description="mass of the Z' [GeV]; zprime only")
    zprime_width: float = Field(13.0, gt=0, description="width of the Z' [GeV]; zprime only")
    scalar_mass: float = Field(500.0, gt=0, description="mass of the scalar [GeV]; scalar only")
    scalar_width: float = Field(5.0, gt=0, description="width of the scalar [GeV]; scalar only")
    pileup: float = Field(0.0, ge=0, description="mean number of pile-up interactions per event")
    pileup_profile: dict[int, float] = Field(
        default={},
        description="probability (any norm) of each mean number of pile-up interactions; "
        "replaces `pileup` where it is not empty",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "GeneratedSample":
        for name in ("events", "events_per_job"):
            if getattr(self, name) % BLOCK:
                raise ValueError(
                    f"{name} = {getattr(self, name)} is not a multiple of {BLOCK}, the number of "
                    "events that share one random seed"
                )
        hard_scattering = self.process in ("qcd", "tt", "wjet", "zjet", "zmumu")
        if not hard_scattering and (self.pthat_min is not None or self.pthat_max is not None):
            raise ValueError(
                f"process {self.process} is not a 2 to 2 hard scattering: pthat_min and pthat_max "
                "do not act on it, remove them"
            )
        if self.process in ("qcd", "wjet", "zjet", "zmumu") and self.pthat_min is None:
            raise ValueError(
                f"the cross section of process {self.process} diverges at low pTHat: set pthat_min"
            )
        if None not in (self.pthat_min, self.pthat_max) and self.pthat_min >= self.pthat_max:  # type: ignore[operator]
            raise ValueError(
                f"pthat_min = {self.pthat_min} GeV is not below pthat_max = {self.pthat_max} GeV"
            )
        if self.shower_weights and self.shower != "simple":
            raise ValueError("shower_weights work with the simple shower only, not with vincia")
        if self.shower_weights and self.process == "minbias":
            raise ValueError("shower_weights are not for minbias: it has no hard process to vary")
        if self.shower == "vincia" and self.tune != "monash":
            raise ValueError(
                f"tune {self.tune} was made with the simple shower; vincia brings its own (monash)"
            )
        for mean, probability in self.pileup_profile.items():
            if mean < 0 or probability < 0:
                raise ValueError(f"pileup_profile has a negative entry, {mean}: {probability}")
        if self.pileup_profile and sum(self.pileup_profile.values()) <= 0:
            raise ValueError("pileup_profile has no positive probability")
        return self

    @property
    def has_pileup(self) -> bool:
        """Whether minimum-bias interactions are laid over the events."""
        return self.pileup > 0 or bool(self.pileup_profile)


class BeamSettings(SettingsModel):
    """The collider."""

    energy: float = Field(13600.0, gt=0, description="centre-of-mass energy [GeV]")
    spot_length: float = Field(
        3.5, ge=0, description="standard deviation of the interactions along the beam [cm]"
    )


class PoolSettings(SettingsModel):
    """Minimum-bias events from which pile-up is drawn."""

    events: int = Field(5000, ge=BLOCK, description=f"number of events; a multiple of {BLOCK}")
    tune: Tune = Field("monash", description="tune: monash, a14 (ATLAS) or cp5 (CMS)")
    eta_max: float = Field(5.4, gt=0, description="particles are kept within this |eta|")

    @model_validator(mode="after")
    def _whole_blocks(self) -> "PoolSettings":
        if self.events % BLOCK:
            raise ValueError(f"events = {self.events} is not a multiple of {BLOCK}")
        return self


class ObjectSettings(SettingsModel):
    """Thresholds of what is written."""

    jet_pt_min: float = Field(15.0, gt=0, description="lowest pT of Jet (AK4) [GeV]")
    fat_jet_pt_min: float = Field(170.0, gt=0, description="lowest pT of FatJet (AK8) [GeV]")
    gen_jet_pt_min: float = Field(10.0, gt=0, description="lowest pT of GenJet (AK4) [GeV]")
    gen_fat_jet_pt_min: float = Field(100.0, gt=0, description="lowest pT of GenJetAK8 [GeV]")
    gen_cand_pt_min: float = Field(0.0, ge=0, description="lowest pT of GenCands [GeV]")
    gen_cand_eta_max: float = Field(5.0, gt=0, description="highest |eta| of GenCands")
    mantissa_bits: int = Field(
        10, ge=5, le=23, description="bits kept of the mantissa of kinematic quantities"
    )
