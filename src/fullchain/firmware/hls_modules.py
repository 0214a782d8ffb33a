"""Fixed-point networks as torch modules that hls4ml can convert.

hls4ml's own handler of `Linear` takes weights as torch keeps them and transposes them later
together with the inputs, because torch puts channels first; with candidates that turns the inputs.
The layers here are on the last axis from the start, and say so to hls4ml by its extension API
(`register_pytorch_layer_handler`), as they do for formats that differ from channel to channel
(`FixedPointQuantizer`, the layer that hls4ml has for HGQ, arXiv:2405.00645) and for squares.
"""

import re
from typing import Any

import numpy as np
import torch
from hls4ml.converters import get_supported_pytorch_layers, register_pytorch_layer_handler
from hls4ml.model.optimizer.passes import bit_exact
from hls4ml.model.optimizer.passes.hgq_proxy_model import FixedPointQuantizer
from hls4ml.utils.torch import HLS4MLModule
from torch import Tensor, nn

from fullchain.firmware.fixed_network import (
    Dense,
    FixedPointNetwork,
    Flatten,
    Layer,
    SquaredNorm,
    Sum,
)
from fullchain.firmware.fixed_point import Array, Format

INPUTS = "inputs"
"""Name of the argument of `forward`, and so of the input layer."""


class LastAxisLinear(nn.Linear, HLS4MLModule):
    """A linear layer on the last axis: hls4ml makes a pointwise convolution of it on candidates."""


class ChannelFormat(HLS4MLModule):
    """Rounding to a format per channel; rounding and saturation modes in hls4ml's words."""

    def __init__(self, numbers: Format, rounding: str, saturation: str) -> None:
        super().__init__()
        self.numbers, self.rounding, self.saturation = numbers, rounding, saturation

    def forward(self, values: Tensor) -> Tensor:
        """Give the values rounded and saturated."""
        if self.rounding != "RND":
            return values
        return torch.from_numpy(self.numbers.quantise(values.detach().numpy()))


class Square(HLS4MLModule):
    """The square of each channel, exactly."""

    def forward(self, values: Tensor) -> Tensor:
        """Give the squares."""
        return values * values


def step_name(number: int, layer: Layer) -> str:
    """Name of a layer in hls4ml, a legal one in C++: `number` counts from 1."""
    return f"step{number}_{re.sub(r'[^a-z0-9]+', '_', layer.name.lower()).strip('_')}"


class ConvertibleNetwork(nn.Module):
    """A network for `convert_from_pytorch_model`, float64.

    Parameters
    ----------
    network
        The network.
    formats
        Whether values are rounded to the formats of the network; without it all is float.

    Weights of pruned outputs are left out: such outputs are 0 whatever they are.
    """

    def __init__(self, network: FixedPointNetwork, *, formats: bool) -> None:
        super().__init__()
        if formats:
            # The inputs are in their formats already: there is nothing to round or saturate.
            self.add_module(f"{INPUTS}_format", ChannelFormat(network.inputs.format, "TRN", "WRAP"))
        width = len(network.inputs.names)
        for number, layer in enumerate(network.layers, start=1):
            name = step_name(number, layer)
            if isinstance(layer, Dense):
                constants = (layer.weight, layer.bias)
                weight, bias = (_kept(layer, values, formats) for values in constants)
                self.add_module(name, _linear(weight, bias))
                if layer.activation == "relu":
                    self.add_module(f"{name}_relu", nn.ReLU())
            elif isinstance(layer, Sum):
                self.add_module(f"{name}_flat", nn.Flatten())
                selection = np.tile(np.eye(width), (network.candidates, 1))
                self.add_module(name, _linear(_kept(layer, selection, formats), np.zeros(width)))
            elif isinstance(layer, SquaredNorm):
                self.add_module(f"{name}_square", Square())
                self.add_module(name, _linear(np.ones((width, 1)), np.zeros(1)))
            elif isinstance(layer, Flatten):
                self.add_module(name, nn.Flatten())
            width = _width(layer, width, network.candidates)
            # A layer that is pruned as a whole has no weights left, and its zeros need no format.
            if formats and layer.output is not None and layer.output.width.any():
                self.add_module(f"{name}_format", ChannelFormat(layer.output, "RND", "SAT"))

    def forward(self, inputs: Tensor) -> Tensor:
        """Give the outputs for (rows, *input_shape)."""
        for module in self.children():
            inputs = module(inputs)
        return inputs


