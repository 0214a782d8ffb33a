"""Networks as adders, tables and selections of bits: no multiplier (da4ml, arXiv:2507.04535).

Products with constant matrices become shifted sums that share parts. Numbers carry the interval of
their values, so that logic for saturation is made only where a value can leave its format.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from da4ml.cmvm import solver_options_t
from da4ml.trace import FixedVariableArray, HWConfig, comb_trace
from da4ml.trace.fixed_variable import FixedVariable
from da4ml.trace.pipeline import to_pipeline
from da4ml.types import CombLogic, Pipeline, minimal_kif
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.fixed_network import Dense, FixedPointNetwork, Layer, SquaredNorm, Sum
from fullchain.firmware.fixed_point import Format, mantissa_bits

Array = NDArray[np.float64]
Wires = NDArray[np.object_]
"""Arrays of `FixedVariable`: numbers that the logic makes."""

SOLVER_BITS = 24
"""Bits of a weight that da4ml's solver takes: those of float32."""

INPUT, SELECTION, TABLE, ADDITIONS = -1, 6, 8, (0, 1, 4)
"""Numbers of da4ml's operations: additions are of two numbers, or with a constant."""


@dataclass(frozen=True)
class Method:
    """How logic is made; the fields are those of `RtlSettings` of the same name."""

    delay_constraint: int | None
    adder_size: int
    carry_size: int | None
    table_bits: int

    @property
    def hardware(self) -> HWConfig:
        """Sizes for da4ml's estimates of cost and delay."""
        return HWConfig(self.adder_size, _or_any(self.carry_size), -1)

    @property
    def solver(self) -> solver_options_t:
        """Options of da4ml's solver."""
        return {"hard_dc": _or_any(self.delay_constraint)}


def _or_any(number: int | None) -> int:
    """Give a number as da4ml has it, where -1 is for none."""
    return -1 if number is None else number


def combinational(network: FixedPointNetwork, method: Method) -> CombLogic:
    """Give the logic of a network, without registers.

    Its inputs are those of the network, one candidate after the other; an input that no output
    depends on gets no bits.

    Raises
    ------
    InputError
        A weight has more bits than the solver takes (names the layer).
    """
    return _logic(network, network.layers, method)


def _logic(network: FixedPointNetwork, layers: Sequence[Layer], method: Method) -> CombLogic:
    inputs = _inputs(network, method)
    values = inputs
    for layer in layers:
        values = _layer(layer, values, method)
    return comb_trace(list(inputs.ravel()), list(values.ravel()))


def _inputs(network: FixedPointNetwork, method: Method) -> Wires:
    numbers = network.inputs.format
    shape = network.input_shape
    signed, integer, fractional = (
        np.broadcast_to(bits, shape)
        for bits in (numbers.signed.astype(np.int64), numbers.integer, numbers.fractional)
    )
    made = FixedVariableArray.from_kif(signed, integer, fractional, hwconf=method.hardware)
    return np.asarray(made._vars, dtype=object)


def _layer(layer: Layer, values: Wires, method: Method) -> Wires:
    if isinstance(layer, Dense):
        rows = values.reshape(-1, values.shape[-1])
        made = [_dense(layer, row, method) for row in rows]
        return np.stack(made).reshape(*values.shape[:-1], len(layer.bias))
    if isinstance(layer, Sum):
        return _rounded(layer.output, _sum(values, method), method)
    if isinstance(layer, SquaredNorm):
        squares = [_square(value, method) for value in values]
        return _rounded(layer.output, _sum(_wires(squares)[:, None], method), method)
    return values.reshape(-1)


def _wires(values: Sequence[FixedVariable]) -> Wires:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def _sum(values: Wires, method: Method) -> Wires:
    """Sum over the first axis by a tree, (rows, channels) to (channels)."""
    array = FixedVariableArray(values, method.solver, hwconf=method.hardware)
    return np.asarray(np.sum(array, axis=0)._vars, dtype=object).reshape(values.shape[1])


