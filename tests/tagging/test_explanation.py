"""Components, attributions and the disentangled classifier, where the answer is known."""

import numpy as np
import pytest
import torch

from fullchain.tagging.association import correlations, separation
from fullchain.tagging.attribution import (
    correlated_groups,
    grouped_values,
    permutation_losses,
    shapley_values,
)
from fullchain.tagging.disentangled import Part, apply, fit, pair_mean
from fullchain.tagging.explanation_settings import DisentangledSettings
from fullchain.tagging.latent_components import principal_components, variance_shares

ONCE = {"replicas": 20, "seed": 5}


def test_a_planted_component_is_found_with_its_observable_and_share() -> None:
    generator = np.random.default_rng(1)
    planted, other = generator.normal(size=(2, 2000))
    directions = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    latent = 3.0 * np.outer(planted, directions[0]) + 1.0 * np.outer(other, directions[1])
    latent += 0.05 * generator.normal(size=latent.shape) + 7.0
    weight, event = np.ones(2000), np.arange(2000)
    found = principal_components(latent, weight, 3, logit=-planted)
    observables = np.stack([planted, np.exp(other), generator.normal(size=2000)], axis=1)
    table = correlations(found.of(latent), observables, weight, event, **ONCE)
    pearson = np.array(table["pearson"]["value"])
    # The signs are those of the log-odds.
    assert pearson[0, 0] < -0.95
    assert abs(pearson[0, 2]) < 0.1
    # What is not linear is seen by ranks.
    spearman = np.array(table["spearman"]["value"])
    assert abs(spearman[1, 1]) > 0.95 > abs(pearson[1, 1])
    shares = variance_shares(latent, weight, event, 3, **ONCE)
    assert shares["value"][0] == pytest.approx(0.9, abs=0.02)
    assert 0 < shares["deviation"][0] < 0.01


def test_errors_of_correlations_are_those_of_the_number_of_events() -> None:
    generator = np.random.default_rng(2)
    x, y = generator.normal(size=(2, 400, 1))
    event = np.arange(400)
    once = correlations(x, y, np.ones(400), event, replicas=200, seed=1)
    assert once["pearson"]["deviation"][0][0] == pytest.approx(1 / 20, rel=0.25)
    # Four rows of each event: the same information.
    four = correlations(
        np.repeat(x, 4, axis=0),
        np.repeat(y, 4, axis=0),
        np.ones(1600),
        np.repeat(event, 4),
        replicas=200,
        seed=1,
    )
    np.testing.assert_allclose(
        four["pearson"]["deviation"][0][0], once["pearson"]["deviation"][0][0], rtol=1e-6
    )


def test_a_column_that_does_not_vary_has_no_correlation() -> None:
    x = np.linspace(0, 1, 30)[:, None]
    table = correlations(x, np.full((30, 1), 2.7), np.ones(30), np.arange(30), **ONCE)
    assert table["pearson"]["value"] == [[None]] and table["spearman"]["deviation"] == [[None]]


def test_weights_are_numbers_of_rows() -> None:
    generator = np.random.default_rng(3)
    x, y = generator.normal(size=(2, 50, 1))
    y += x
    weight = generator.integers(1, 4, 50)
    rows = np.repeat(np.arange(50), weight)
    weighted = correlations(x, y, weight * 1.0, np.arange(50), **ONCE)
    repeated = correlations(x[rows], y[rows], np.ones(len(rows)), rows, **ONCE)
    for kind in ("pearson", "spearman"):
        np.testing.assert_allclose(weighted[kind]["value"], repeated[kind]["value"], rtol=1e-9)


def test_separation_has_the_direction_of_the_signal() -> None:
    generator = np.random.default_rng(4)
    is_signal = np.arange(500) % 2 == 0
    values = generator.normal(size=500) - 1.0 * is_signal
    found = separation(values, is_signal, np.ones(500), np.arange(500), **ONCE)
    assert not found["signal_is_higher"] and 0.7 < found["value"] < 0.82
    assert 0.01 < found["deviation"] < 0.04


