"""Losses whose minimum is the likelihood ratio, and networks that learn it."""

import pytest
import torch

from fullchain.errors import InputError
from fullchain.inference import likelihood_ratio
from fullchain.inference.likelihood_ratio import Events, RatioNetworks, log_ratio, loss
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.standardise import Standardisation

P = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
Q = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)


def minimum(kind, link):
    """Free output in each of four cells, with all probabilities known."""
    output = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([output], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        value = log_ratio(output, link)
        total = loss(value, value, P, Q, kind).sum()
        total.backward()
        return total

    optimiser.step(closure)
    return torch.exp(log_ratio(output.detach(), link))


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        ("mlc", "exponential"),
        ("mlc", "square"),
        ("mlc", "softplus"),
        ("cross_entropy", "exponential"),
    ],
)
def test_the_minimum_is_the_ratio(kind, link):
    assert torch.allclose(minimum(kind, link), P / Q, rtol=1e-3)


@pytest.mark.parametrize("link", ["exponential", "square", "softplus"])
def test_an_output_of_zero_is_a_ratio_of_one(link):
    assert log_ratio(torch.zeros(3), link).abs().max() < 1e-5


def networks(degree=3, link="exponential"):
    torch.manual_seed(1)
    return RatioNetworks(3, (8,), Standardisation((0.0, 1.0), (1.0, 0.5)), link, degree, 0.8)


def test_a_nuisance_ratio_is_one_at_the_nominal_value():
    x = torch.randn(3, 50, 2)
    model = networks()
    assert (model(x, torch.tensor(0.0)) == 0).all()
    assert (model(x, torch.tensor(0.5)) != 0).all()


@pytest.mark.parametrize("link", ["exponential", "square"])
def test_tabulated_values_are_those_of_the_networks(link):
    x, nodes = torch.randn(60, 2), torch.tensor([-0.7, 0.0, 0.3])
    model = networks(link=link)
    table = model.at(x, nodes, at_once=17)
    assert table.shape == (3, 60, 3)
    for place, value in enumerate(nodes):
        assert torch.allclose(table[..., place].float(), model(x, value), atol=1e-5)


def part(one, zero, weight=None):
    ones = torch.ones(len(one), 2)
    return (
        {name: Events(one, ones if weight is None else weight) for name in PARTS},
        {name: Events(zero, torch.ones(len(zero), 2)) for name in PARTS},
    )


PARTS = ("training", "validation")


def learned(one, zero, kind="mlc", epochs=1):
    model = likelihood_ratio.build(2, (16,), zero["training"], "exponential", 1)
    settings = TrainingSettings(epochs=epochs, batch_size=200, learning_rate=1e-2)
    likelihood_ratio.learn(one, zero, None, model, kind, settings, 1, "test ratio")
    return model


@pytest.mark.parametrize("kind", ["mlc", "cross_entropy"])
def test_the_ratio_of_two_normals_is_learned_with_weights(kind):
    torch.manual_seed(3)
    # Numerator N(1, 1), half of it at twice the weight; denominator N(0, 1), fewer events.
    one = torch.randn(6000, 2, 1) + 1
    zero = torch.randn(4000, 2, 1)
    model = learned(*part(one, zero), kind, epochs=8)
    x = torch.linspace(-1, 2, 7)[:, None]
    found = model.at(x, torch.zeros(1))[..., 0].mean(0)
    assert (found - (x[:, 0] - 0.5)).abs().max() < 0.15


def test_weights_are_heeded():
    torch.manual_seed(4)
    x = torch.randn(5000, 2, 1)
    # With these weights the numerator is N(1/2, 1).
    weight = torch.exp(0.5 * x[..., 0])
    model = learned(*part(x, torch.randn(5000, 2, 1), weight), epochs=6)
    at = torch.tensor([[-1.0], [0.0], [1.5]])
    found = model.at(at, torch.zeros(1))[..., 0].mean(0)
    assert (found - (0.5 * at[:, 0] - 0.125)).abs().max() < 0.15


def test_what_cannot_be_learned_from_is_named():
    good = torch.randn(50, 2, 1)
    one, zero = part(good, good)
    empty = {name: Events(good[:0], torch.ones(0, 2)) for name in PARTS}
    with pytest.raises(InputError, match="numerator, training: there are no events"):
        learned(empty, zero)
    with pytest.raises(InputError, match="standardisation: there are no events"):
        learned(one, empty)
    bad = good.clone()
    bad[7] = torch.nan
    with pytest.raises(InputError, match="feature 0 of event 7 is not a finite number"):
        learned(part(bad, good)[0], zero)
    nothing = part(good, good, torch.zeros(50, 2))[0]
    with pytest.raises(InputError, match="sum to zero"):
        learned(nothing, zero)
    with pytest.raises(InputError, match="finite and not negative"):
        learned(part(good, good, -torch.ones(50, 2))[0], zero)