def _dense(layer: Dense, values: Wires, method: Method) -> Wires:
    """Product with the weights, bias, activation, rounding: (inputs) to (outputs)."""
    if int(mantissa_bits(layer.weight).max(initial=0)) > SOLVER_BITS:
        raise InputError(
            f"layer {layer.name}: a weight has more than the {SOLVER_BITS} bits that the solver of "
            "da4ml takes; quantise it with fewer"
        )
    constant = np.array([value.low == value.high for value in values])
    known = np.array([float(value.low) if value.low == value.high else 0.0 for value in values])
    start = known @ layer.weight + layer.bias
    weight = layer.weight[~constant]
    used = (weight != 0).any(axis=0)
    sums = _wires([_constant(value, method) for value in start])
    if used.any():
        # Inputs that no output uses would only make the matrix larger.
        rows = (weight != 0).any(axis=1)
        alive = FixedVariableArray(values[~constant][rows], method.solver, hwconf=method.hardware)
        product = (alive @ weight[np.ix_(rows, used)])._vars
        sums[used] = [
            value + float(first) for value, first in zip(product, start[used], strict=True)
        ]
    if layer.activation == "linear":
        return _rounded(layer.output, sums, method)
    if layer.output is None:
        return _wires([_relu(value, method) for value in sums])
    # Without a sign the format does what the ReLU would, and one constant is bias and rounding.
    return _rounded(_without_sign(layer.output), sums, method)


def _without_sign(given: Format) -> Format:
    return Format(np.zeros_like(given.signed), given.integer, given.fractional)


def _constant(value: float, method: Method) -> FixedVariable:
    return FixedVariable.from_const(float(value), hwconf=method.hardware)


def _relu(value: FixedVariable, method: Method) -> FixedVariable:
    if value.low == value.high:
        return _constant(max(float(value.low), 0.0), method)
    return value.relu() if value.low < 0 else value


def _rounded(output: Format | None, values: Wires, method: Method) -> Wires:
    """Round half up and saturate each channel, as `Format.quantise` does."""
    if output is None:
        return values
    formats = zip(output.signed, output.integer, output.fractional, strict=True)
    return _wires(
        [
            _narrow(value, bool(signed), int(integer), int(fractional), method)
            for value, (signed, integer, fractional) in zip(values, formats, strict=True)
        ]
    )


def _narrow(
    value: FixedVariable, signed: bool, integer: int, fractional: int, method: Method
) -> FixedVariable:
    if value.low == value.high:
        given = Format.uniform(1, signed=signed, integer=integer, fractional=fractional)
        return _constant(given.quantise(np.array([float(value.low)]))[0], method)
    if signed + integer + fractional <= 0:
        return _constant(0.0, method)
    if signed and value.low < 0:
        return value.quantize(1, integer, fractional, overflow_mode="SAT", round_mode="RND")
    if integer + fractional <= 0:
        return _constant(0.0, method)
    rounded = _rounded_positive(value, fractional)
    top = 2.0**integer - 2.0**-fractional
    if rounded.high <= top:
        return rounded
    return _saturated(rounded, integer, fractional, top)


def _rounded_positive(value: FixedVariable, fractional: int) -> FixedVariable:
    """Give the ReLU of a number, rounded half up."""
    step = 2.0**-fractional
    shifted = value + step / 2 if value.step < step else value
    if shifted.low >= 0:
        # Not by a ReLU: Verilog that da4ml 0.6.0 makes of one takes the first bit for a sign where
        # the number is the negation of one that is always negative.
        return shifted.quantize(0, shifted.kif[1], fractional)
    return shifted.relu(None, fractional)


def _saturated(value: FixedVariable, integer: int, fractional: int, top: float) -> FixedVariable:
    """Give the lesser of a number that is not negative and of `top`, all of whose bits are 1.

    Where any of the bits beyond the format is set, all bits are: this takes a gate for each bit,
    and a comparison would take a subtraction before it.
    """
    beyond = value.quantize(0, value.kif[1], -integer)
    kept = value.quantize(0, integer, fractional)
    interval = (0.0, top, 2.0**-fractional)
    if sum(beyond.kif) == 1:
        # da4ml would take the last bit of `value` itself, which its interpreter misreads in
        # numbers without sign; it keeps a negation.
        return beyond.unary_bit_op("not").msb_mux(kept, top, qint=interval)
    return beyond.unary_bit_op("any").msb_mux(top, kept, qint=interval)