def test_shapley_values_of_a_linear_function_are_its_terms() -> None:
    generator = np.random.default_rng(5)
    background, jets = generator.normal(size=(20, 4)), generator.normal(size=(6, 4))
    slopes = np.array([2.0, -1.0, 0.5, 0.0])
    state = np.random.get_state()[1].copy()  # type: ignore[union-attr] # noqa: NPY002
    values, base = shapley_values(lambda x: x @ slopes, jets, background, coalitions=100, seed=1)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    np.testing.assert_allclose(values, slopes * (jets - background.mean(axis=0)), atol=1e-8)
    assert base == pytest.approx(float((background @ slopes).mean()))


def test_shapley_values_add_up_to_the_log_odds_and_repeat() -> None:
    generator = np.random.default_rng(6)
    background, jets = generator.normal(size=(10, 9)), generator.normal(size=(8, 9))
    mixing = generator.normal(size=(9, 5))

    def function(x: np.ndarray) -> np.ndarray:
        return np.tanh(x @ mixing).sum(axis=1)

    values, base = shapley_values(function, jets, background, coalitions=60, seed=2)
    np.testing.assert_allclose(base + values.sum(axis=1), function(jets), atol=1e-8)
    again, _ = shapley_values(function, jets, background, coalitions=60, seed=2)
    assert (values == again).all()


def test_groups_of_one_have_the_values_of_single_observables() -> None:
    generator = np.random.default_rng(7)
    background, jets = generator.normal(size=(10, 3)), generator.normal(size=(5, 3))

    def function(x: np.ndarray) -> np.ndarray:
        return x[:, 0] * x[:, 1] + np.tanh(x[:, 2])

    values, _ = shapley_values(function, jets, background, coalitions=100, seed=1)
    found = grouped_values(function, jets, background, [(0,), (1,), (2,)])
    np.testing.assert_allclose(found, values, atol=1e-8)
    joined = grouped_values(function, jets, background, [(0, 1), (2,)])
    # What two have together goes to the group: here nothing else does.
    np.testing.assert_allclose(joined[:, 0], values[:, :2].sum(axis=1), atol=1e-8)


def test_permuting_one_of_two_copies_costs_little_and_both_much() -> None:
    generator = np.random.default_rng(8)
    is_signal = np.arange(2000) % 2 == 0
    known = generator.normal(size=2000) + 2.0 * is_signal
    copies = known[:, None] + 0.05 * generator.normal(size=(2000, 2))
    features = np.column_stack([copies, generator.normal(size=2000)])
    groups = correlated_groups(np.corrcoef(features.T), 0.7, 5)
    assert groups == [(0, 1), (2,)]
    jets = {
        "features": features,
        "is_signal": is_signal,
        "weight": np.ones(2000),
        "event": np.arange(2000),
    }

    # A saturated score, for which one of the two copies is enough.
    def function(x: np.ndarray) -> np.ndarray:
        return np.tanh(2 * x[:, 0] - 2) + np.tanh(2 * x[:, 1] - 2)

    single = permutation_losses(function, jets, [(0,), (1,), (2,)], **ONCE)
    both = permutation_losses(function, jets, groups, **ONCE)
    assert both["value"][0] > 0.35
    assert both["value"][0] > sum(single["value"]) + 5 * both["deviation"][0]
    assert single["value"][2] == 0.0


def test_more_groups_than_wanted_are_joined() -> None:
    assert len(correlated_groups(np.eye(6), 0.7, 4)) == 4


def test_the_third_term_disentangles_and_the_classifier_still_separates() -> None:
    generator = np.random.default_rng(9)
    target = np.arange(1200) % 2
    # Two independent properties in sixteen activations.
    hidden = generator.normal(size=(1200, 2)) + np.array([1.2, 0.0]) * (target[:, None] == 0)
    latent = np.maximum(0.0, hidden @ generator.normal(size=(2, 16)) + 0.3)
    part = Part(latent, target, np.ones(1200))
    how = DisentangledSettings(dimensions=2, layers=(16,), epochs=12, batch_size=100)
    found = {}
    for factor in (0.0, 3.0):
        model = fit(part, part, 2, how, decorrelation=factor, threads=1, seed=3)
        z, logits, unexplained = apply(model, latent)
        from fullchain.learning.distance_correlation import distance_correlations

        dependence = float(pair_mean(distance_correlations(torch.from_numpy(z[:500]))))
        right = float((logits.argmax(axis=1) == target).mean())
        found[factor] = (dependence, right, unexplained)
    assert found[3.0][0] < 0.5 * found[0.0][0]
    assert found[3.0][1] > 0.65
    assert found[3.0][2] < 0.6
