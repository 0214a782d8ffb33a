"""Weights with a distribution: layers, architectures, and posteriors that are known."""

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from fullchain.learning.standardise import Standardisation
from fullchain.learning.training import initialised
from fullchain.tagging import bayesian, onnx_file
from fullchain.tagging.bayesian import MEAN, VariationalLinear, VariationalOutput, sampled_logits
from fullchain.tagging.posterior import Posterior, posterior
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import Tagger, probabilities
from fullchain.tagging.variational_loss import NegativeBound, effective_number
from fullchain.tagging.views import view_of

NETWORKS: dict[str, dict[str, Any]] = {
    "pfn": {"phi": [8, 8], "f": [8]},
    "efn": {"phi": [8, 8], "f": [8]},
    "particlenet": {"neighbours": 3, "blocks": [[8, 8], [8, 8]], "fc": [8]},
    "part": {"embedding": [8, 16], "pairs": [8], "heads": 2, "blocks": 1, "class_blocks": 1},
    "lgatr": {"blocks": 1, "vector_channels": 4, "scalar_channels": 8, "heads": 2},
    "lund": {"blocks": [[8, 8]], "head": [8]},
    "mlp": {"layers": [8, 8]},
}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tagger_of(kind: str, layers: str, **changes: Any) -> Tagger:
    settings = TaggerSettings.model_validate(
        {
            "architecture": {"kind": kind, **NETWORKS[kind]},
            "n_constituents": 6,
            "bayesian": {"layers": layers, "samples": 7, "initial_width": 0.2},
            **changes,
        }
    )
    number = len(view_of(settings).features)
    scale = Standardisation((0.0,) * number, (1.0,) * number)
    tagger = initialised(5, lambda: Tagger(settings, scale))
    assert isinstance(tagger, Tagger)
    return tagger


def some_jets(tagger: Tagger, jets: int = 5) -> dict[str, NDArray[Any]]:
    """Random inputs of any view."""
    generator = np.random.default_rng(1)
    found = {}
    for name, example in tagger.view.examples.items():
        shape = (jets, *example.shape[1:])
        if example.dtype == torch.bool:
            found[name] = np.ones(shape, dtype=bool)
        elif name == "neighbours":
            found[name] = generator.integers(0, shape[1], shape).astype(np.int32)
        else:
            found[name] = generator.normal(size=shape).astype(np.float32)
    if "constituents" in found:
        found["constituents"][..., 0] = 1 + generator.exponential(5, size=(jets, 6))
        found["constituents"][..., 3] = 0.14
        found["jet"][:, 0], found["jet"][:, 3] = 30.0, 10.0
    return found


