"""Comparison with the truth and refolding, where the answers are known."""

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.unfolding import comparison, gaussian, refolding
from fullchain.unfolding.comparison import Reference
from fullchain.unfolding.evaluation import Evaluation
from fullchain.unfolding.unfolded import Spectrum, Unfolded

EDGES = np.linspace(-4.0, 4.0, 41)


def spectrum(counts, covariances=None, edges=EDGES):
    counts = np.asarray(counts, dtype=float)
    found = {"data": np.diag(counts)} if covariances is None else covariances
    return Spectrum("x", edges, counts, (0.0, 0.0), found)


def normal(mean=0.0, events=4000.0):
    return gaussian.expected_counts(EDGES, gaussian.Normal(mean, 1.0), events)


def discriminators(one, truth, prior, number=200, replicas=None):
    changes = comparison.moved(one, replicas or {}, number, np.random.default_rng(1))
    return comparison.discriminators(one, changes, truth, prior)


def test_equal_spectra_are_at_the_statistical_floor():
    chance = np.random.default_rng(2)
    truth = Reference(normal())
    found = [
        discriminators(spectrum(chance.poisson(normal())), truth, truth, 20)["method"]["value"]
        for _ in range(100)
    ]
    noise = discriminators(spectrum(normal()), truth, truth)["noise"]
    # sum over bins of (p - q)^2 / (p + q) / 2, of Poisson numbers in bins that are not empty.
    filled = (normal() > 1.0).sum()
    assert noise == pytest.approx(1000.0 * (filled - 1) / (4.0 * 4000.0), rel=0.15)
    assert np.mean(found) == pytest.approx(noise, rel=0.15)


def test_a_small_shift_is_a_quarter_of_its_square():
    found = discriminators(spectrum(normal(0.1)), Reference(normal()), Reference(normal(0.2)))
    assert found["method"]["value"] == pytest.approx(1000 * 0.1**2 / 4, rel=0.02)
    assert found["prior"]["value"] == pytest.approx(1000 * 0.2**2 / 4, rel=0.02)
    assert found["difference"]["value"] == pytest.approx(-7.5, rel=0.02)
    assert found["prior"]["deviation"] == pytest.approx(0.0, abs=1e-9)
    assert found["difference"]["deviation"] == pytest.approx(found["method"]["deviation"])


def test_what_truth_and_result_have_in_common_is_no_difference():
    chance = np.random.default_rng(3)
    replicas = chance.poisson(normal(), (50, 40)).astype(float)
    truth = Reference(normal(), replicas)
    one = spectrum(normal(), {"data": np.cov(replicas.T)})
    found = discriminators(one, truth, Reference(normal(0.2)), 50, {"data": replicas})
    assert found["noise"] == pytest.approx(0.0, abs=1e-9)
    assert found["method"]["deviation"] == pytest.approx(0.0, abs=1e-9)
    closed = comparison.closure(one, {"data": replicas}, truth)
    assert closed["covariance_of"] == "unfolded spectrum less truth"
    assert max(closed["deviation"]) == pytest.approx(0.0, abs=1e-9)
    # Against a truth by formula the same result has all its error.
    alone = comparison.closure(one, {"data": replicas}, Reference(normal()))
    assert alone["deviation"][20] == pytest.approx(np.sqrt(normal()[20]), rel=0.4)


def test_a_truth_of_other_replicas_is_refused():
    replicas = np.random.default_rng(3).poisson(normal(), (20, 40)).astype(float)
    with pytest.raises(InputError, match="must be the same"):
        comparison.closure(
            spectrum(normal()), {"data": replicas}, Reference(normal(), replicas[:10])
        )


def test_a_spectrum_without_covariance_is_refused():
    with pytest.raises(InputError, match="no covariance"):
        comparison.closure(spectrum(normal(), {}), {}, Reference(normal()))


def simulation(events=3000):
    detector = gaussian.Detector(0.5, 0.1, 0.1)
    return gaussian.signal(np.random.default_rng(5), events, gaussian.Normal(0, 1), detector)


