"""Formats, networks of fixed-point numbers, test vectors."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.errors import InputError
from fullchain.firmware import fixed_network, stimuli
from fullchain.firmware.fixed_network import (
    Dense,
    FixedPointNetwork,
    Flatten,
    InputNumbers,
    SquaredNorm,
    Sum,
)
from fullchain.firmware.fixed_point import Format, enclosing, mantissa_bits


def test_a_format_rounds_half_up_and_saturates() -> None:
    numbers = Format.uniform(6, signed=True, integer=1, fractional=2)
    found = numbers.quantise(np.array([0.125, -0.125, 0.13, 5.0, -5.0, 1.9]))
    np.testing.assert_array_equal(found, [0.25, 0.0, 0.25, 1.75, -2.0, 1.75])
    counts = numbers.overflows(np.array([[0.125, -0.125, 0.13, 5.0, -5.0, 1.9]]))
    np.testing.assert_array_equal(counts, [0, 0, 0, 1, 1, 1])


def test_a_channel_without_bits_is_zero() -> None:
    numbers = Format(np.array([True, False]), np.array([-3, 3]), np.array([2, -1]))
    np.testing.assert_array_equal(numbers.width, [0, 2])
    np.testing.assert_array_equal(numbers.quantise(np.array([1.0, 5.0])), [0.0, 6.0])


@given(st.integers(-(2**20), 2**20), st.integers(-10, 10))
def test_bits_of_a_constant(value: int, exponent: int) -> None:
    bits = mantissa_bits(np.array([value * 2.0**exponent]))[0]
    assert bits == len(bin(abs(value))[2:].rstrip("0"))


@given(st.lists(st.integers(-(2**15), 2**15), min_size=1, max_size=8), st.integers(-8, 8))
def test_the_enclosing_format_holds_all_values_and_no_narrower_one_does(
    values: list[int], exponent: int
) -> None:
    numbers = np.array(values) * 2.0**exponent
    signed, integer, fractional = enclosing(numbers)
    if not numbers.any():
        assert (signed, integer, fractional) == (False, 0, 0)
        return
    size = len(numbers)

    def holds(integer: int, fractional: int) -> bool:
        chosen = Format.uniform(size, signed=signed, integer=integer, fractional=fractional)
        return bool((chosen.quantise(numbers) == numbers).all())

    assert holds(integer, fractional)
    assert not holds(integer - 1, fractional)
    assert not holds(integer, fractional - 1)


def small_network(candidates: int = 0) -> FixedPointNetwork:
    generator = np.random.default_rng(3)
    inputs = InputNumbers(
        ("pt", "eta", "phi"),
        np.array([1.0, 0.0, 0.5]),
        np.array([3, 0, -1]),
        Format.uniform(3, signed=True, integer=2, fractional=3),
    )
    hidden = Format(
        np.zeros(4, dtype=bool), np.array([2, 1, 0, 3]), np.array([2, 3, 0, 1], dtype=np.int64)
    )
    weights = generator.integers(-7, 8, (3, 4)) / 8
    first = Dense("first", weights, generator.integers(-8, 8, 4) / 8, "relu", hidden)
    last_weights = generator.integers(-7, 8, (4, 2)) / 4
    last = Dense("last", last_weights, np.array([0.25, -0.5]), "linear", None)
    layers = (first, Sum("sum", hidden), last) if candidates else (first, last)
    return FixedPointNetwork(inputs, candidates, layers, ("a", "b"))


@pytest.mark.parametrize("candidates", [0, 5])
def test_a_network_is_the_same_in_integers(candidates: int) -> None:
    network = small_network(candidates)
    network.check()
    generator = np.random.default_rng(1)
    quantities = generator.normal(1.0, 4.0, (200, *network.input_shape))
    inputs = network.inputs.quantise(quantities)
    found = network.evaluate(inputs, rows_at_once=64)
    values = np.round(inputs * 8).astype(object)  # Python's integers: 3 fractional bits
    first = network.layers[0]
    assert isinstance(first, Dense) and first.output is not None
    sums = values.dot((first.weight * 8).astype(int)) + (first.bias * 64).astype(int)
    sums = np.maximum(sums, 0)

    def rounded(sums: np.ndarray, fractional: int) -> np.ndarray:
        assert isinstance(first, Dense) and first.output is not None
        shift = fractional - first.output.fractional
        half = np.where(shift > 0, 2 ** np.maximum(shift - 1, 0), 0)
        shifted = (sums + half) // 2**shift
        top = 2**first.output.bits - 1
        return np.minimum(shifted, top) * 2 ** (6 - first.output.fractional)

    hidden = rounded(sums, 6)
    if candidates:
        hidden = rounded(hidden.sum(axis=1), 6)
    last = network.layers[-1]
    assert isinstance(last, Dense)
    expected = hidden.dot((last.weight * 4).astype(int)) + (last.bias * 256).astype(int)
    np.testing.assert_array_equal(found, expected.astype(float) / 256)


def test_flatten_and_norm() -> None:
    numbers = Format.uniform(2, signed=True, integer=1, fractional=1)
    inputs = InputNumbers(("x", "y"), np.zeros(2), np.zeros(2, dtype=np.int64), numbers)
    layers = (Flatten("flat"), SquaredNorm("norm", None))
    network = FixedPointNetwork(inputs, 2, layers, ("score",))
    network.check()
    values = np.array([[[1.0, 0.5], [-2.0, 1.5]]])
    np.testing.assert_array_equal(network.evaluate(values), [[1 + 0.25 + 4 + 2.25]])


def test_a_network_survives_its_file(tmp_path: Path) -> None:
    for candidates in (0, 4):
        network = small_network(candidates)
        path = tmp_path / "network.json"
        fixed_network.write(path, network, {"model": "small"})
        again, about = fixed_network.read(path)
        assert about == {"model": "small"}
        inputs = stimuli.random_inputs(
            network.inputs.format, network.input_shape, 500, np.random.default_rng(0)
        )
        np.testing.assert_array_equal(network.evaluate(inputs), again.evaluate(inputs))


def test_files_that_are_no_networks_are_named(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    with pytest.raises(InputError, match="no such network"):
        fixed_network.read(path)
    path.write_text('{"format": 1}')
    with pytest.raises(InputError, match="not a fixed-point network"):
        fixed_network.read(path)


def test_sums_that_float64_does_not_hold_are_refused() -> None:
    network = small_network()
    first = network.layers[0]
    assert isinstance(first, Dense)
    fine = Dense("deep", first.weight + 2.0**-50, first.bias, "relu", first.output)
    wrong = FixedPointNetwork(network.inputs, 0, (fine, network.layers[1]), ("a", "b"))
    with pytest.raises(InputError, match="layer deep: its sums need"):
        wrong.check()


def test_quantities_without_a_number_are_named() -> None:
    quantities = np.ones((3, 3))
    quantities[1, 2] = np.nan
    with pytest.raises(InputError, match="phi of row 1 is nan"):
        small_network().inputs.quantise(quantities)


def test_random_vectors_reach_all_values_and_extreme_ones_the_ends() -> None:
    network = small_network()
    generator = np.random.default_rng(0)
    random = stimuli.random_inputs(network.inputs.format, network.input_shape, 5000, generator)
    for column in random.T:
        assert len(np.unique(column)) == 2**6
    numbers = network.inputs.format
    np.testing.assert_array_equal(random, numbers.quantise(random))
    extreme = stimuli.extreme_inputs(network.inputs.format, network.input_shape, 50, generator)
    assert set(np.unique(extreme)) == {-4.0, 3.875}
    assert (extreme[0] == -4.0).all() and (extreme[1] == 3.875).all()


def test_a_comparison_counts_rows() -> None:
    expected = np.zeros((4, 2))
    found = expected.copy()
    found[1] = 0.5
    found[3, 0] = -2.0
    counted = stimuli.comparison(expected, found, np.array([0, 0, 1, 2], dtype=np.int8))
    assert counted["vectors"] == 4 and counted["mismatches"] == 2
    assert counted["largest_difference"] == 2.0
    assert [one["mismatches"] for one in counted["by_origin"].values()] == [1, 0, 1]
