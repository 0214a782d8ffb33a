"""Quantisers, quantised networks, EBOPs, pruning, export: bits, gradients, exact numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.firmware.ebops import ebops
from fullchain.firmware.export import check_equal, exported, overflows, without_dead
from fullchain.firmware.fixed_network import Dense, FixedPointNetwork, InputNumbers, SquaredNorm
from fullchain.firmware.fixed_point import Format, mantissa_bits
from fullchain.firmware.float_network import FloatNetwork, Trained
from fullchain.firmware.input_scaling import measure, scaled
from fullchain.firmware.layer_plan import plan
from fullchain.firmware.network_settings import ArchitectureSettings, NetworkSettings
from fullchain.firmware.point_settings import PenaltySettings, PointSettings, PruningSettings
from fullchain.firmware.pruning import prune, removed, removed_after, rounds_due
from fullchain.firmware.quantised_network import QuantisedNetwork
from fullchain.firmware.quantisers import (
    LOG2,
    ActivationQuantiser,
    ConstantQuantiser,
    integer_bits,
    rounded,
)
from fullchain.firmware.trainee import Trainee
from fullchain.learning.training import initialised

CANDIDATES = {"inputs": "candidates", "candidates": 3, "shared": [4], "layers": [5]}
ARCHITECTURES = {
    "features": {"layers": [6, 5]},
    "linear": {"layers": []},
    "sum": CANDIDATES,
    "flatten": {**CANDIDATES, "pool": "flatten"},
    "bare sum": {**CANDIDATES, "shared": []},
}
POINTS = {
    "learned": {"ranges": "learned"},
    "maximum": {"ranges": "maximum"},
    "by layer": {"weight_granularity": "layer", "activation_granularity": "layer"},
    "fixed": {"bits": "fixed", "weight_bits": 4, "activation_bits": 4},
    "each": {"bits": "fixed", "weight_bits": 3, "activation_granularity": "layer"},
    "post": {"method": "post", "bits": "fixed", "weight_granularity": "layer"},
}


def trained(architecture, quantities=4, outputs=3, last=(), seed=1):
    chosen = ArchitectureSettings.model_validate(architecture)
    layers = plan(chosen, quantities, outputs, last)
    network = initialised(seed, lambda: FloatNetwork(layers, 8.0))
    names = tuple(f"y{number}" for number in range(1 if last else outputs))
    return Trained(
        network.eval(),
        NetworkSettings(architecture=chosen),
        tuple(f"x{number}" for number in range(quantities)),
        np.linspace(-1.0, 1.0, quantities) // 0.25 * 0.25,
        np.arange(quantities) - 1,
        names,
        names,
    )


def drawn(one, rows=400, seed=2):
    shape = (one.settings.architecture.used_candidates or 1, len(one.quantities))
    values = np.random.default_rng(seed).normal(0, 1.2, (rows, *shape))
    if not one.settings.architecture.used_candidates:
        values = values[:, 0]
    values = values * np.exp2(one.exponent) + one.shift
    return values, scaled(values, one.shift, one.exponent)


def trained_a_little(network, inputs, steps=15, price=1e-3):
    rate = torch.optim.Adam(network.parameters(), 0.02)
    batch = torch.from_numpy(inputs.astype(np.float32))
    network.train()
    for _ in range(steps):
        outputs, cost, _ = network.passed(batch)
        rate.zero_grad()
        ((outputs - batch.flatten(1)[:, :1]).square().mean() + price * cost).backward()
        rate.step()
    return network.eval()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-40, 40, allow_nan=False), min_size=1, max_size=20),
    st.integers(-6, 12),
    st.integers(-6, 6),
    st.booleans(),
)
def test_rounding_in_torch_is_that_of_the_format(values, fractional, integer, signed):
    column = np.array(values)[:, None]
    numbers = Format.uniform(1, signed=signed, integer=integer, fractional=fractional)
    bits = (torch.tensor([float(one)], dtype=torch.float64) for one in (fractional, integer))
    found = rounded(torch.from_numpy(column), *bits, signed).numpy()
    assert (found == numbers.quantise(column)).all()


def test_halves_are_rounded_up_and_ends_saturate():
    bits = torch.tensor([1.0]), torch.tensor([1.0])
    values = torch.tensor([[0.25], [-0.25], [0.74], [5.0], [-5.0]])
    assert rounded(values, *bits, True).flatten().tolist() == [0.5, 0.0, 0.5, 1.5, -2.0]
    assert rounded(values, *bits, False).flatten().tolist() == [0.5, 0.0, 0.5, 1.5, 0.0]


def test_gradients_of_bits_are_the_surrogates_of_the_paper():
    values = torch.tensor([[0.3], [9.0], [-9.0]], requires_grad=True)
    fractional = torch.tensor([1.0], requires_grad=True)
    integer = torch.tensor([2.0], requires_grad=True)
    found = rounded(values, fractional, integer, True)
    found.backward(torch.tensor([[1.0], [0.0], [0.0]]))
    assert values.grad.flatten().tolist() == [1.0, 0.0, 0.0]
    assert fractional.grad.item() == pytest.approx(LOG2 * (0.3 - 0.5))
    assert integer.grad.item() == 0.0
    for row, by_integer, by_fractional in ((1, 4.0, 0.5), (2, -4.0, 0.0)):
        for one in (values, fractional, integer):
            one.grad = None
        gradient = torch.zeros(3, 1)
        gradient[row] = 1.0
        rounded(values, fractional, integer, True).backward(gradient)
        assert values.grad.abs().sum() == 0.0
        assert integer.grad.item() == pytest.approx(math.log(2) * by_integer)
        assert fractional.grad.item() == pytest.approx(math.log(2) * by_fractional)


def test_more_fractional_bits_is_the_direction_that_lowers_the_error():
    values = torch.linspace(0, 3, 200)[:, None]
    fractional = torch.tensor([1.0], requires_grad=True)
    error = (rounded(values, fractional, torch.tensor([3.0]), True) - values).square().sum()
    error.backward()
    assert fractional.grad.item() < 0


def test_integer_bits_hold_powers_of_two_exactly():
    values = torch.tensor([0.0, 0.5, 1.0, 1.0001, 2.0, 3.0])
    assert integer_bits(values).tolist() == [-24, -1, 0, 1, 1, 2]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=12), st.integers(2, 9))
def test_learned_weights_are_rounded_and_their_bits_bound_the_mantissa(values, bits):
    weights = torch.tensor(values, dtype=torch.float64)
    quantiser = ConstantQuantiser(weights, bits, PointSettings(largest_bits=10)).double()
    found, cost = quantiser(weights)
    fractional = quantiser.widths(weights)[0].detach().numpy()
    wanted = np.floor(weights.numpy() * np.exp2(fractional) + 0.5) * np.exp2(-fractional)
    assert (found.detach().numpy() == wanted).all()
    assert (cost.detach().numpy() >= mantissa_bits(wanted)).all()
    assert ((cost.detach().numpy() > 0) == (wanted != 0)).all()


def test_fixed_weights_have_the_bits_that_were_asked_for():
    weights = torch.randn(30, 7, dtype=torch.float64)
    for granularity in ("layer", "weight"):
        how = PointSettings(bits="fixed", weight_granularity=granularity)
        found = ConstantQuantiser(weights, 5, how)(weights)[0].numpy()
        assert mantissa_bits(found).max() <= 5
        step = np.exp2(-4.0 + np.ceil(np.log2(weights.abs().numpy())))
        if granularity == "layer":
            step = np.full_like(step, step.max())
        assert (np.abs(found - weights.numpy()) <= step * 1.0001).all()
        # Those that saturate by rounding alone are not stuck there.
        moving = weights.clone().requires_grad_()
        ConstantQuantiser(weights, 5, how)(moving)[0].sum().backward()
        assert (moving.grad == 1).all()


def test_calibration_takes_the_wanted_part_of_the_values():
    values = torch.cat([torch.rand(999, 1), torch.full((1, 1), 100.0)])
    bits = {}
    for coverage in (0.99, 1.0):
        how = PointSettings(coverage=coverage, bits="fixed", method="post")
        quantiser = ActivationQuantiser(1, signed=False, bits=8, how=how)
        quantiser.calibrate(values)
        bits[coverage] = quantiser.format()
    assert bits[0.99].integer.tolist() == [0] and bits[1.0].integer.tolist() == [7]
    assert bits[0.99].fractional.tolist() == [8] and bits[1.0].fractional.tolist() == [1]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_export_is_exact_for_all_architectures_and_granularities(architecture, point):
    one = trained(ARCHITECTURES[architecture])
    values, inputs = drawn(one)
    how = PointSettings.model_validate(POINTS[point])
    network = QuantisedNetwork(one.network, how)
    network.calibrate(torch.from_numpy(inputs.astype(np.float32)), by="coverage")
    if how.method == "aware":
        trained_a_little(network, inputs)
        network.calibrate(torch.from_numpy(inputs.astype(np.float32)), by="maximum")
    fixed = exported(network, one)
    check_equal(network, fixed, values, inputs)
    outputs = fixed.evaluate(fixed.inputs.quantise(values))
    assert np.ptp(outputs) > 0
    smaller = without_dead(fixed)
    assert (smaller.evaluate(smaller.inputs.quantise(values)) == outputs).all()
    bound = network.passed(torch.from_numpy(inputs))[1].item()
    assert sum(ebops(smaller).values()) <= sum(ebops(fixed).values()) <= bound


def test_export_with_a_squared_norm_is_exact():
    one = trained({"layers": [5]}, last=("squared_norm",))
    values, inputs = drawn(one)
    network = QuantisedNetwork(one.network, PointSettings())
    network.calibrate(torch.from_numpy(inputs.astype(np.float32)), by="coverage")
    fixed = exported(trained_a_little(network, inputs), one)
    assert isinstance(fixed.layers[-1], SquaredNorm) and fixed.layers[-2].output is not None
    check_equal(network, fixed, values, inputs)
    latent = network(torch.from_numpy(inputs)).detach().numpy()
    outputs = fixed.evaluate(fixed.inputs.quantise(values))
    assert (outputs[:, 0] == (latent**2).sum(axis=1)).all()


def test_a_changed_weight_is_found_and_its_layer_named():
    one = trained({"layers": [6, 5]})
    values, inputs = drawn(one)
    network = QuantisedNetwork(one.network, PointSettings())
    network.calibrate(torch.from_numpy(inputs.astype(np.float32)), by="coverage")
    fixed = exported(network, one)
    layer = fixed.layers[1]
    assert isinstance(layer, Dense)
    layer.weight[0, 0] += 1.0
    with pytest.raises(InputError, match=r"layer dense2: .* values of the exported network"):
        check_equal(network, fixed, values, inputs)


def test_many_bits_after_training_are_as_good_as_floating_point():
    one = trained({"layers": [8, 8]})
    values, inputs = drawn(one)
    how = PointSettings(
        method="post", bits="fixed", weight_bits=16, activation_bits=16, input_bits=16,
        coverage=1.0, largest_bits=20,
    )  # fmt: skip
    network = QuantisedNetwork(one.network, how)
    network.calibrate(torch.from_numpy(inputs.astype(np.float32)), by="coverage")
    fixed = exported(network, one)
    wanted = one.network.double().scores(torch.from_numpy(inputs)).detach().numpy()
    found = fixed.evaluate(fixed.inputs.quantise(values))
    assert found == pytest.approx(wanted, abs=2e-2)
    assert max(count for count, _ in overflows(fixed, values).values()) <= 2


def test_ebops_of_a_small_network_are_those_by_hand():
    inputs = InputNumbers(
        ("a", "b"), np.zeros(2), np.zeros(2, dtype=int),
        Format(np.array([True, True]), np.array([1, 0]), np.array([2, 1])),
    )  # fmt: skip
    # Bits of inputs without sign: 3 and 1; of weights 5 = 101 -> 3, 0.5 -> 1, 3/8 -> 2, 0 -> 0.
    first = Dense(
        "first", np.array([[5.0, 0.5], [0.375, 0.0]]), np.array([1.0, 0.75]), "relu",
        Format.uniform(2, signed=False, integer=2, fractional=2),
    )  # fmt: skip
    last = Dense("last", np.array([[1.0], [-7.0]]), np.array([0.0]), "linear", None)
    network = FixedPointNetwork(inputs, 0, (first, last), ("y",))
    assert ebops(network) == {"first": 3 * (3 + 1) + 1 * 2 + (1 + 2), "last": 4 * 1 + 4 * 3}


def test_shared_layers_cost_once_for_each_candidate():
    one = trained(CANDIDATES)
    _, inputs = drawn(one)
    network = QuantisedNetwork(one.network, PointSettings())
    network.calibrate(torch.from_numpy(inputs.astype(np.float32)), by="coverage")
    fixed = exported(network, one)
    layer = fixed.layers[0]
    assert isinstance(layer, Dense)
    single = fixed.inputs.format.bits @ mantissa_bits(layer.weight).sum(axis=1)
    assert ebops(fixed)["shared1"] == 3 * (single + mantissa_bits(layer.bias).sum())


def test_the_penalty_lowers_ebops():
    one = trained({"layers": [8]})
    _, inputs = drawn(one)
    found = []
    for price in (0.0, 3e-4, 3e-3):
        network = QuantisedNetwork(one.network, PointSettings())
        network.calibrate(torch.from_numpy(inputs.astype(np.float32)), by="coverage")
        trained_a_little(network, inputs, steps=60, price=price)
        found.append(sum(ebops(exported(network, one)).values()))
    assert found[0] > found[1] > found[2]


def test_the_price_rises_to_its_last_value():
    penalty = PenaltySettings(ebops=1e-3, first=1e-5)
    one = trained({"layers": [4]})
    trainee = Trainee(one.network, torch.nn.Identity(), 100, penalty, None).train()
    prices = []
    for step in (0, 50, 100):
        trainee.step.fill_(step)
        prices.append(trainee.price())
    assert prices == pytest.approx([1e-5, 1e-4, 1e-3])
    assert trainee.eval().price() == 1e-3


def test_dead_channels_are_removed_and_the_outputs_stay():
    one = trained({"layers": [6, 5]})
    values, inputs = drawn(one)
    with torch.no_grad():
        one.network.dense["dense1"].mask[1] = 0.0
        one.network.dense["dense2"].mask[2] = 0.0
    network = QuantisedNetwork(one.network, PointSettings())
    network.calibrate(torch.from_numpy(inputs.astype(np.float32)), by="coverage")
    fixed = exported(network, one)
    smaller = without_dead(fixed)
    first = smaller.layers[0]
    assert smaller.inputs.format.width[1] == 0 and first.output.width[2] == 0
    assert (first.weight[:, 2] == 0).all() and first.bias[2] == 0
    same = [network.evaluate(network.inputs.quantise(values)) for network in (fixed, smaller)]
    assert (same[0] == same[1]).all()


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.93])
def test_pruning_removes_exactly_what_was_asked_for(fraction):
    one = trained({"layers": [9, 7]})
    layers = list(one.network.dense.values())
    how = PruningSettings(fraction=fraction, rounds=4)
    weights = sum(layer.weight.numel() for layer in layers)
    before = 0
    for rounds in range(1, 5):
        prune(layers, removed_after(rounds, weights, how))
        assert removed(layers) == removed_after(rounds, weights, how) > before
        before = removed(layers)
    assert before == round(fraction * weights)
    sizes = [one.weight.abs() / one.weight.square().mean().sqrt() for one in layers]
    kept, gone = (
        torch.cat([size[one.mask == value] for size, one in zip(sizes, layers, strict=True)])
        for value in (1, 0)
    )
    assert gone.max() <= kept.min()


def test_rounds_of_pruning_follow_the_training():
    how = PruningSettings(rounds=3, start=0.2, end=0.6)
    assert [rounds_due(p, how) for p in (0.0, 0.19, 0.2, 0.39, 0.4, 0.59, 0.6, 1.0)] == [
        0, 0, 1, 1, 2, 2, 3, 3,
    ]  # fmt: skip
    assert rounds_due(0.0, PruningSettings(rounds=1, start=0.0)) == 1


def test_scales_are_powers_of_two_and_shifts_on_their_grid():
    generator = np.random.default_rng(3)
    values = generator.normal([10.0, -3.0], [3.0, 0.1], (5000, 2))
    shift, exponent = measure(values, ("a", "b"), "jets")
    assert exponent.tolist() == [2, -3]
    assert (shift * np.exp2(3.0 - exponent) % 1 == 0).all()
    assert shift == pytest.approx([10.0, -3.0], abs=0.3)


def test_candidates_that_are_not_there_stay_zero():
    values = np.random.default_rng(4).normal(5.0, 1.0, (300, 4, 2))
    values[:, 2:] = 0.0
    shift, exponent = measure(values, ("pt", "eta"), "jets")
    assert (shift == 0).all() and exponent.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "b has 500 values that are not finite"), (7.0, "b is 7 for all")],
)
def test_constant_and_infinite_features_are_named(value, message):
    values = np.random.default_rng(5).normal(size=(500, 2))
    values[:, 1] = value
    with pytest.raises(InputError, match=message):
        measure(values, ("a", "b"), "the jets")


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (PointSettings, {"method": "post"}, "trains nothing"),
        (PenaltySettings, {"ebops": 1e-6, "first": 1e-5}, "above the last"),
        (PruningSettings, {"start": 0.6, "end": 0.5}, "ends before"),
        (ArchitectureSettings, {"shared": [3]}, "for inputs: candidates"),
        (ArchitectureSettings, {"layers": [0]}, "no outputs"),
    ],
)
def test_settings_that_do_not_fit_are_refused(model, values, message):
    with pytest.raises(ValidationError, match=message):
        model.model_validate(values)
