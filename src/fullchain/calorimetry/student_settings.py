"""Settings of distilled autoregressive flows of showers."""

from typing import Literal

from pydantic import Field

from fullchain.calorimetry.masked_flow_settings import MaskedFlowSettings
from fullchain.calorimetry.model_base_settings import ModelBaseSettings


class StudentSettings(ModelBaseSettings):
    """CaloFlow's student (2110.11377): its flow of voxels gives samples in one pass a block."""

    kind: Literal["student"] = Field("student", description="the model")
    teacher: str = Field(
        "teacher", description="model of calorimetry.models, of kind autoregressive, to learn from"
    )
    layers: tuple[int, ...] | None = Field(
        None,
        min_length=1,
        description="nodes of the hidden layers of each masked network; null: as the teacher's",
    )
    guidance: Literal["full", "ends"] = Field(
        "full",
        description="full: the student matches the numbers after each block of the teacher, and "
        "the shapes of its splines; ends: only what comes out at the end",
    )
    data_part: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="weight of the loss that begins with showers; the rest is that of the loss "
        "that begins with normal numbers",
    )
    energy_flow: MaskedFlowSettings | None = Field(
        None, description="flow I; null: the teacher's, which it must agree with"
    )
    shower_flow: MaskedFlowSettings | None = Field(
        None, description="blocks and splines; null: the teacher's, which they must agree with"
    )
