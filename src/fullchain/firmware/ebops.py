"""Effective bit operations of a fixed-point network (Sun et al., arXiv:2405.00645).

A product of a constant and a variable costs the bits of the constant between its first and last 1,
times those of the variable; neither counts the sign. A bias costs its own bits, as in the released
code of HGQ2. The sums behind the products are not counted, nor is `Sum` over candidates. A layer
that is there once for each candidate costs as many times; a square costs the square of the bits.
"""

import numpy as np

from fullchain.firmware.fixed_network import Dense, FixedPointNetwork, Flatten, SquaredNorm
from fullchain.firmware.fixed_point import Bits, mantissa_bits


def ebops(network: FixedPointNetwork) -> dict[str, int]:
    """Give the EBOPs of each layer, by name: exact numbers of the network as it is."""
    bits: Bits = network.inputs.format.bits
    copies = network.candidates or 1
    found: dict[str, int] = {}
    for layer in network.layers:
        found[layer.name] = 0
        if isinstance(layer, Dense):
            products = bits @ mantissa_bits(layer.weight).sum(axis=1)
            found[layer.name] = copies * int(products + mantissa_bits(layer.bias).sum())
        elif isinstance(layer, SquaredNorm):
            found[layer.name] = int((bits * bits).sum())
        elif isinstance(layer, Flatten):
            bits = np.tile(bits, copies)
        if not isinstance(layer, Dense):
            copies = 1
        if layer.output is not None:
            bits = layer.output.bits
    return found
