"""Settings of autoregressive flows of showers."""

from typing import Literal

from pydantic import Field

from fullchain.calorimetry.masked_flow_settings import MaskedFlowSettings
from fullchain.calorimetry.model_base_settings import ModelBaseSettings


class AutoregressiveSettings(ModelBaseSettings):
    """CaloFlow (2106.05285): a flow of layer energies, and one of voxels given them."""

    kind: Literal["autoregressive"] = Field("autoregressive", description="the model")
    energy_flow: MaskedFlowSettings = Field(
        MaskedFlowSettings(blocks=4, layers=(64, 64), activation="silu"),
        description="flow I: energies of layers, given the incident energy",
    )
    shower_flow: MaskedFlowSettings = Field(
        MaskedFlowSettings(),
        description="flow II: voxels, given energies of layers and the incident energy",
    )
