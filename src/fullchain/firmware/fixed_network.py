"""Networks of fixed-point numbers: what every implementation must reproduce to the bit."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.firmware.fixed_point import EXACT_BITS, Format, enclosing
from fullchain.firmware.input_scaling import scaled

Array = NDArray[np.float64]

VERSION = 1


@dataclass(frozen=True)
class InputNumbers:
    """How physical quantities become the fixed-point inputs of a network.

    value = format.quantise((quantity - shift) * 2^-exponent), with `shift` in the unit of the
    quantity. Powers of two, so that a trigger needs a subtraction and no multiplier.

    Parameters
    ----------
    names
        Quantities, in order; those of a candidate for networks on candidates.
    shift, exponent
        (quantities).
    format
        One channel per quantity.
    """

    names: tuple[str, ...]
    shift: Array
    exponent: NDArray[np.int64]
    format: Format

    def quantise(self, quantities: Array) -> Array:
        """Give the inputs of a network; the last axis of `quantities` is the quantities.

        Raises
        ------
        InputError
            A quantity is not finite (names quantity and row).
        """
        values = np.asarray(quantities, dtype=np.float64)
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            row, name = wrong[0][0], self.names[wrong[0][-1]]
            raise InputError(
                f"{name} of row {row} is {values[tuple(wrong[0])]} ({len(wrong)} such values): "
                "firmware has no such numbers; look at the inputs"
            )
        return self.format.quantise(scaled(values, self.shift, self.exponent))


@dataclass(frozen=True)
class Dense:
    """Product with a matrix of constants, bias, then ReLU if wanted, then rounding if wanted.

    Acts on the last axis: with inputs (rows, candidates, channels), every candidate sees the same
    weights. `weight` has shape (inputs, outputs), `bias` (outputs). Without `output` the sum is
    kept exactly.
    """

    name: str
    weight: Array
    bias: Array
    activation: Literal["relu", "linear"]
    output: Format | None
    kind: Literal["dense"] = "dense"

    def unrounded(self, values: Array) -> Array:
        """Give the outputs before they are rounded and saturated."""
        sums = values @ self.weight + self.bias
        return np.maximum(sums, 0.0) if self.activation == "relu" else sums


@dataclass(frozen=True)
class Sum:
    """Sum over the candidates: (rows, candidates, channels) to (rows, channels)."""

    name: str
    output: Format | None
    kind: Literal["sum"] = "sum"

    def unrounded(self, values: Array) -> Array:
        """Give the outputs before they are rounded and saturated."""
        return np.asarray(values.sum(axis=1))


@dataclass(frozen=True)
class SquaredNorm:
    """Sum of the squares of all channels: (rows, channels) to (rows, 1)."""

    name: str
    output: Format | None
    kind: Literal["squared_norm"] = "squared_norm"

    def unrounded(self, values: Array) -> Array:
        """Give the outputs before they are rounded and saturated."""
        return np.asarray((values * values).sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Flatten:
    """One candidate after the other: (rows, candidates, channels) to (rows, channels of all)."""

    name: str
    output: None = None
    kind: Literal["flatten"] = "flatten"

    def unrounded(self, values: Array) -> Array:
        """Give the outputs; nothing is rounded."""
        return values.reshape(len(values), -1)


Layer = Dense | Sum | Flatten | SquaredNorm


def _rounded(output: Format | None, values: Array) -> Array:
    return values if output is None else output.quantise(values)


@dataclass(frozen=True)
class FixedPointNetwork:
    """A network whose every number has a format.

    Parameters
    ----------
    inputs
        How quantities become numbers.
    candidates
        Number of candidates whose quantities are the inputs; 0 for quantities of the jet.
    layers
        From inputs to outputs.
    outputs
        Names of the outputs: classes, or the anomaly score.
    """

    inputs: InputNumbers
    candidates: int
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the inputs of one jet."""
        own = (len(self.inputs.names),)
        return (self.candidates, *own) if self.candidates else own

    def steps(self, inputs: Array) -> Iterator[tuple[Layer, Array, Array]]:
        """Give each layer with its outputs before and after rounding.

        Parameters
        ----------
        inputs
            (rows, *input_shape), as `InputNumbers.quantise` gives them.
        """
        values = inputs
        for layer in self.layers:
            unrounded = layer.unrounded(values)
            values = _rounded(layer.output, unrounded)
            yield layer, unrounded, values

    def evaluate(self, inputs: Array, rows_at_once: int = 16384) -> Array:
        """Give the outputs, (rows, outputs), exactly; `inputs` as in `steps`."""
        pieces = []
        for start in range(0, len(inputs), rows_at_once):
            values = inputs[start : start + rows_at_once]
            for _, _, outputs in self.steps(values):
                values = outputs
            pieces.append(values)
        return np.concatenate(pieces) if pieces else np.empty((0, len(self.outputs)))

    def check(self) -> None:
        """Check shapes, weights and that float64 holds every sum exactly.

        Raises
        ------
        InputError
            Names the layer at fault.
        """
        width = len(self.inputs.names)
        magnitude = _largest(self.inputs.format)
        fractional = self.inputs.format.fractional
        for layer in self.layers:
            if isinstance(layer, Dense):
                if layer.weight.shape != (width, len(layer.bias)):
                    raise InputError(
                        f"layer {layer.name}: weights of shape {layer.weight.shape} for {width} "
                        f"inputs and {len(layer.bias)} outputs"
                    )
                if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
                    raise InputError(f"layer {layer.name}: a weight is not finite; train again")
            magnitude, fractional = _reach(layer, self.candidates, magnitude, fractional)
            width = len(magnitude)
            needed = int(np.ceil(np.log2(magnitude.max(initial=1.0))))
            needed += int(fractional.max(initial=0)) + 1
            if needed > EXACT_BITS:
                raise InputError(
                    f"layer {layer.name}: its sums need {needed} bits, and {EXACT_BITS} can be "
                    "checked exactly; take fewer bits for weights or inputs"
                )
            if layer.output is not None:
                if layer.output.channels != width:
                    raise InputError(
                        f"layer {layer.name}: formats of {layer.output.channels} outputs, not "
                        f"{width}"
                    )
                fractional = np.minimum(fractional, layer.output.fractional)
                magnitude = np.minimum(magnitude, _largest(layer.output))
        if width != len(self.outputs):
            raise InputError(f"{width} outputs have {len(self.outputs)} names")


