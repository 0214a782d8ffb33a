"""The architectures that a tagger may have, told apart by `kind`.

Their settings live in a module each, without torch, so that a configuration is checked at once.
"""

from typing import Annotated

from pydantic import Field

from fullchain.tagging.efn_settings import EfnSettings
from fullchain.tagging.lgatr_settings import LorentzTransformerSettings
from fullchain.tagging.lund_settings import LundSettings
from fullchain.tagging.mlp_settings import MlpSettings
from fullchain.tagging.part_settings import ParticleTransformerSettings
from fullchain.tagging.particlenet_settings import ParticleNetSettings
from fullchain.tagging.pfn_settings import PfnSettings
from fullchain.tagging.trees_settings import TreesSettings

Architecture = Annotated[
    PfnSettings
    | EfnSettings
    | ParticleNetSettings
    | ParticleTransformerSettings
    | LorentzTransformerSettings
    | LundSettings
    | MlpSettings
    | TreesSettings,
    Field(discriminator="kind"),
]
"""Settings of any architecture."""
