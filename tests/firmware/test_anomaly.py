"""Anomaly models: losses with known minimum, what trains them, what becomes firmware."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from fullchain.errors import InputError
from fullchain.firmware import anomaly_task, float_network
from fullchain.firmware.anomaly_objective import (
    ReconstructionObjective,
    VariationalObjective,
    divergences,
    trained_on,
)
from fullchain.firmware.anomaly_settings import AnomalySettings, AutoencoderSettings
from fullchain.firmware.export import without_dead
from fullchain.firmware.fixed_network import Dense, FixedPointNetwork, Flatten, InputNumbers, Sum
from fullchain.firmware.fixed_point import Format
from fullchain.firmware.layer_plan import plan
from fullchain.firmware.reconstruction_error import with_error
from fullchain.firmware.trigger_jets import Labelled, TriggerJets
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import initialised, train


def test_divergence_is_that_of_two_normal_distributions():
    means = torch.tensor([[0.0, 1.0, -2.0]])
    log_variance = torch.tensor([0.0, 0.0, np.log(0.25)])
    found = divergences(means, log_variance)[0].tolist()
    # By hand: 0; 1/2; (4 + 1/4 - 1 + ln 4) / 2.
    assert found == pytest.approx([0.0, 0.5, (3.25 + np.log(4)) / 2])
    normal = torch.distributions.Normal
    known = torch.distributions.kl_divergence(
        normal(means, (0.5 * log_variance).exp()), normal(0.0, 1.0)
    )
    assert found == pytest.approx(known[0].tolist())


def settings_of(**values):
    return AnomalySettings.model_validate({"architecture": {"quantities": ["x"]}} | values)


class Linear(nn.Module):
    def __init__(self, objective, inputs, dimensions):
        super().__init__()
        self.encoder, self.objective = nn.Linear(inputs, dimensions), objective

    def forward(self, batch):
        return self.objective(self.encoder(batch["inputs"]), batch)


def test_linear_model_of_normal_data_finds_the_principal_components():
    # Probabilistic PCA (Tipping, Bishop 1999): with eigenvalues l > s^2 of the covariance the
    # posterior has the variance s^2 / l, the means one of 1 - s^2 / l, the divergence is
    # ln(l / s^2) / 2 for each dimension, and dimensions that l < s^2 leaves are not used.
    generator = np.random.default_rng(1)
    spreads, noise = np.array([2.0, 1.0, 0.2]), 0.5
    turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    rows = torch.tensor(generator.normal(size=(6000, 3)) * spreads @ turn, dtype=torch.float32)
    columns = {"inputs": rows, "weight": torch.ones(6000)}
    settings = settings_of(dimensions=3, decoder=[], noise=noise, clip=100.0)
    model = initialised(3, lambda: Linear(VariationalObjective(settings, 3), 3, 3))
    history = train(
        model,
        lambda one, batch: one(batch),
        columns,
        columns,
        TrainingSettings(epochs=60, batch_size=256, learning_rate=2e-2, patience=60),
        seed=2,
    )
    wanted = np.array([noise**2 / 4.0, noise**2, 1.0])
    assert np.sort(model.objective.log_variance.detach().exp()) == pytest.approx(wanted, rel=0.07)
    with torch.no_grad():
        means = model.encoder(rows)
    assert np.sort(means.var(dim=0)) == pytest.approx(np.sort(1 - wanted), abs=0.03)
    final = history.validation[history.best_epoch]
    divergence = -0.5 * np.log(wanted).sum()
    assert final["divergence"] == pytest.approx(divergence, rel=0.03)
    # |x - decoded|^2: s^2 times the part of the posterior (1 - s^2/l per dimension) and what the
    # mean leaves, (s^2/l)^2 l; in all s^2 for each used dimension, and l of the unused one.
    assert final["reconstruction"] == pytest.approx((2 * noise**2 + 0.04) / 3, rel=0.03)
    price = 2 * noise**2 / 3
    assert final["loss"] == pytest.approx(final["reconstruction"] + price * final["divergence"])


def test_noise_is_drawn_in_training_and_fixed_in_evaluation():
    objective = VariationalObjective(settings_of(dimensions=2), 3)
    outputs = torch.ones(8, 2)
    batch = {"inputs": torch.ones(8, 3), "weight": torch.ones(8)}
    objective.eval()
    first, second = (objective(outputs, batch)["loss"].item() for _ in range(2))
    assert first == second
    objective.train()
    first, second = (objective(outputs, batch)["loss"].item() for _ in range(2))
    assert first != second


def test_losses_are_weighted_and_of_what_the_network_can_see():
    objective = ReconstructionObjective(clip=2.0)
    batch = {"inputs": torch.tensor([[5.0, 0.0], [1.0, 1.0]]), "weight": torch.tensor([0.5, 1.5])}
    outputs = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    # Row 0 is clipped to (2, 0), which is what was given; row 1 is off by 2 in one of two.
    assert objective(outputs, batch)["loss"].item() == pytest.approx((0.5 * 0 + 1.5 * 2.0) / 2)


def jets():
    number = 6
    columns = TriggerJets(np.zeros((number, 1)), np.zeros((number, 1, 1)), {}, ("x",), ("pt",))
    return Labelled(
        columns,
        np.array([0, 1, 2, -1, -1, 0]),
        np.full(number, "train"),
        np.array([0, 0, 1, 1, 0, 0]),
        ("qcd", "tt"),
    )


def test_only_the_background_trains():
    classes = ("q", "g", "t")
    found = trained_on(settings_of(), jets(), classes)
    assert found.tolist() == [True, True, False, False, False, True]
    everything = settings_of(classes=[], samples=["qcd"])
    assert trained_on(everything, jets(), classes).tolist() == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]
    with pytest.raises(InputError, match=r"class b, which is none of q, g, t"):
        trained_on(settings_of(classes=["b"]), jets(), classes)
    with pytest.raises(InputError, match=r"sample qcd2; there are jets of qcd, tt"):
        trained_on(settings_of(samples=["qcd2"]), jets(), classes)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (AnomalySettings, {"classes": []}, "nothing to train on"),
        (AnomalySettings, {"decoder": [0]}, "decoder"),
        (AnomalySettings, {"distillation": {"tagger": "pfn"}}, "no teacher"),
        (AutoencoderSettings, {"architecture": {"layers": [4]}}, "names its inputs"),
        (
            AutoencoderSettings,
            {"architecture": {"layers": [16, 3], "quantities": ["zlogz", "n2_b1"]}},
            "narrower than the 2 inputs",
        ),
    ],
)
def test_settings_that_make_no_sense(kind, given, words):
    with pytest.raises(ValueError, match=words):
        kind.model_validate(given)


def test_the_decoder_is_no_part_of_the_network():
    settings = settings_of(architecture={"quantities": list("abcde"), "layers": [7]}, dimensions=2)
    task, classes = anomaly_task.LATENT, ("q", "g")
    objective = task.objective(settings, classes, 5)
    assert any(name.startswith("decoder") for name, _ in objective.named_parameters())
    assert task.outputs(settings, classes) == ("score",)
    layers = plan(settings.architecture, 5, task.width(settings, classes), task.last)
    assert [(layer.kind, layer.inputs, layer.outputs) for layer in layers] == [
        ("dense", 5, 7), ("dense", 7, 2), ("squared_norm", 2, 1),
    ]  # fmt: skip


def test_an_autoencoder_has_as_many_outputs_as_inputs():
    names = [f"q{number}" for number in range(3)]
    architecture = {
        "inputs": "candidates", "quantities": names, "candidates": 2, "pool": "flatten",
        "layers": [2],
    }  # fmt: skip
    settings = AutoencoderSettings.model_validate({"architecture": architecture})
    task = anomaly_task.AUTOENCODER
    assert task.width(settings, ()) == 6
    outputs = task.outputs(settings, ())
    assert len(outputs) == len(set(outputs)) == 6
    assert outputs[3:] == ("q0_1", "q1_1", "q2_1")


def test_background_is_judged_with_errors_over_events():
    scores = np.random.default_rng(1).normal(3.0, 2.0, (4000, 1))
    target = np.zeros(4000, dtype=np.intp)
    found = anomaly_task.judge_background(scores, target, np.arange(4000), (), 100, 1)
    assert abs(found["mean"][0] - 3.0) < 4 * found["mean"][1]
    assert found["mean"][1] == pytest.approx(2.0 / np.sqrt(4000), rel=0.25)
    assert abs(found["deviation"][0] - 2.0) < 4 * found["deviation"][1]


def test_an_autoencoder_is_judged_by_its_error_and_not_by_what_it_gives():
    settings = AutoencoderSettings.model_validate(
        {"architecture": {"quantities": ["x", "y"], "layers": [1]}, "clip": 2.0}
    )
    network = float_network.build(settings, 2, ("q",))
    with torch.no_grad():
        for one in network.parameters():
            one.zero_()
    trained = float_network.Trained(
        network, settings, ("x", "y"), np.zeros(2), np.zeros(2, dtype=np.int64), ("x", "y"), ("q",)
    )
    # The network gives 0, so that the error is the square of the inputs as they were clipped.
    inputs = np.array([[1.0, -1.0], [5.0, 0.5]])
    found = float_network.judged_scores(trained, inputs)
    np.testing.assert_allclose(found, [[2.0], [4.25]])


def numbers(channels, *, integer=2, fractional=3):
    return Format.uniform(channels, signed=True, integer=integer, fractional=fractional)


def autoencoder(sizes, *, candidates=0, seed=1):
    """Give a network with random weights whose outputs are as many as its inputs."""
    generator = np.random.default_rng(seed)
    names = tuple(f"x{number}" for number in range(sizes[0]))
    # Widths differ from input to input: one is pruned, one has no sign.
    inputs = Format(
        np.array([True] * (sizes[0] - 1) + [False]),
        np.arange(sizes[0]) % 3,
        np.where(np.arange(sizes[0]) == 1, -2, 3),
    )
    wide = [sizes[0] * max(candidates, 1), *sizes[1:], sizes[0] * max(candidates, 1)]
    layers = [Flatten("flatten")] if candidates else []
    for number, (below, above) in enumerate(pairwise(wide)):
        weight = generator.integers(-7, 8, (below, above)) / 8
        bias = generator.integers(-7, 8, above) / 8
        last = number == len(wide) - 2
        output = None if last else Format.uniform(above, signed=False, integer=2, fractional=3)
        layers.append(Dense(f"d{number}", weight, bias, "linear" if last else "relu", output))
    zeros = np.zeros(sizes[0], dtype=np.int64)
    network = FixedPointNetwork(
        InputNumbers(names, np.zeros(sizes[0]), zeros, inputs),
        candidates,
        tuple(layers),
        tuple(f"y{number}" for number in range(wide[-1])),
    )
    network.check()
    return network


@pytest.mark.parametrize(
    ("sizes", "candidates"), [((5, 6, 2, 4), 0), ((4, 2), 0), ((3, 4), 3), ((4,), 0)]
)
def test_error_of_an_autoencoder_is_exact(sizes, candidates):
    network = autoencoder(sizes, candidates=candidates)
    found = with_error(network)
    assert found.outputs == ("score",)
    assert {layer.kind for layer in found.layers} <= {"dense", "flatten", "squared_norm"}
    generator = np.random.default_rng(2)
    shape = (3000, *network.input_shape)
    inputs = network.inputs.format.quantise(generator.uniform(-5, 5, shape))
    inputs[0], inputs[1] = network.inputs.format.lowest, network.inputs.format.highest
    given = inputs.reshape(len(inputs), -1)
    copies = max(candidates, 1)
    steps = Format(
        np.ones(given.shape[1], dtype=bool),
        np.tile(network.inputs.format.integer, copies),
        np.tile(network.inputs.format.fractional, copies),
    )
    wanted = (steps.quantise(network.evaluate(inputs) - given) ** 2).sum(axis=1)
    assert np.array_equal(found.evaluate(inputs)[:, 0], wanted)
    assert len(np.unique(wanted)) > 100


def test_networks_that_are_no_autoencoders_are_named(random_network):
    with pytest.raises(InputError, match=r"layer dense2: 3 outputs for 4 inputs"):
        with_error(random_network((4, 5, 3)))
    with pytest.raises(InputError, match=r"layer norm: of kind squared_norm"):
        with_error(random_network((4, 5, 4), norm=True))
    with pytest.raises(InputError, match=r"layer .*pool to flatten"):
        with_error(random_network((4, 5, 4), candidates=2))
    network = autoencoder((4, 2))
    rounded = Dense("d1", np.zeros((2, 4)), np.zeros(4), "linear", numbers(4))
    with pytest.raises(InputError, match=r"layer d1: the last layer"):
        with_error(
            FixedPointNetwork(network.inputs, 0, (network.layers[0], rounded), network.outputs)
        )
    exact = Dense("d0", np.zeros((4, 2)), np.zeros(2), "relu", None)
    with pytest.raises(InputError, match=r"layer d0: inputs pass hidden layers"):
        with_error(
            FixedPointNetwork(network.inputs, 0, (exact, network.layers[1]), network.outputs)
        )
    shared = FixedPointNetwork(network.inputs, 2, (Sum("sum", None), *network.layers), ("y",) * 4)
    with pytest.raises(InputError, match=r"layer sum: what candidates share"):
        with_error(shared)


def test_an_input_that_nothing_reconstructs_counts_in_the_error() -> None:
    numbers = Format.uniform(2, signed=True, integer=2, fractional=2)
    inputs = InputNumbers(("x", "y"), np.zeros(2), np.zeros(2, dtype=np.int64), numbers)
    hidden = Format.uniform(1, signed=False, integer=2, fractional=2)
    layers = (
        Dense("first", np.array([[1.0], [0.0]]), np.zeros(1), "relu", hidden),
        Dense("last", np.array([[1.0, 0.0]]), np.zeros(2), "linear", None),
    )
    whole = with_error(FixedPointNetwork(inputs, 0, layers, ("x", "y")))
    kept = without_dead(whole)
    values = np.array([[1.0, 2.5], [-1.0, 0.0], [0.5, -3.0]])
    np.testing.assert_array_equal(kept.evaluate(values)[:, 0], [6.25, 1.0, 9.0])
