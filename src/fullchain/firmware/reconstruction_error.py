"""An autoencoder that gives its error: inputs go beside the layers and are subtracted."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.fixed_network import Dense, FixedPointNetwork, Flatten, Layer, SquaredNorm
from fullchain.firmware.fixed_point import Format

Array = NDArray[np.float64]

SCORE = "score"
"""Name of the only output of a network that gives an anomaly score."""


def with_error(network: FixedPointNetwork) -> FixedPointNetwork:
    """Give a network whose one output is the squared error of an autoencoder, summed over inputs.

    The kinds of layers there are know no way around a layer. But relu(x) and relu(-x) pass a layer
    with ReLU unchanged, by weights 1 that cost no logic, and x = relu(x) - relu(-x) is subtracted
    by the weights of the last layer. So the score is exact to the bit wherever dense layers are.
    Differences are rounded to the steps of the inputs and saturate at their range.

    Parameters
    ----------
    network
        Dense layers (behind a `Flatten`, for candidates), the last one linear and without rounding,
        with as many outputs as there are inputs.

    Raises
    ------
    InputError
        The network is another one; names the layer.
    """
    numbers = network.inputs.format
    first: tuple[Layer, ...] = ()
    layers = network.layers
    if network.candidates:
        if not isinstance(layers[0], Flatten):
            raise InputError(
                f"layer {layers[0].name}: what candidates share has no error of each input; set "
                "pool to flatten and shared to [] for an autoencoder"
            )
        first, layers = layers[:1], layers[1:]
        copies = network.candidates
        numbers = Format(
            np.tile(numbers.signed, copies),
            np.tile(numbers.integer, copies),
            np.tile(numbers.fractional, copies),
        )
    dense = [_dense(layer) for layer in layers]
    last = dense[-1]
    if last.activation != "linear" or last.output is not None:
        raise InputError(f"layer {last.name}: the last layer of an autoencoder is linear and exact")
    if len(last.bias) != numbers.channels:
        raise InputError(
            f"layer {last.name}: {len(last.bias)} outputs for {numbers.channels} inputs; an "
            "autoencoder has as many"
        )
    found: list[Layer] = [_beside(layer, number == 0, numbers) for number, layer in
                          enumerate(dense[:-1])]  # fmt: skip
    found += [_subtracting(last, len(dense) == 1, numbers), SquaredNorm("error", None)]
    result = replace(network, layers=(*first, *found), outputs=(SCORE,))
    result.check()
    return result


def _dense(layer: Layer) -> Dense:
    if not isinstance(layer, Dense):
        raise InputError(f"layer {layer.name}: of kind {layer.kind}; an autoencoder has dense ones")
    return layer


def _beside(layer: Dense, first: bool, numbers: Format) -> Dense:
    """Give a hidden layer that hands relu(x) and relu(-x) on."""
    if layer.activation != "relu" or layer.output is None:
        raise InputError(f"layer {layer.name}: inputs pass hidden layers with ReLU and rounding")
    inputs = numbers.channels
    wide = len(layer.bias)
    if first:
        known = np.concatenate([layer.weight, np.eye(inputs), -np.eye(inputs)], axis=1)
    else:
        known = np.zeros((layer.weight.shape[0] + 2 * inputs, wide + 2 * inputs))
        known[: layer.weight.shape[0], :wide] = layer.weight
        known[layer.weight.shape[0] :, wide:] = np.eye(2 * inputs)
    # -x reaches 2^integer, which x does not.
    output = Format(
        np.concatenate([layer.output.signed, np.zeros(2 * inputs, dtype=bool)]),
        np.concatenate([layer.output.integer, numbers.integer, numbers.integer + 1]),
        np.concatenate([layer.output.fractional, numbers.fractional, numbers.fractional]),
    )
    bias = np.concatenate([layer.bias, np.zeros(2 * inputs)])
    return replace(layer, weight=known, bias=bias, output=output)


def _subtracting(layer: Dense, first: bool, numbers: Format) -> Dense:
    """Give the last layer, less the inputs, in the format of these, which is made signed."""
    eye = np.eye(numbers.channels)
    weight = np.concatenate([layer.weight - eye] if first else [layer.weight, -eye, eye])
    signed = replace(numbers, signed=np.ones(numbers.channels, dtype=bool))
    return replace(layer, weight=weight, output=signed)