def tensors_of(arrays: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("layers", ["last", "all"])
def test_every_network_can_have_distributions(kind: str, layers: str) -> None:
    tagger = tagger_of(kind, layers)
    arrays = some_jets(tagger)
    batch = {
        **tensors_of(arrays),
        "target": torch.tensor([0, 1, 1, 0, 1]),
        "weight": torch.ones(5),
    }
    found = bayesian.layers(tagger)
    outputs = [layer for layer in found if isinstance(layer, VariationalOutput)]
    assert len(outputs) == 1 and (len(found) == 1) == (layers == "last")
    assert not any(type(module) is nn.Linear for module in tagger.modules()) or layers == "last"
    tagger.train()
    objective = NegativeBound(tagger.view, rotate=False, jets=100.0, samples=7)
    terms = objective(tagger, batch)
    assert terms["loss"].item() == pytest.approx(
        terms["cross_entropy"].item() + bayesian.divergence(tagger).item() / 100, rel=1e-5
    )
    # Each pass has weights of its own.
    assert objective(tagger, batch)["loss"] != terms["loss"]
    terms["cross_entropy"].backward()
    for layer in found:
        for parameter in layer.parameters():
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all()
    moved = [bool(p.grad.abs().sum() > 0) for one in found for p in (one.weight_log_width,)]
    assert sum(moved) >= len(moved) - 1  # the pair of values of a lone token may be without effect
    # In evaluation nothing is left to chance.
    tagger.eval()
    assert objective(tagger, batch)["loss"] == objective(tagger, batch)["loss"]
    samples = sampled_logits(tagger, tensors_of(arrays), [MEAN, 0, 1, 0])
    assert torch.equal(samples[1], samples[3]) and not torch.equal(samples[1], samples[2])
    torch.testing.assert_close(samples[0], tagger(tensors_of(arrays)))
    one = sampled_logits(tagger, tensors_of(arrays), [1])
    torch.testing.assert_close(one[0], samples[2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["pfn", "part", "lgatr"])
@pytest.mark.parametrize("layers", ["last", "all"])
def test_rows_do_not_depend_on_each_other(kind: str, layers: str) -> None:
    tagger = tagger_of(kind, layers)
    arrays = some_jets(tagger, 5)
    whole = posterior(tagger, arrays, CPU)
    for size in (1, 3):
        pieces = posterior(tagger, arrays, CPU, batch_size=size)
        np.testing.assert_allclose(pieces.mean, whole.mean, atol=2e-6)
        np.testing.assert_allclose(pieces.variance, whole.variance, rtol=2e-3, atol=1e-9)
    turned = {name: values[::-1].copy() for name, values in arrays.items()}
    other = posterior(tagger, turned, CPU)
    np.testing.assert_allclose(other.mean[::-1], whole.mean, atol=2e-6)
    # Padding and order of the particles change nothing either.
    padded = copy.deepcopy(arrays)
    padded["constituents"][:, 4:, 0] = 0.0
    mixed = {**padded, "constituents": padded["constituents"][:, [2, 0, 4, 3, 1, 5]].copy()}
    mixed["constituents"][:, [2, 5], 1:3] = 7.0
    np.testing.assert_allclose(
        posterior(tagger, mixed, CPU).mean, posterior(tagger, padded, CPU).mean, atol=5e-6
    )


@pytest.mark.parametrize("layers", ["last", "all"])
def test_mean_and_variance_are_those_of_the_samples(layers: str) -> None:
    tagger = tagger_of("pfn", layers)
    arrays = some_jets(tagger)
    arrays["constituents"][3] = 0.0
    found = posterior(tagger, arrays, CPU)
    samples = sampled_logits(tagger, tensors_of(arrays), range(7)).double().softmax(dim=2)
    kept = [0, 1, 2, 4]
    np.testing.assert_allclose(found.mean[kept], samples.mean(dim=0)[kept].detach(), rtol=1e-5)
    np.testing.assert_allclose(found.variance[kept], samples.var(dim=0)[kept].detach(), rtol=1e-4)
    assert np.isnan(found.mean[3]).all() and np.isnan(found.variance[3]).all()
    np.testing.assert_array_equal(probabilities(tagger, arrays, CPU), found.mean.astype(np.float32))


def test_trainings_together_are_a_mixture() -> None:
    generator = np.random.default_rng(3)
    mean, variance = generator.uniform(size=(2, 4, 3, 2))
    found = Posterior(mean, 0.1 * variance, mean).mixture()
    draws = generator.normal(mean, np.sqrt(0.1 * variance), size=(200_000, 4, 3, 2))
    np.testing.assert_allclose(found.mean, draws.mean(axis=(0, 1)), atol=3e-3)
    np.testing.assert_allclose(found.variance, draws.var(axis=(0, 1)), rtol=0.02)
    # Folds inside seeds are the same as all at once.
    halves = [Posterior(mean[k], 0.1 * variance[k], mean[k]) for k in ([0, 1], [2, 3])]
    pairs = [one.mixture() for one in halves]
    both = Posterior(
        np.stack([one.mean for one in pairs]),
        np.stack([one.variance for one in pairs]),
        np.stack([one.at_mean for one in pairs]),
    ).mixture()
    np.testing.assert_allclose(both.variance, found.variance)


def test_divergence_is_that_of_torch() -> None:
    linear = nn.Linear(4, 3)
    layer = VariationalLinear(linear, prior_width=0.7, initial_width=0.2, per_jet=True)
    with torch.no_grad():
        layer.weight_log_width.uniform_(-3, 1)
    prior = Normal(0.0, 0.7)
    expected = kl_divergence(Normal(layer.weight_mean, layer.weight_log_width.exp()), prior).sum()
    expected += kl_divergence(Normal(linear.bias, 0.2 * torch.ones(3)), prior).sum()
    assert layer.divergence().item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("kind", [VariationalLinear, VariationalOutput])
def test_drawing_outputs_is_drawing_weights(kind: type[VariationalLinear]) -> None:
    """Mean and variance of the outputs of one jet, in both ways and by hand."""
    torch.manual_seed(2)
    linear = nn.Linear(3, 2)
    layer = kind(linear, prior_width=1.0, initial_width=0.3, per_jet=True).train()
    row = torch.tensor([[0.5, -1.0, 2.0]])
    per_jet = layer(row.expand(20_000, 3)).detach()
    layer.per_jet = False
    weights = torch.stack([layer(row)[0].detach() for _ in range(4000)])
    width = 0.3 * math.sqrt(1 + 0.25 + 1 + 4)
    rows = layer.weight_mean.shape[0]
    for found in (per_jet, weights):
        logits = found[:, :rows]
        expected = (row @ layer.weight_mean.T + layer.bias_mean).detach()[0]
        torch.testing.assert_close(logits.mean(dim=0), expected, atol=0.05, rtol=0)
        torch.testing.assert_close(
            logits.std(dim=0), torch.full((rows,), width), rtol=0.04, atol=0.0
        )
    # Jets have noise of their own in the one way, and the same in the other.
    assert layer(row.expand(2, 3)).diff(dim=0).abs().max() == 0
    layer.per_jet = True
    assert layer(row.expand(2, 3)).diff(dim=0)[:, :rows].abs().min() > 0


def test_layers_know_what_is_called_for_each_jet() -> None:
    pfn = tagger_of("pfn", "all")
    rows = {name: m.per_jet for name, m in pfn.named_modules() if isinstance(m, VariationalLinear)}
    assert rows == {
        "network.phi.0": False,
        "network.phi.2": False,
        "network.f.0": True,
        "network.output": True,
    }
    net = tagger_of("particlenet", "all")
    rows = {name: m.per_jet for name, m in net.named_modules() if isinstance(m, VariationalLinear)}
    assert rows["network.output"] and rows["network.fc.0"]
    assert not any(on for name, on in rows.items() if "blocks" in name)


def test_the_network_before_is_that_of_the_same_seed() -> None:
    """At the means of the weights a Bayesian tagger begins as the one without distributions."""
    tagger = tagger_of("pfn", "all").eval()
    plain = tagger_of("pfn", "all", bayesian=None).eval()
    tensors = tensors_of(some_jets(tagger))
    torch.testing.assert_close(
        tagger(tensors).log_softmax(dim=1), plain(tensors).log_softmax(dim=1)
    )


@pytest.mark.parametrize(("kind", "layers"), [("pfn", "last"), ("mlp", "all")])
def test_onnx_is_equal_to_torch(kind: str, layers: str, tmp_path: Any) -> None:
    classes = {
        "t": {"samples": ["tt"], "labels": ["top"]},
        "w": {"samples": ["tt"], "labels": ["W"]},
        "q": {"samples": ["qcd"], "labels": ["gluon", "light"]},
    }
    tagger = tagger_of(kind, layers, classes=classes)
    settings = TaggerSettings.model_validate(
        {"architecture": {"kind": kind, **NETWORKS[kind]}, "n_constituents": 6, "classes": classes}
    )
    path = tmp_path / "model.onnx"
    onnx_file.save_onnx(path, [tagger], settings)
    session = onnxruntime.InferenceSession(path)
    for jets in (1, 6):
        arrays = some_jets(tagger, jets)
        (found,) = session.run(["probabilities"], arrays)
        expected = posterior(tagger, arrays, CPU)
        wanted = expected.mean if layers == "last" else expected.at_mean
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    # The samples matter: what is exported is not the network at the means, nor the other way round.
    other = expected.at_mean if layers == "last" else expected.mean
    assert np.abs(found - other).max() > 1e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": {"kind": "trees"}}, "trees have no weights that could have a distrib"),
        ({"architecture": {"kind": "lgatr", "variant": "full"}}, "take variant slim"),
        ({"bayesian": {"layers": "first"}}, "last"),
        (
            {
                "classes": {
                    "std": {"samples": ["tt"], "labels": ["top"]},
                    "b": {"samples": ["tt"], "labels": ["b"]},
                    "c": {"samples": ["tt"], "labels": ["light"]},
                }
            },
            "'std' would give its column",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TaggerSettings.model_validate({"bayesian": {}, **changes})


def test_effective_number_of_jets() -> None:
    assert effective_number(torch.ones(40)) == pytest.approx(40)
    assert effective_number(torch.tensor([2.0, 2.0, 0.0])) == pytest.approx(2)
    with_negative = torch.tensor([1.0] * 75 + [-1.0] * 25)
    assert effective_number(with_negative) == pytest.approx(25)
