"""Settings of the study of constituents that are dropped or smeared."""

import math
import re
from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class PerturbationSettings(SettingsModel):
    """One way to change the constituents of jets, at several strengths."""

    kind: Literal["drop", "smear_pt", "smear_angles"] = Field(
        description="drop: leave particles out at random; smear_pt: multiply their pT by a random "
        "factor of mean one; smear_angles: move them in eta and phi by normal numbers"
    )
    particles: Literal["all", "charged", "neutral"] = Field(
        "all", description="which particles are changed"
    )
    pt_below: float | None = Field(
        None, gt=0, description="only particles below this pT [GeV] are changed; null for any pT"
    )
    strengths: tuple[float, ...] = Field(
        min_length=1,
        description="probability to be dropped, relative width of the pT, or width of each angle",
    )

    @model_validator(mode="after")
    def _strengths(self) -> "PerturbationSettings":
        if list(self.strengths) != sorted(set(self.strengths)):
            raise ValueError(f"strengths must rise, and not {self.strengths}")
        largest = 1.0 if self.kind == "drop" else math.inf
        for strength in self.strengths:
            if not 0 < strength <= largest or not math.isfinite(strength):
                raise ValueError(
                    f"a strength of {self.kind} is in (0, {largest:g}], not {strength}"
                )
        return self


def _defaults() -> dict[str, PerturbationSettings]:
    one = PerturbationSettings
    return {
        "drop": one(kind="drop", strengths=(0.1, 0.2)),
        "drop_charged": one(kind="drop", particles="charged", strengths=(0.1, 0.2)),
        "drop_neutral": one(kind="drop", particles="neutral", strengths=(0.1, 0.2)),
        "drop_soft": one(kind="drop", pt_below=2.0, strengths=(0.5, 1.0)),
        "smear_pt": one(kind="smear_pt", strengths=(0.05, 0.1)),
        "smear_angles": one(kind="smear_angles", strengths=(0.005, 0.01)),
    }


class RobustnessSettings(SettingsModel):
    """What happens to a tagger when the constituents of its jets change."""

    max_jets: int = Field(
        700,
        ge=20,
        description="jets of each class at most, chosen by a hash of their event; their "
        "substructure is measured once for each strength",
    )
    perturbations: dict[str, PerturbationSettings] = Field(
        default_factory=_defaults, description="changes of the constituents, by name"
    )

    @model_validator(mode="after")
    def _names(self) -> "RobustnessSettings":
        for name in self.perturbations:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
                raise ValueError(
                    f"perturbations: {name!r} cannot name one: letters, digits and _ only"
                )
        return self