def _square(value: FixedVariable, method: Method) -> FixedVariable:
    """Give the square of a number from tables, each of `table_bits` bits at most.

    A wider number is h 2^m + l; with the squares of h, of l and of h + l,
    (h 2^m + l)^2 = (4^m - 2^m) h^2 + (1 - 2^m) l^2 + 2^m (h + l)^2.
    """
    if value.low == value.high:
        return _constant(float(value.low) ** 2, method)
    signed, integer, fractional = (int(number) for number in value.kif)
    bits = signed + integer + fractional
    if bits <= method.table_bits:
        lowest, steps = float(value.low), round(float((value.high - value.low) / value.step))
        return value.lookup((lowest + np.arange(steps + 1) * float(value.step)) ** 2)
    half = bits // 2
    low = value.quantize(0, half - fractional, fractional)
    high = value.quantize(signed, integer, fractional - half) * 2.0**-half
    squares = [_square(part, method) for part in (high, low, high + low)]
    factors = (4.0**half - 2.0**half, 1.0 - 2.0**half, 2.0**half)
    parts = [square * factor for square, factor in zip(squares, factors, strict=True)]
    total = parts[0] + parts[2] + parts[1]
    largest = float(max(abs(value.low), abs(value.high))) ** 2
    return total.quantize(0, int(np.floor(np.log2(largest))) + 1, 2 * fractional)


def pipelined(
    logic: CombLogic, latency_cutoff: int, stages_at_most: int | None
) -> tuple[Pipeline, int]:
    """Put registers into logic, so that it takes new inputs with each clock.

    Parameters
    ----------
    logic
        From `combinational`.
    latency_cutoff
        Levels of adders between registers at most.
    stages_at_most
        Where there are more stages, the smallest cutoff is taken that does not give more.

    Returns
    -------
    tuple
        Pipeline, and the cutoff taken.

    Raises
    ------
    InputError
        No output depends on an input.
    """
    if not any(operation.opcode == INPUT for operation in logic.ops):
        raise InputError(
            "no output depends on an input: weights or activations are pruned too much; train again"
        )
    depth = float(logic.latency[1])
    cutoff = latency_cutoff
    if stages_at_most is not None:
        cutoff = max(cutoff, int(np.ceil(depth / stages_at_most)))
    return to_pipeline(logic, cutoff, verbose=False), cutoff


def run(pipeline: Pipeline, inputs: Array) -> Array:
    """Give the outputs of each row of inputs, (rows, inputs) to (rows, outputs), by da4ml."""
    values = np.ascontiguousarray(inputs, dtype=np.float64)
    for stage in pipeline.solutions:
        # da4ml cannot pack an empty list of tables.
        logic = stage if stage.lookup_tables else stage._replace(lookup_tables=None)
        values = logic.predict(values, n_threads=1)
    return values


def check(network: FixedPointNetwork, pipeline: Pipeline, inputs: Array, method: Method) -> None:
    """Compare the logic with the network.

    Parameters
    ----------
    inputs
        (rows, *input_shape).

    Raises
    ------
    InputError
        They differ; names the first layer whose logic does.
    """
    flat = inputs.reshape(len(inputs), -1)
    if np.array_equal(run(pipeline, flat), network.evaluate(inputs)):
        return
    for number, (layer, _, values) in enumerate(network.steps(inputs), start=1):
        logic = _logic(network, network.layers[:number], method)
        found = logic.predict(flat, n_threads=1).reshape(values.shape)
        different = found != values
        if different.any():
            raise InputError(
                f"layer {layer.name}: the logic of da4ml differs from the network in "
                f"{int(different.reshape(len(values), -1).any(axis=1).sum())} of {len(values)} "
                "vectors; take fewer bits, or report the network to da4ml"
            )
    raise InputError(
        "the pipeline of da4ml differs from its own logic; take another firmware.rtl.latency_cutoff"
    )


def numbers(pipeline: Pipeline) -> dict[str, Any]:
    """Describe a pipeline in plain values: formats, sizes, and da4ml's estimate of its cost.

    Formats are [signed, integer bits without the sign, fractional bits] of each input and output,
    in the order of the ports from the lowest bit. `delay` is the depth of the slowest stage.
    """
    inputs = [_bits(interval) for interval in pipeline.inp_qint]
    outputs = [_bits(interval) for interval in pipeline.out_qint]
    operations = [one.opcode for stage in pipeline.solutions for one in stage.ops]
    return {
        "stages": len(pipeline.solutions),
        "initiation_interval": 1,
        "estimate": {"lut": round(pipeline.cost), "ff": int(pipeline.reg_bits)},
        "adders": sum(one in ADDITIONS for one in operations),
        "selections": sum(abs(one) == SELECTION for one in operations),
        "tables": sum(one == TABLE for one in operations),
        "depth": float(pipeline.latency[1]),
        "inputs": inputs,
        "outputs": outputs,
        "input_bits": sum(map(sum, inputs)),
        "output_bits": sum(map(sum, outputs)),
    }


def _bits(interval: Any) -> list[int]:
    return [int(number) for number in minimal_kif(interval)]
