"""From the network that was trained with rounded numbers to the fixed-point one."""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.fixed_network import (
    Dense,
    FixedPointNetwork,
    Flatten,
    InputNumbers,
    Layer,
    SquaredNorm,
    Sum,
)
from fullchain.firmware.fixed_point import Format
from fullchain.firmware.float_network import Trained
from fullchain.firmware.input_scaling import scaled
from fullchain.firmware.quantised_network import QuantisedDense, QuantisedNetwork
from fullchain.firmware.quantisers import ActivationQuantiser

Array = NDArray[np.float64]


@torch.no_grad()
def exported(network: QuantisedNetwork, trained: Trained) -> FixedPointNetwork:
    """Give the fixed-point network, layer by layer; nothing is folded.

    Raises
    ------
    InputError
        As `FixedPointNetwork.check`.
    """
    network = network.double().eval()
    layers: list[Layer] = []
    for layer in network.plan:
        output = None
        if layer.rounded:
            quantiser = network.outputs[layer.name]
            assert isinstance(quantiser, ActivationQuantiser)
            output = quantiser.format()
        if layer.kind == "dense":
            dense = network.dense[layer.name]
            assert isinstance(dense, QuantisedDense)
            weight, bias, _, _ = dense.constants()
            activation = "relu" if layer.relu else "linear"
            # Adding 0 turns -0 into 0, which is the same number in other bits.
            constants = weight.numpy() + 0.0, bias.numpy() + 0.0
            layers.append(Dense(layer.name, *constants, activation, output))  # type: ignore[arg-type]
        elif layer.kind == "sum":
            layers.append(Sum(layer.name, output))
        elif layer.kind == "flatten":
            layers.append(Flatten(layer.name))
        else:
            layers.append(SquaredNorm(layer.name, output))
    fixed = FixedPointNetwork(
        InputNumbers(trained.quantities, trained.shift, trained.exponent, network.inputs.format()),
        trained.settings.architecture.used_candidates,
        tuple(layers),
        trained.outputs,
    )
    fixed.check()
    return fixed


@torch.no_grad()
def check_equal(
    network: QuantisedNetwork, fixed: FixedPointNetwork, quantities: Array, scaled: Array
) -> None:
    """Check that both networks give the same bits after every layer.

    Parameters
    ----------
    quantities, scaled
        (jets, [candidates,] quantities), as `InputNumbers.quantise` and the network take them.

    Raises
    ------
    InputError
        They do not; names the layer, and counts the values that differ.
    """
    inputs = fixed.inputs.quantise(quantities)
    expected = [("inputs", inputs), *((one.name, out) for one, _, out in fixed.steps(inputs))]
    network = network.double().eval()
    passed = network.steps(torch.from_numpy(np.asarray(scaled, dtype=np.float64)))
    for (name, values), one in zip(expected, passed, strict=True):
        wrong = int((values != one.values.numpy()).sum())
        if wrong:
            raise InputError(
                f"layer {name}: {wrong} of {values.size} values of the exported network are not "
                "those of the one that was trained; lower largest_bits, and report it"
            )


def without_dead(fixed: FixedPointNetwork) -> FixedPointNetwork:
    """Set to 0 what no output depends on; the outputs of the network stay the same.

    Weights of channels that are always 0, and channels (of dense layers) that no weight takes up:
    their formats get a width of 0.
    """
    layers = list(fixed.layers)
    alive: NDArray[np.bool_] = np.asarray(fixed.inputs.format.width > 0)
    for place, layer in enumerate(layers):
        if isinstance(layer, Dense):
            weight = np.where(alive[:, None], layer.weight, 0.0)
            layers[place] = dataclasses.replace(layer, weight=weight)
            alive = np.ones(len(layer.bias), dtype=bool)
        elif isinstance(layer, Flatten):
            alive = np.tile(alive, fixed.candidates)
        elif isinstance(layer, SquaredNorm):
            alive = np.ones(1, dtype=bool)
        if layer.output is not None:
            alive = np.logical_and(alive, layer.output.width > 0)
    needed: NDArray[np.bool_] = np.ones(len(fixed.outputs), dtype=bool)
    for place, layer in reversed(list(enumerate(layers))):
        if isinstance(layer, SquaredNorm):
            width = _channels(layers, place, fixed)
            needed = np.ones(width, dtype=bool)
        elif isinstance(layer, Flatten):
            needed = np.asarray(needed.reshape(fixed.candidates, -1).any(axis=0))
        elif isinstance(layer, Dense):
            if layer.output is not None:
                needed = np.logical_and(needed, layer.output.width > 0)
                layers[place] = layer = dataclasses.replace(
                    layer, output=_narrowed(layer.output, needed)
                )
            weight = np.where(needed, layer.weight, 0.0)
            bias = np.where(needed, layer.bias, 0.0)
            layers[place] = dataclasses.replace(layer, weight=weight, bias=bias)
            needed = (weight != 0).any(axis=1)
        elif layer.output is not None:
            layers[place] = dataclasses.replace(layer, output=_narrowed(layer.output, needed))
    inputs = dataclasses.replace(fixed.inputs, format=_narrowed(fixed.inputs.format, needed))
    return dataclasses.replace(fixed, inputs=inputs, layers=tuple(layers))


def _channels(layers: list[Layer], place: int, fixed: FixedPointNetwork) -> int:
    below = layers[place - 1]
    if place and isinstance(below, Dense):
        return len(below.bias)
    raise InputError(f"layer {layers[place].name}: a squared norm follows a dense layer")


def _narrowed(numbers: Format, needed: NDArray[np.bool_]) -> Format:
    """Give formats in which channels that are not needed have no bits."""
    fractional = np.where(needed, numbers.fractional, -numbers.integer - numbers.signed)
    return Format(numbers.signed, numbers.integer, fractional)


def overflows(fixed: FixedPointNetwork, quantities: Array) -> dict[str, tuple[int, int]]:
    """Count values that saturate and all values, for the inputs and each layer with a format.

    `quantities` has shape (jets, [candidates,] quantities). Channels of width 0 do not count: they
    were removed, and hold nothing that could saturate.
    """
    inputs = fixed.inputs
    unrounded = [("inputs", inputs.format, scaled(quantities, inputs.shift, inputs.exponent))]
    for layer, values, _ in fixed.steps(inputs.quantise(quantities)):
        if layer.output is not None:
            unrounded.append((layer.name, layer.output, values))
    found = {}
    for name, numbers, values in unrounded:
        kept = numbers.width > 0
        count = int(numbers.overflows(values)[kept].sum())
        found[name] = count, values[..., kept].size
    return found
