"""Fixed-point networks with random weights, for tests."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from fullchain.firmware.fixed_network import (
    Dense,
    FixedPointNetwork,
    InputNumbers,
    Layer,
    SquaredNorm,
    Sum,
)
from fullchain.firmware.fixed_point import Format


def random_network(
    sizes: Sequence[int] = (4, 5, 3),
    *,
    candidates: int = 0,
    weight_bits: int = 4,
    activation_bits: int = 4,
    seed: int = 1,
    uniform: bool = False,
    norm: bool = False,
) -> FixedPointNetwork:
    """Give a network of dense layers of these sizes, ReLU between them.

    Half of the weights are zero; with `uniform` all channels of a layer have one format, else bits
    differ from channel to channel and some are pruned. With `candidates` the first layer is shared
    by all candidates and summed; with `norm` the output is the squared norm of the last layer.
    """
    generator = np.random.default_rng(seed)
    inputs = InputNumbers(
        tuple(f"x{number}" for number in range(sizes[0])),
        np.zeros(sizes[0]),
        np.zeros(sizes[0], dtype=np.int64),
        Format.uniform(sizes[0], signed=True, integer=1, fractional=activation_bits - 2),
    )
    layers: list[Layer] = []
    for number, (size, wide) in enumerate(itertools.pairwise(sizes)):
        last = number == len(sizes) - 2
        limit = 2 ** (weight_bits - 1)
        weight = generator.integers(-limit + 1, limit, (size, wide)) / limit
        weight *= generator.random(weight.shape) < 0.5
        bias = generator.integers(-limit, limit, wide) / limit
        integer = np.full(wide, 2)
        fractional = np.full(wide, activation_bits - 2)
        if not uniform:
            fractional = fractional - generator.integers(0, activation_bits + 1, wide)
        output = Format(np.zeros(wide, dtype=bool), integer, fractional)
        if last and norm:
            output = Format.uniform(wide, signed=True, integer=2, fractional=2)
        kept = None if last and not norm else output
        layers.append(Dense(f"dense{number + 1}", weight, bias, "linear" if last else "relu", kept))
        if candidates and number == 0:
            layers.append(Sum("sum", Format.uniform(wide, signed=False, integer=4, fractional=2)))
    names = tuple(f"y{number}" for number in range(sizes[-1]))
    if norm:
        layers.append(SquaredNorm("norm", None))
        names = ("score",)
    network = FixedPointNetwork(inputs, candidates, tuple(layers), names)
    network.check()
    return network


@pytest.fixture(name="random_network")
def random_network_fixture() -> Callable[..., FixedPointNetwork]:
    """Give the function above to tests."""
    return random_network