def _largest(numbers: Format) -> Array:
    return np.asarray(np.maximum(numbers.highest, -numbers.lowest))


def _reach(
    layer: Layer, candidates: int, magnitude: Array, fractional: NDArray[np.int64]
) -> tuple[Array, NDArray[np.int64]]:
    """Bound the absolute value of every partial sum of a layer, and give its fractional bits."""
    if isinstance(layer, Dense):
        deepest = max(
            enclosing(layer.weight)[2] + int(fractional.max(initial=0)), enclosing(layer.bias)[2]
        )
        sums = magnitude @ np.abs(layer.weight) + np.abs(layer.bias)
        return sums, np.full(len(layer.bias), deepest)
    if isinstance(layer, Sum):
        return magnitude * candidates, fractional
    if isinstance(layer, Flatten):
        return np.tile(magnitude, candidates), np.tile(fractional, candidates)
    squares = (magnitude * magnitude).sum(keepdims=True)
    return squares, np.array([2 * int(fractional.max(initial=0))])


def write(path: Path, network: FixedPointNetwork, about: Mapping[str, Any]) -> None:
    """Write a network as JSON, with what is known `about` it (plain values)."""
    content = {
        "format": VERSION,
        "about": dict(about),
        "candidates": network.candidates,
        "outputs": list(network.outputs),
        "inputs": {
            "names": list(network.inputs.names),
            "shift": network.inputs.shift.tolist(),
            "exponent": network.inputs.exponent.tolist(),
            "format": network.inputs.format.as_dict(),
        },
        "layers": [_layer_content(layer) for layer in network.layers],
    }
    write_text(path, json.dumps(content, allow_nan=False) + "\n")


def read(path: Path) -> tuple[FixedPointNetwork, dict[str, Any]]:
    """Read what `write` wrote: the network, and what is known about it.

    Raises
    ------
    InputError
        The file is not there or not a network, or its layers do not fit.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != VERSION:
            raise InputError(f"{path}: format {content['format']}, not {VERSION}; quantise again")
        inputs = content["inputs"]
        network = FixedPointNetwork(
            inputs=InputNumbers(
                tuple(inputs["names"]),
                np.array(inputs["shift"], dtype=np.float64),
                np.array(inputs["exponent"], dtype=np.int64),
                Format.from_dict(inputs["format"]),
            ),
            candidates=int(content["candidates"]),
            layers=tuple(_layer(one) for one in content["layers"]),
            outputs=tuple(content["outputs"]),
        )
        about = dict(content["about"])
    except FileNotFoundError:
        raise InputError(f"{path}: no such network; quantise the model first") from None
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(f"{path}: not a fixed-point network ({problem}); quantise again") from None
    try:
        network.check()
    except InputError as problem:
        raise InputError(f"{path}: {problem}") from None
    return network, about


def _layer_content(layer: Layer) -> dict[str, Any]:
    output = None if layer.output is None else layer.output.as_dict()
    content: dict[str, Any] = {"kind": layer.kind, "name": layer.name, "output": output}
    if isinstance(layer, Dense):
        content |= {
            "activation": layer.activation,
            "weight": layer.weight.tolist(),
            "bias": layer.bias.tolist(),
        }
    return content


def _layer(content: Mapping[str, Any]) -> Layer:
    output = None if content["output"] is None else Format.from_dict(content["output"])
    kind, name = content["kind"], str(content["name"])
    if kind == "dense":
        activation = content["activation"]
        if activation not in ("relu", "linear"):
            raise ValueError(f"layer {name}: activation {activation!r} is not relu or linear")
        return Dense(
            name,
            np.array(content["weight"], dtype=np.float64),
            np.array(content["bias"], dtype=np.float64),
            activation,
            output,
        )
    if kind == "sum":
        return Sum(name, output)
    if kind == "flatten":
        return Flatten(name)
    if kind == "squared_norm":
        return SquaredNorm(name, output)
    raise ValueError(f"layer {name}: no kind is called {kind!r}")
