"""Losses of summaries: known answers."""

import numpy as np
import pytest
import torch

from fullchain.inference import summary_losses as losses
from fullchain.inference.summary_losses import Events, LearnedEdges, Yields


def yields(total, signal, derivatives, simulation=None):
    """Of one member, in double precision."""

    def tensor(values):
        return torch.tensor([values], dtype=torch.float64)

    nothing = np.zeros(len(total)).tolist() if simulation is None else simulation
    return Yields(tensor(total), tensor(signal), tensor(derivatives), tensor(nothing))


def test_inferno_of_a_counting_experiment():
    # 100 events of which 10 signal, background known to 10 %: (10 + 81)/... of the signal.
    found = losses.inferno(yields([100.0], [10.0], [[9.0]]), torch.ones(1, dtype=torch.float64))
    assert float(found) == pytest.approx(np.sqrt(100.0 + 81.0) / 10.0)


def test_limited_simulation_adds_its_variance():
    precision = torch.ones(1, dtype=torch.float64)
    by_nuisance = losses.inferno(yields([100.0], [10.0], [[9.0]]), precision)
    by_simulation = losses.inferno(yields([100.0], [10.0], [[0.0]], [81.0]), precision)
    assert float(by_simulation) == pytest.approx(float(by_nuisance))


def test_asimov_significance_without_uncertainty():
    s, b = torch.tensor(10.0).double(), torch.tensor(100.0).double()
    found = losses.asimov_significance(s, b, torch.zeros_like(b))
    expected = np.sqrt(2 * (110 * np.log(1.1) - 10))
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_asimov_significance_against_the_written_formula():
    s, b, variance = 10.0, 100.0, 225.0
    written = np.sqrt(
        2
        * (
            (s + b) * np.log((s + b) * (b + variance) / (b**2 + (s + b) * variance))
            - b**2 / variance * np.log(1 + variance * s / (b * (b + variance)))
        )
    )
    found = losses.asimov_significance(*(torch.tensor(x).double() for x in (s, b, variance)))
    assert float(found) == pytest.approx(written, rel=1e-9)
    # For a small signal: s / sqrt(b + variance)
    small = losses.asimov_significance(*(torch.tensor(x).double() for x in (0.01, b, variance)))
    assert float(small) == pytest.approx(0.01 / np.sqrt(b + variance), rel=1e-3)


def test_significance_adds_bins_in_quadrature():
    one = losses.significance(yields([110.0], [10.0], [[0.0]]), torch.ones(1).double())
    two = losses.significance(
        yields([110.0, 110.0], [10.0, 10.0], [[0.0, 0.0]]), torch.ones(1).double()
    )
    assert float(one / two) == pytest.approx(np.sqrt(2.0), rel=1e-6)


def test_likelihood_is_the_significance_of_a_counting_experiment():
    found = losses.likelihood(yields([110.0], [10.0], [[0.0]]), torch.ones(1).double())
    expected = np.sqrt(2 * (110 * np.log(1.1) - 10))
    assert float(1 / found) == pytest.approx(expected, rel=1e-5)


def test_likelihood_approaches_the_information_for_a_small_signal():
    # Two bins, so that the nuisance parameter is measured in the one without signal.
    given = yields([1e4, 2e4], [10.0, 0.5], [[300.0, 500.0], [50.0, -80.0]], [900.0, 400.0])
    precision = torch.tensor([1.0, 0.0], dtype=torch.float64)
    information = losses.inferno(given, precision)
    assert float(losses.likelihood(given, precision)) == pytest.approx(float(information), rel=0.01)


def test_gradient_of_the_profiled_likelihood():
    """The partial gradient at the profiled parameters is that of finite differences."""
    precision = torch.ones(1, dtype=torch.float64)

    def value(moved):
        total = torch.tensor([[50.0, 30.0]], dtype=torch.float64)
        signal = torch.stack([10.0 + moved, 8.0 - moved]).unsqueeze(0)
        derivatives = torch.tensor([[[9.0, 4.0]]], dtype=torch.float64)
        return losses.likelihood(
            Yields(total + signal, signal, derivatives, torch.full_like(total, 4.0)), precision
        ).sum()

    point = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    value(point).backward()
    step = 1e-4
    numerical = (value(point.detach() + step) - value(point.detach() - step)) / (2 * step)
    # The derivatives of the expectation by nuisance parameters are held, relative to the data.
    assert float(point.grad) == pytest.approx(float(numerical), rel=1e-4)