def _kept(layer: Dense | Sum, values: Array, formats: bool) -> Array:
    if not formats or layer.output is None:
        return values
    return np.where(layer.output.width > 0, values, 0.0)


def _width(layer: Layer, width: int, candidates: int) -> int:
    if isinstance(layer, Dense):
        return len(layer.bias)
    if isinstance(layer, Flatten):
        return width * candidates
    return 1 if isinstance(layer, SquaredNorm) else width


def _linear(weight: Array, bias: Array) -> LastAxisLinear:
    made = LastAxisLinear(weight.shape[0], weight.shape[1], dtype=torch.float64)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight.T)))
        made.bias.copy_(torch.from_numpy(bias))
    return made


Handled = tuple[dict[str, Any], list[Any]]


def _handle_linear(
    operation: str, name: str, inputs: list[str], shapes: list[Any], node: Any,
    module: LastAxisLinear, reader: Any, config: Any,
) -> Handled:  # fmt: skip
    weight = module.weight.detach().numpy().T.copy()
    entry = {
        "class_name": "Dense",
        "name": name,
        "inputs": inputs,
        "weight_data": weight,
        "bias_data": module.bias.detach().numpy().copy(),
        "use_bias": True,
        "n_in": weight.shape[0],
        "n_out": weight.shape[1],
    }
    return entry, [*shapes[0][:-1], weight.shape[1]]


def _handle_format(
    operation: str, name: str, inputs: list[str], shapes: list[Any], node: Any,
    module: ChannelFormat, reader: Any, config: Any,
) -> Handled:  # fmt: skip
    numbers = module.numbers
    width = numbers.width
    signed = np.where(width > 0, numbers.signed, False)
    integer = np.where(width > 0, numbers.integer + numbers.signed, 0)
    masks = np.array([signed, width, integer], dtype=np.int16)
    if (masks == masks[:, :1]).all():
        # One entry stays one when hls4ml narrows masks to what can occur, and becomes a type.
        masks = masks[:, :1]
    axes = len(shapes[0]) - 1
    entry = {
        "class_name": "FixedPointQuantizer",
        "name": name,
        "inputs": inputs,
        "mask_kbi": tuple(mask.reshape([1] * axes + [-1]) for mask in masks),
        "RND": module.rounding,
        "SAT": module.saturation,
        "fusible": False,
        "overrides": {},
    }
    return entry, shapes[0]


def _handle_square(
    operation: str, name: str, inputs: list[str], shapes: list[Any], node: Any,
    module: Square, reader: Any, config: Any,
) -> Handled:  # fmt: skip
    # hls4ml's own handler of x * x finds one input only, and a product needs two.
    twice = [inputs[0], inputs[0]]
    return {"class_name": "Merge", "op": "multiply", "name": name, "inputs": twice}, shapes[0]


_narrowed = bit_exact._produce_kif.dispatch(FixedPointQuantizer)


def _narrowed_keeping_ends(layer: FixedPointQuantizer) -> Any:
    """Narrow the formats of a layer to what can occur, but never what saturation gives.

    hls4ml 1.3.0 drops fractional bits that the sums do not have, also where these saturate: the
    largest value, which has all of them, would become a smaller one. For modes that it does not
    know as saturating it narrows only where nothing overflows, which is right for all.
    """
    saturation, layer.SAT = layer.SAT, "KEEP"
    try:
        return _narrowed(layer)
    finally:
        layer.SAT = saturation


def register() -> None:
    """Tell hls4ml how to convert these modules."""
    if bit_exact._produce_kif.dispatch(FixedPointQuantizer) is _narrowed:
        bit_exact._produce_kif.register(FixedPointQuantizer, _narrowed_keeping_ends)
    known = get_supported_pytorch_layers()
    handlers = {
        LastAxisLinear: _handle_linear,
        ChannelFormat: _handle_format,
        Square: _handle_square,
    }
    for module, handler in handlers.items():
        if module.__name__ not in known:
            register_pytorch_layer_handler(module.__name__, handler)
