"""Simulate a pipeline of gates for many vectors at once: one bit of a word for each clock.

A net is the sequence of its values, clock after clock, 64 of them in a word. A lookup table is then
a few operations on words, and a register a shift by one bit. New vectors enter with each clock, as
in the detector: what is compared is the pipeline at work, not one vector at a time.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.netlist import Netlist
from fullchain.firmware.primitives import Delay, Net

Words: TypeAlias = NDArray[np.uint64]
Bits: TypeAlias = NDArray[np.bool_]

WORD = 64


def simulate(
    netlist: Netlist, inputs: Mapping[str, Bits], output: str, vectors_at_once: int = 65_536
) -> Bits:
    """Give what an output is for each vector.

    Parameters
    ----------
    inputs
        For each input port, (vectors, bits) from the lowest bit.
    output
        Name of the output port.
    vectors_at_once
        Vectors in a block; the pipeline is filled anew for each.

    Returns
    -------
    Bits
        (vectors, bits).

    Raises
    ------
    InputError
        Ports or their numbers of bits are not those of the netlist.
    """
    if output not in netlist.outputs or set(inputs) != set(netlist.inputs):
        raise InputError(
            f"ports are {', '.join([*netlist.inputs, *netlist.outputs])}, not "
            f"{', '.join([*inputs, output])}"
        )
    for port, nets in netlist.inputs.items():
        if inputs[port].shape[1] != len(nets):
            raise InputError(
                f"port {port} has {len(nets)} bits, and {inputs[port].shape[1]} are given"
            )
    vectors = len(next(iter(inputs.values())))
    pieces = [np.empty((0, len(netlist.outputs[output])), dtype=np.bool_)]
    for start in range(0, vectors, vectors_at_once):
        block = {port: bits[start : start + vectors_at_once] for port, bits in inputs.items()}
        pieces.append(_block(netlist, block, output))
    return np.concatenate(pieces)


def _block(netlist: Netlist, inputs: Mapping[str, Bits], output: str) -> Bits:
    vectors = len(next(iter(inputs.values())))
    latency = netlist.latency(output)
    words = -(-(vectors + latency) // WORD)
    zeros = np.zeros(words, dtype=np.uint64)
    values: dict[Net, Words] = {"0": zeros, "x": zeros, "z": zeros, "1": ~zeros}
    for port, nets in netlist.inputs.items():
        for net, bits in zip(nets, inputs[port].T, strict=True):
            values[net] = _packed(bits, words)
    for part in netlist.parts:
        if isinstance(part, Delay):
            values[part.output] = delayed(values[part.source], part.cycles)
        else:
            given = [values[net] for net in part.inputs]
            values[part.output] = looked_up(part.table, given, zeros)
    nets = netlist.outputs[output]
    found = np.empty((vectors, len(nets)), dtype=np.bool_)
    for number, net in enumerate(nets):
        bits = np.unpackbits(values[net].astype("<u8").view(np.uint8), bitorder="little")
        found[:, number] = bits[latency : latency + vectors]
    return found


def _packed(bits: Bits, words: int) -> Words:
    padded = np.zeros(words * WORD, dtype=np.bool_)
    padded[: len(bits)] = bits
    packed = np.packbits(padded, bitorder="little").view("<u8")
    return np.asarray(packed, dtype=np.uint64)


def delayed(values: Words, cycles: int) -> Words:
    """Give the values `cycles` clocks later; zeros come first."""
    whole, bits = divmod(cycles, WORD)
    moved = np.zeros_like(values)
    moved[whole:] = values[: len(values) - whole] << np.uint64(bits)
    if bits:
        moved[whole + 1 :] |= values[: max(len(values) - whole - 1, 0)] >> np.uint64(WORD - bits)
    return moved


def looked_up(table: int, inputs: list[Words], zeros: Words) -> Words:
    """Give the values of a lookup table.

    Parameters
    ----------
    table
        Bit n is the value where the inputs, the first one the lowest bit, are the number n.
    inputs
        Values of each input.
    zeros
        Words of zeros, as many as inputs have.
    """
    if not inputs:
        return ~zeros if table & 1 else zeros
    *others, last = inputs
    size = 1 << len(others)
    full = (1 << size) - 1
    low, high = table & full, (table >> size) & full
    if low == high:
        return looked_up(low, others, zeros)
    if low ^ high == full:
        return looked_up(low, others, zeros) ^ last
    if high == 0:
        return looked_up(low, others, zeros) & ~last
    if low == 0:
        return looked_up(high, others, zeros) & last
    if high == full:
        return looked_up(low, others, zeros) | last
    if low == full:
        return looked_up(high, others, zeros) | ~last
    below, above = looked_up(low, others, zeros), looked_up(high, others, zeros)
    return np.asarray(below ^ ((below ^ above) & last))
