"""Settings of the conversion with hls4ml and of vendor tools."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from fullchain.model import SettingsModel

Backend = Literal["Vitis", "Vivado", "oneAPI", "Quartus"]
Tool = Literal["vitis", "vivado_hls", "oneapi"]

TYPE = re.compile(
    r"u?fixed<\s*\d+\s*,\s*-?\d+\s*(,\s*(TRN|TRN_ZERO|RND|RND_ZERO|RND_CONV)\s*"
    r"(,\s*(WRAP|SAT|SAT_ZERO|SAT_SYM)\s*)?)?>"
)


def _type(text: str) -> str:
    if text != "auto" and not TYPE.fullmatch(text):
        raise ValueError(
            f"{text!r} is no precision; write auto, or fixed<width,integer> or "
            "ufixed<width,integer> (integer bits with the sign), with rounding and saturation if "
            "wanted: fixed<16,6,RND,SAT>"
        )
    return text


Precision = Annotated[str, AfterValidator(_type)]


class LayerPrecision(SettingsModel):
    """Types of one layer; what is not given is as for all layers."""

    weight: Precision | None = Field(None, description="weights")
    bias: Precision | None = Field(None, description="biases")
    accum: Precision | None = Field(None, description="sums while they are made")
    result: Precision | None = Field(None, description="outputs before the activation")
    activation: Precision | None = Field(None, description="outputs of the ReLU")


class PrecisionSettings(SettingsModel):
    """Precision chosen by hand: post-training quantisation as hls4ml does it.

    The weights are those of the network, its own formats are not used.
    """

    default: Precision = Field("fixed<16,6>", description="type of everything without an own one")
    layers: dict[str, LayerPrecision] = Field(
        default_factory=dict, description="types of single layers, by name of the layer"
    )
    inputs: Precision | None = Field(None, description="type of the inputs; null: the default one")
    overflow: Literal["error", "report"] = Field(
        "error", description="what to do when a jet's value does not fit: stop, or count only"
    )

    @model_validator(mode="after")
    def _default_is_a_type(self) -> Self:
        if self.default == "auto":
            raise ValueError("the default precision must be a type such as fixed<16,6>, not auto")
        return self


class HlsSettings(SettingsModel):
    """Conversion with hls4ml, emulation, vendor tools."""

    backends: list[Backend] = Field(
        default=["Vitis", "Vivado", "oneAPI"],
        min_length=1,
        description="backends whose projects are written; the first one is emulated",
    )
    emulate: Literal["first", "all"] = Field(
        "first", description="emulate the first backend, or all that g++ compiles (not oneAPI)"
    )
    io_type: Literal["io_parallel", "io_stream"] = Field(
        "io_parallel", description="inputs all at once, or one after the other"
    )
    strategy: Literal["latency", "resource", "distributed_arithmetic"] = Field(
        "latency", description="how products of layers are built (oneAPI, Quartus: resource always)"
    )
    reuse_factor: int = Field(1, ge=1, description="products that one multiplier makes in turn")
    part: str | None = Field(
        "xcvu13p-flga2577-2-e", description="device of Vitis and Vivado; null: that of the backend"
    )
    intel_part: str | None = Field(
        None, description="device of oneAPI and Quartus; null: that of the backend"
    )
    clock_period: float = Field(5.0, gt=0, description="clock period asked for [ns]")
    precision: PrecisionSettings | None = Field(
        None, description="precision by hand; null: the formats of the network, to the bit"
    )
    require_equal: bool = Field(
        True, description="whether an emulation that differs from the network is an error"
    )
    compiler: str = Field("g++", description="C++ compiler of the emulation")
    profile: int = Field(
        50_000, ge=1, description="jets whose values the profile of ranges is made of, at most"
    )
    build: list[Tool] = Field(
        default=[], description="vendor tools of HLS that the step build runs"
    )
    build_timeout: float = Field(14_400.0, gt=0, description="longest time of one tool [s]")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.backends)) != len(self.backends):
            raise ValueError("a backend stands twice in backends")
        if self.strategy == "distributed_arithmetic" and self.reuse_factor != 1:
            raise ValueError("distributed_arithmetic has no multipliers to reuse: reuse_factor 1")
        return self
