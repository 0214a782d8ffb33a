"""What a fixed-point network is made of: layers, bits, pruned numbers, effective bit operations."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.firmware.ebops import ebops
from fullchain.firmware.fixed_network import Dense, FixedPointNetwork
from fullchain.firmware.fixed_point import Format, mantissa_bits

Array = NDArray[np.float64]


def census(network: FixedPointNetwork) -> dict[str, Any]:
    """Give what is known of a network from its numbers alone.

    Bits of a weight are those from its first to its last 1; effective bit operations are those of
    `ebops`.

    Gives `layers`, each with sizes and formats, the `bits` of inputs and layers (see `bits`), and
    the sums `ebops`, `weights`, `zero_weights`, `mean_weight_bits` (of all weights, pruned ones
    with 0), `largest_weight_bits`.
    """
    layers = []
    operations = ebops(network)
    width = len(network.inputs.names)
    for layer in network.layers:
        one: dict[str, Any] = {"name": layer.name, "kind": layer.kind, "inputs": width}
        one["ebops"] = operations[layer.name]
        if isinstance(layer, Dense):
            own = mantissa_bits(layer.weight)
            one |= {
                "activation": layer.activation,
                "weights": own.size,
                "zero_weights": int((own == 0).sum()),
                "weight_bits": int(own.sum()),
                "largest_weight_bits": int(own.max(initial=0)),
            }
            width = len(layer.bias)
        elif layer.kind == "flatten":
            width *= network.candidates
        elif layer.kind == "squared_norm":
            width = 1
        one |= {"outputs": width, "format": described(layer.output)}
        layers.append(one)
    dense = [one for one in layers if one["kind"] == "dense"]
    weights = sum(one["weights"] for one in dense)
    return {
        "layers": layers,
        "bits": bits(network),
        "ebops": sum(operations.values()),
        "weights": weights,
        "zero_weights": sum(one["zero_weights"] for one in dense),
        "mean_weight_bits": sum(one["weight_bits"] for one in dense) / weights,
        "largest_weight_bits": max(one["largest_weight_bits"] for one in dense),
    }


def bits(network: FixedPointNetwork) -> dict[str, Any]:
    """Describe the bits of each layer: mean, largest, and how many have how many.

    Weights and biases have those between their first and last 1 (0: pruned); activations and inputs
    the width of their format with the sign.
    """
    found: dict[str, Any] = {"inputs": {"activation": _spread(network.inputs.format.width)}}
    for layer in network.layers:
        entry: dict[str, Any] = {}
        if isinstance(layer, Dense):
            entry["weight"] = _spread(mantissa_bits(layer.weight))
            entry["bias"] = _spread(mantissa_bits(layer.bias))
        if layer.output is not None:
            entry["activation"] = _spread(layer.output.width)
        if entry:
            found[layer.name] = entry
    return found


def _spread(widths: NDArray[np.int64]) -> dict[str, Any]:
    return {
        "mean": float(widths.mean()),
        "largest": int(widths.max()),
        "numbers": np.bincount(widths.ravel()).tolist(),
    }


def described(numbers: Format | None) -> dict[str, Any] | None:
    """Give widths of a format, for JSON: fewest, mean and most bits of channels, and the pruned."""
    if numbers is None:
        return None
    width = numbers.width
    kept = width > 0
    if not kept.any():
        return {"fewest": 0, "mean": 0.0, "most": 0, "pruned": len(width), "uniform": None}
    same = len({*zip(numbers.signed[kept], numbers.integer[kept], width[kept], strict=True)}) == 1
    return {
        "fewest": int(width[kept].min()),
        "mean": float(width.mean()),
        "most": int(width.max()),
        "pruned": int((~kept).sum()),
        "uniform": fixed_type(numbers, int(np.flatnonzero(kept)[0])) if same else None,
    }


def fixed_type(numbers: Format, channel: int) -> str:
    """Name the type of a channel as in HLS code, such as `ap_ufixed<6,2>`; "pruned" for none."""
    width = int(numbers.width[channel])
    if width == 0:
        return "pruned"
    signed = bool(numbers.signed[channel])
    integer = int(numbers.integer[channel]) + signed
    return f"ap_{'' if signed else 'u'}fixed<{width},{integer}>"
