"""Settings of how well top jets are told from QCD jets with the weights of each method."""

import re
from itertools import pairwise

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class PairSettings(SettingsModel):
    """Two generated samples with the same pile-up."""

    signal: str = Field(description="sample with jets of top quarks that decay to hadrons")
    background: str = Field(description="sample whose jets are taken for those of top quarks")


class DiscriminantSettings(SettingsModel):
    """Boosted trees on soft-drop mass, tau32 and tau21, fitted to other events."""

    folds: int = Field(
        5, ge=2, description="parts of the events; the jets of each are scored by a fit to the rest"
    )
    divisions: int = Field(
        3, ge=1, description="divisions into parts, over which the score of a jet is averaged"
    )
    iterations: int = Field(40, ge=1, description="number of trees")
    learning_rate: float = Field(0.1, gt=0, le=1, description="factor on what each tree adds")
    max_leaves: int = Field(6, ge=2, description="most leaves of a tree")
    min_jets_in_leaf: int = Field(20, ge=1, description="fewest jets in a leaf")
    max_bins: int = Field(
        64, ge=2, le=255, description="most values at which an observable is divided"
    )
    l2: float = Field(1.0, ge=0, description="penalty on the squared values of the leaves")


class DiscriminationSettings(SettingsModel):
    """Soft-drop mass, N-subjettiness and top tagging with the weights of each method."""

    pairs: dict[str, PairSettings] | None = Field(
        None,
        description="samples of signal and background by name of the pair; null: all generated "
        "tt_<name> and qcd_<name> that have the same pile-up and train no learned weights",
    )
    max_events: int = Field(600, ge=10, description="events of each sample that are looked at")
    jet_pt_min: float = Field(
        500.0, gt=0, description="least pT of the particle-level AK8 jets [GeV]; the two leading"
    )
    jet_pt_max: float = Field(700.0, gt=0, description="their largest pT [GeV]")
    jet_abs_eta_max: float = Field(2.0, gt=0, description="their largest |eta|")
    mass_min: float = Field(
        105.0, ge=0, description="lowest soft-drop mass of the cut on tau32 [GeV]"
    )
    mass_max: float = Field(210.0, gt=0, description="highest soft-drop mass of that cut [GeV]")
    reference_mass_min: float = Field(
        10.0,
        gt=0,
        description="least soft-drop mass of the jet a ratio of masses is taken to [GeV]",
    )
    interactions: tuple[float, ...] = Field(
        (0, 10, 35, 65, 95, 125, 160, 230),
        min_length=2,
        description="edges of the bins in the number of pile-up interactions",
    )
    min_entries: int = Field(
        25, ge=5, description="with fewer jets of a kind a bin, or the pair, gives no number"
    )
    replicas: int = Field(100, ge=20, description="bootstrap replicas behind each uncertainty")
    discriminant: DiscriminantSettings = Field(
        default_factory=DiscriminantSettings, description="discriminant of the three observables"
    )

    @model_validator(mode="after")
    def _ordered(self) -> "DiscriminationSettings":
        for low, high in (("jet_pt_min", "jet_pt_max"), ("mass_min", "mass_max")):
            if getattr(self, high) <= getattr(self, low):
                raise ValueError(
                    f"{high} ({getattr(self, high)}) must be larger than {low} "
                    f"({getattr(self, low)})"
                )
        if any(high <= low for low, high in pairwise(self.interactions)):
            raise ValueError(f"interactions must be rising edges, not {list(self.interactions)}")
        for name in self.pairs or ():
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_]*", name):
                raise ValueError(
                    f"pairs: {name!r} cannot name a pair: it must be letters, digits and _"
                )
        return self