def events(features, moved, weight):
    """One member and one shift, by `moved` up and down."""
    rows = len(features)
    values = torch.tensor(features, dtype=torch.float32).reshape(1, rows, -1)
    weights = torch.full((1, rows), weight)
    change = torch.full((1, 1, rows, values.shape[-1]), moved)
    sides = torch.stack([values + moved, values - moved], dim=1).unsqueeze(1)
    factors = torch.stack([0.5 * weights, -0.5 * weights], dim=1).unsqueeze(1)
    nothing = torch.zeros(1, 1, rows)
    common = (values, weights, torch.ones(1, rows, dtype=torch.bool), nothing, change, (0,))
    return Events(*common), Events(*common, sides, factors)


def test_tangents_agree_with_differences_for_small_shifts():
    chance = np.random.default_rng(3)
    edges = LearnedEdges(1, 4, 0.5)

    def bins(values):
        return edges(torch.sigmoid(values[..., 0]))

    tangent, difference = events(chance.normal(size=(500, 2)), 0.01, 2.0)
    one, two = (losses.soft_yields(bins, given) for given in (tangent, difference))
    assert torch.allclose(one.total, two.total)
    assert torch.allclose(one.derivatives, two.derivatives, rtol=1e-2, atol=2e-3)
    assert float(one.derivatives.detach().abs().max()) > 0.5
    assert float(one.derivatives.detach().sum()) == pytest.approx(0.0, abs=1e-2)


def test_tangents_pass_gradients_to_the_network():
    edges = LearnedEdges(1, 3, 0.5)
    tangent, _ = events(np.linspace(-2, 2, 50).reshape(-1, 1), 0.1, 1.0)

    def value():
        found = losses.soft_yields(lambda x: edges(torch.sigmoid(x[..., 0])), tangent)
        return losses.inferno(found, torch.ones(1, dtype=torch.float64)).sum()

    value().backward()
    gradient = edges.widths.grad.clone()
    step = torch.zeros_like(edges.widths)
    step[0, 0] = 1e-2
    with torch.no_grad():
        edges.widths += step
        above = value()
        edges.widths -= 2 * step
        below = value()
    assert float(gradient[0, 0]) == pytest.approx(float((above - below) / 2e-2), rel=2e-2)


def test_learned_edges_are_bins():
    edges = LearnedEdges(2, 5, 0.01)
    score = torch.rand(2, 100)
    soft = edges(score)
    assert torch.allclose(soft.sum(dim=-1), torch.ones(2, 100), atol=1e-6)
    assert (soft.argmax(dim=-1) == edges.hard(score)).float().mean() > 0.97


def test_unseen_background_keeps_a_bin_from_being_free_of_it():
    """Without it, a bin that no simulated background falls into would be worth everything."""

    def bins(values):
        pure = (values[..., 0] > 0).float()
        return torch.stack([1 - pure, pure], dim=-1)

    def uncertainty(unseen):
        features = torch.tensor([[[1.0]] * 5 + [[-1.0]] * 20])
        signal = torch.tensor([[True] * 5 + [False] * 20])
        weight = torch.where(signal, 1.0, 50.0)
        given = Events(
            features,
            weight,
            signal,
            torch.zeros(1, 0, 25),
            torch.zeros(1, 0, 25, 1),
            (),
            unseen=unseen,
        )
        return float(losses.inferno(losses.soft_yields(bins, given), torch.zeros(0).double()))

    # The simulation of the signal itself counts as much as the expected events, of weight one.
    assert uncertainty(0.0) == pytest.approx(np.sqrt(5 + 5) / 5, rel=1e-3)
    assert uncertainty(2500.0) == pytest.approx(np.sqrt(5 + 5 + 2500) / 5, rel=1e-3)


def test_cross_entropy_of_no_knowledge_is_ln_2():
    tangent, _ = events(np.zeros((4, 1)), 0.1, 1.0)
    mixed = Events(
        tangent.features,
        torch.tensor([[1.0, 2.0, 30.0, 40.0]]),
        torch.tensor([[True, True, False, False]]),
        tangent.rates,
        tangent.tangents,
        (0,),
    )
    assert float(losses.cross_entropy(torch.zeros(1, 4), mixed)) == pytest.approx(np.log(2.0))