BINS = np.linspace(-2.0, 2.0, 9)


def test_the_simulation_folds_into_itself():
    events = simulation()
    before, variance = refolding.simulated(events, "x", BINS)
    gen = events.gen.values[events.gen.passed, 0]
    everything = np.concatenate([[-np.inf], BINS, [np.inf]])
    counts = np.histogram(gen, everything)[0].astype(float)
    folded = refolding.through_response(events, "x", BINS, counts)
    np.testing.assert_allclose(folded, before)
    ones = np.ones(events.gen.passed.sum())
    again, _ = refolding.by_weights(events, "x", BINS, ones)
    np.testing.assert_allclose(again, before)
    np.testing.assert_allclose(variance, before)


def test_weights_and_response_fold_alike():
    events = simulation()
    gen = events.gen.values[events.gen.passed, 0]
    factor = np.exp(0.3 * np.floor(2.0 * np.clip(gen, -2.01, 2.01)))
    everything = np.concatenate([[-np.inf], BINS, [np.inf]])
    counts = np.histogram(gen, everything, weights=factor)[0]
    # Within a bin of the particle level the factors are the same, so its response is, too.
    np.testing.assert_allclose(
        refolding.by_weights(events, "x", BINS, factor)[0],
        refolding.through_response(events, "x", BINS, counts),
    )


def test_a_background_is_subtracted_and_its_error_is_not():
    chance = np.random.default_rng(6)
    shape = gaussian.Normal(0.0, 1.2)
    data = gaussian.data(
        chance, 3000, gaussian.Normal(0, 1), gaussian.Detector(0.5, 0.1, 0.1),
        gaussian.Background(shape, 0.3),
    )  # fmt: skip
    posed = gaussian.problem(simulation(), data, gaussian.background(chance, 4000, shape), 0.3)
    counts, variance = refolding.measured(posed.data, posed.background, "x", BINS)
    raw, _ = refolding.measured(posed.data, None, "x", BINS)
    assert (counts < raw).all() and (variance > raw).all()
    expected, _ = refolding.simulated(posed.simulation, "x", BINS)
    assert (((counts - expected) ** 2 / (variance + expected)).mean()) < 3.0


def evaluated(weights, ids=None):
    """Detector level of a closure whose unfolded events have these weights."""
    chance = np.random.default_rng(7)
    data = gaussian.data(
        chance, 2000, gaussian.Normal(0, 1), gaussian.Detector(0.5, 0.1, 0.1), None
    )
    posed = gaussian.problem(simulation(), data, None, 0.0)
    passed = posed.simulation.gen.passed
    prior = posed.simulation.weight[passed]
    unfolded = Unfolded(
        ("x",), posed.simulation.gen.values[passed],
        posed.simulation.ids[passed] if ids is None else ids,
        prior, {name: prior * factor for name, factor in weights.items()},
    )  # fmt: skip
    one = Evaluation(posed, data, {}, unfolded, 1, "closure", 30)
    counts, _ = np.histogram(posed.simulation.gen.values[passed, 0], BINS, weights=prior)
    return one.detector(spectrum(counts, edges=BINS))


def test_events_of_the_simulation_are_refolded_by_their_weights():
    same = evaluated({"nominal": 1.0})
    assert same["how"] == "weights"
    np.testing.assert_allclose(same["refolded"], same["simulation"])
    # Weights for each observable by itself; fakes are scaled as the events beside them.
    double = evaluated({"nominal@x": 2.0, "nominal@y": 5.0})
    np.testing.assert_allclose(double["refolded"], 2.0 * np.array(double["simulation"]))


def test_other_events_are_refolded_by_the_response():
    other = evaluated({"nominal": 1.0}, ids=np.zeros((1, 3), dtype=np.int64))
    assert other["how"] == "response"
    inside = other["of_refolded"]["triangular"]
    assert inside["value"] < 3.0 and inside["deviation"] > 0.0
