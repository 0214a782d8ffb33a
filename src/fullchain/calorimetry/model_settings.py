"""Models of showers that a configuration may name, told apart by `kind`."""

from typing import Annotated

from pydantic import Field

from fullchain.calorimetry.autoregressive_settings import AutoregressiveSettings
from fullchain.calorimetry.bespoke_settings import BespokeSettings
from fullchain.calorimetry.coupling_settings import CouplingSettings
from fullchain.calorimetry.matching_settings import MatchingSettings
from fullchain.calorimetry.student_settings import StudentSettings
from fullchain.calorimetry.vae_settings import VaeSettings

ShowerModelSettings = Annotated[
    AutoregressiveSettings
    | BespokeSettings
    | CouplingSettings
    | MatchingSettings
    | StudentSettings
    | VaeSettings,
    Field(discriminator="kind"),
]
"""Settings of any model of showers."""
