"""Channels of one bit in projects for oneAPI.

ac_fixed of oneAPI has two bits at least, and hls4ml gives such channels a second fractional bit,
with which they have other values. Here the second bit is above the first one, and the value is then
clipped to the one bit that the channel has.
"""

import re

import numpy as np
from hls4ml.model.graph import ModelGraph
from hls4ml.model.optimizer.passes.hgq_proxy_model import FixedPointQuantizer
from hls4ml.model.types import FixedPrecisionType, RoundingMode, Source

from fullchain.errors import InputError

CODE = "mask_fn_codegen"


def mend(graph: ModelGraph, backend: str) -> None:
    """Rewrite the rounding of channels of one bit in all layers of a graph.

    Raises
    ------
    InputError
        All outputs of a layer have one bit: that is a type, which the backend does not have.
    """
    for layer in graph.get_layers():
        kind = layer.get_output_variable().type.precision
        one_bit = isinstance(kind, FixedPrecisionType) and kind.width == 1
        if one_bit and kind.rounding_mode == RoundingMode.RND:
            raise InputError(
                f"layer {layer.name}: its outputs have one bit each, and hls4ml gives them two for "
                f"{backend}; give them two bits, or leave {backend} out of firmware.hls.backends"
            )
        if isinstance(layer, FixedPointQuantizer) and layer.get_attr(CODE) is not None:
            shape = layer.get_output_variable().shape
            masks = [np.broadcast_to(mask[0], shape).ravel() for mask in layer.mask_kbi]
            code = layer.get_attr(CODE).code
            for channel in np.flatnonzero(masks[1] == 1):
                signed, integer = bool(masks[0][channel]), int(masks[2][channel])
                written = re.compile(rf"out\[{channel}\] = .*;")
                line = statement(int(channel), signed, integer, layer.RND, layer.SAT)
                code = written.sub(line, code)
            layer.set_attr(CODE, Source(code))


def statement(channel: int, signed: bool, integer: int, rounding: str, saturation: str) -> str:
    """Give the C++ statement that rounds a channel to one bit, worth 2^(integer - 1).

    The only bit of a signed channel is its sign: its values are -2^(integer - 1) and 0.
    """
    two = f"ac_fixed<2,{integer + 1},{str(signed).lower()}"
    value = f"{'-' if signed else ''}{2.0 ** (integer - 1)!r}"
    chosen = "rounded < 0" if signed else "rounded != 0"
    if saturation == "WRAP":
        # The inputs of a network are in their formats: the second bit is never set.
        return f"out[{channel}] = {two},AC_{rounding},AC_{saturation}>(inp[{channel}]);"
    return (
        f"{{ {two},AC_{rounding},AC_{saturation}> rounded = inp[{channel}]; "
        f"out[{channel}] = ({chosen}) ? {two}>({value}) : {two}>(0); }}"
    )
