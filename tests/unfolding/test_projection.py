"""Histograms of unfolded events and their covariance."""

import doctest
from dataclasses import replace

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.unfolding import projection
from fullchain.unfolding.covariances import (
    correlation,
    covariance_of,
    normalisation_jacobian,
    shift_covariances,
)
from fullchain.unfolding.projection import column, histogram, histograms, of_observable
from fullchain.unfolding.unfolded import Unfolded

MASS, WIDTH = np.linspace(-2, 2, 6), np.linspace(0, 1, 4)


def sample(n=300, seed=1, *, replicas=8, rows=1, names=("data", "simulation")):
    """Events with two observables and replicas that know nothing of each other."""
    chance = np.random.default_rng(seed)
    values = np.stack([chance.normal(size=n), chance.random(n)], axis=1)
    weights = {"nominal": chance.random(n) + 0.5}
    for name in names:
        weights |= {f"{name}_{k}": chance.random(n) + 0.5 for k in range(replicas)}
    ids = np.stack([np.ones(n), np.ones(n), np.arange(n) // rows], axis=1).astype(np.int64)
    return Unfolded(("mass", "width"), values, ids, np.ones(n), weights)


def test_the_examples_are_true():
    result = doctest.testmod(projection)
    assert result.attempted > 0 and result.failed == 0


def test_counts_are_those_of_numpy_and_events_outside_are_counted():
    one = sample()
    found = histogram(one, column(one, "mass"), MASS)
    weight = one.weights["nominal"]
    np.testing.assert_allclose(
        found.counts, np.histogram(one.values[:, 0], MASS, weights=weight)[0]
    )
    below, above = one.values[:, 0] < -2, one.values[:, 0] > 2
    np.testing.assert_allclose(found.outside[0], [weight[below].sum(), weight[above].sum()])
    assert found.counts.sum() + found.outside.sum() == pytest.approx(weight.sum())


def test_a_bin_has_its_lower_edge_and_the_last_one_both():
    one = sample(4, replicas=0)
    found = histogram(one, np.array([0.0, 1.0, 2.0, 2.5]), [0, 1, 2])
    weight = one.weights["nominal"]
    np.testing.assert_allclose(found.counts, [weight[0], weight[1] + weight[2]])


def test_covariance_of_replicas_is_that_of_brute_force():
    one = sample(replicas=12)
    found = histogram(one, column(one, "mass"), MASS)
    for source in ("data", "simulation"):
        filled = [
            np.histogram(one.values[:, 0], MASS, weights=one.weights[f"{source}_{k}"])[0]
            for k in range(12)
        ]
        expected = np.zeros((5, 5))
        for i in range(5):
            for j in range(5):
                a = np.array([counts[i] for counts in filled])
                b = np.array([counts[j] for counts in filled])
                expected[i, j] = ((a - a.mean()) * (b - b.mean())).sum() / 11
        np.testing.assert_allclose(found.covariances[source], expected, rtol=1e-10)


def test_replicas_are_in_the_order_of_their_numbers():
    one = sample(replicas=12, names=("data",))
    found = histogram(one, column(one, "mass"), MASS)
    expected = np.histogram(one.values[:, 0], MASS, weights=one.weights["data_10"])[0]
    np.testing.assert_allclose(found.replicas["data"][10], expected)


def test_the_ensemble_gives_the_error_of_its_mean():
    one = sample(names=("ensemble",), replicas=5)
    found = histogram(one, column(one, "mass"), MASS)
    single = np.cov(found.replicas["network"], rowvar=False)
    np.testing.assert_allclose(found.covariances["network"], single / 5)


def test_one_training_is_no_ensemble_but_one_replica_is_an_error():
    one = sample(names=("ensemble",), replicas=1)
    assert histogram(one, column(one, "mass"), MASS).covariances == {}
    with pytest.raises(InputError, match="data: a single replica gives no covariance"):
        histogram(sample(replicas=1), column(one, "mass"), MASS)


def test_several_histograms_have_the_covariance_between_them():
    one = sample()
    both = histograms(one, {"m": (column(one, "mass"), MASS), "w": (column(one, "width"), WIDTH)})
    alone = {
        "m": histogram(one, column(one, "mass"), MASS),
        "w": histogram(one, column(one, "width"), WIDTH),
    }
    for name, single in alone.items():
        mine = both.bins(name)
        np.testing.assert_allclose(both.counts[mine], single.counts)
        for source, matrix in single.covariances.items():
            np.testing.assert_allclose(both.covariances[source][mine, mine], matrix)
            np.testing.assert_allclose(both.spectrum(name).covariances[source], matrix)
    m, w = (single.replicas["data"] for single in alone.values())
    expected = (m - m.mean(0)).T @ (w - w.mean(0)) / (len(m) - 1)
    between = both.covariances["data"][both.bins("m"), both.bins("w")]
    np.testing.assert_allclose(between, expected)
    assert np.abs(between).max() > 0


def test_several_dimensions_project_onto_each_of_them():
    one = sample()
    inside = np.abs(one.values[:, 0]) < 2
    found = histogram(one, one.values, (MASS, WIDTH))
    assert found.shape("") == (5, 3)
    table = found.counts.reshape(5, 3)
    single = histogram(one, column(one, "mass"), MASS)
    np.testing.assert_allclose(table.sum(axis=1), single.counts)
    np.testing.assert_allclose(found.outside[0, 0], one.weights["nominal"][~inside].sum())
    joined = found.covariances["data"].reshape(5, 3, 5, 3).sum(axis=(1, 3))
    np.testing.assert_allclose(joined, single.covariances["data"])


def test_a_function_of_the_columns_is_a_new_observable():
    one = sample()
    found = histogram(one, lambda s: column(s, "mass") * column(s, "width"), MASS)
    product = one.values[:, 0] * one.values[:, 1]
    expected = np.histogram(product, MASS, weights=one.weights["nominal"])[0]
    np.testing.assert_allclose(found.counts, expected)


@pytest.mark.parametrize("norm", ["bins", "fiducial"])
def test_each_replica_is_normalised_by_itself(norm):
    one = sample(replicas=40)
    found = histogram(one, column(one, "mass"), MASS, norm=norm)
    filled = []
    for k in range(40):
        weight = one.weights[f"data_{k}"]
        counts = np.histogram(one.values[:, 0], MASS, weights=weight)[0]
        filled.append(counts / (counts.sum() if norm == "bins" else weight.sum()))
    np.testing.assert_allclose(found.covariances["data"], np.cov(filled, rowvar=False))
    everything = found.covariances["data"].sum()
    assert (everything < 1e-15) == (norm == "bins")


def test_the_rate_does_not_move_a_normalised_histogram():
    one = sample(replicas=0)
    for k in range(6):
        one.weights[f"data_{k}"] = one.weights["nominal"] * (0.7 + 0.1 * k)
    counts = histogram(one, column(one, "mass"), MASS)
    shape = histogram(one, column(one, "mass"), MASS, norm="fiducial")
    np.testing.assert_allclose(counts.correlation(), 1.0)
    assert counts.covariance().min() > 1
    np.testing.assert_allclose(shape.covariance(), 0, atol=1e-25)


def test_small_fluctuations_are_normalised_as_by_the_derivatives():
    one = sample(replicas=0)
    chance = np.random.default_rng(5)
    for k in range(30):
        change = 1 + 1e-4 * np.sin(3 * one.values[:, 0] + chance.normal())
        one.weights[f"data_{k}"] = one.weights["nominal"] * change
    counts = histogram(one, column(one, "mass"), MASS)
    shape = histogram(one, column(one, "mass"), MASS, norm="bins").covariances["data"]
    jacobian = normalisation_jacobian(counts.counts)
    expected = jacobian @ counts.covariances["data"] @ jacobian.T
    np.testing.assert_allclose(shape, expected, rtol=1e-2, atol=1e-3 * shape.max())


def test_shifts_and_alternatives_are_changes_of_the_counts():
    one, other = sample(replicas=2), sample(200, seed=9, replicas=3)
    one.weights["shift_jes_up"] = one.weights["nominal"] * (1 + 0.1 * one.values[:, 0])
    both = replace(one, alternatives={"a14": other})
    found = histogram(both, lambda s: column(s, "mass"), MASS)
    shifted = np.histogram(one.values[:, 0], MASS, weights=one.weights["shift_jes_up"])[0]
    np.testing.assert_allclose(found.shifts["jes_up"], shifted - found.counts)
    swapped = np.histogram(other.values[:, 0], MASS, weights=other.weights["nominal"])[0]
    np.testing.assert_allclose(found.shifts["model_a14"], swapped - found.counts)
    expected = found.covariances["data"] + found.covariances["simulation"]
    for change in found.shifts.values():
        expected = expected + np.outer(change, change)
    np.testing.assert_allclose(found.covariance(), expected)


def test_up_and_down_are_one_source():
    up, down = np.array([2.0, -1.0]), np.array([-2.0, 1.0])
    found = shift_covariances({"jes_up": up, "jes_down": down, "a_up": up, "isr": down})
    assert set(found) == {"jes", "a_up", "isr"}
    np.testing.assert_allclose(found["jes"], np.outer(up, up))
    np.testing.assert_allclose(found["a_up"], np.outer(up, up))
    # Changes to the same side do not cancel.
    same = shift_covariances({"jes_up": up, "jes_down": up})["jes"]
    np.testing.assert_allclose(same, np.outer(up, up))


def test_correlation_of_a_bin_that_does_not_vary():
    found = correlation(np.array([[4.0, 2.0, 0], [2.0, 4.0, 0], [0, 0, 0]]))
    np.testing.assert_allclose(found, [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])


def reweighted(seed, *, events=4000, measured=500, replicas=0):
    """Simulated events weighted to measured ones in four wide bins, and replicas of the data."""
    x = np.random.default_rng(1).random(events)
    chance = np.random.default_rng(seed)
    data = chance.random(chance.poisson(measured))
    wide = np.linspace(0, 1, 5)
    simulated = np.histogram(x, wide)[0]
    place = np.minimum((x * 4).astype(int), 3)

    def weights(factors):
        return (np.histogram(data, wide, weights=factors)[0] / simulated)[place]

    found = {"nominal": weights(np.ones(len(data)))}
    for k in range(replicas):
        found[f"data_{k}"] = weights(chance.poisson(1.0, len(data)).astype(float))
    ids = np.arange(3 * events).reshape(events, 3)
    return Unfolded(("x",), x[:, None], ids, np.ones(events), found)


def test_sums_of_squared_weights_are_no_errors_and_replicas_are():
    """Events of the same wide bin have the same weight: narrow bins fluctuate together."""
    edges = np.linspace(0, 1, 9)
    one = reweighted(2, replicas=200)
    found = histogram(one, column(one, "x"), edges)
    repeated = []
    for seed in range(200):
        again = reweighted(1000 + seed)
        repeated.append(histogram(again, column(again, "x"), edges).counts)
    truth = np.cov(repeated, rowvar=False)
    mine = found.covariances["data"]
    np.testing.assert_allclose(np.diag(mine), np.diag(truth), rtol=0.35)
    assert np.mean(np.diag(mine) / np.diag(truth)) == pytest.approx(1, abs=0.12)
    # Pairs of bins in one wide bin have all their fluctuation in common, in replicas and in truth.
    for matrix in (mine, truth):
        assert np.diag(correlation(matrix), 1)[::2] == pytest.approx(1.0, abs=1e-6)
    squares = np.histogram(one.values[:, 0], edges, weights=one.weights["nominal"] ** 2)[0]
    assert (squares < 0.35 * np.diag(truth)).all()
    # The error of the sum of two such bins is wrong even where each bin's own error is right.
    pair = np.array([1.0, 1, 0, 0, 0, 0, 0, 0])
    assert pair @ mine @ pair == pytest.approx(pair @ truth @ pair, rel=0.35)
    assert pair @ np.diag(np.diag(truth)) @ pair < 0.6 * (pair @ truth @ pair)


def generated(seed, *, events=100, rows=3):
    """Samples of events whose position is smeared; the events themselves are always the same."""
    centres = np.random.default_rng(3).normal(size=events)
    chance = np.random.default_rng(seed)
    x = (centres[:, None] + chance.normal(size=(events, rows))).reshape(-1)
    ids = np.stack([np.ones_like(x), np.ones_like(x), np.repeat(np.arange(events), rows)], axis=1)
    weight = np.repeat(np.linspace(0.5, 1.5, events), rows) / rows
    one = Unfolded(("x",), x[:, None], ids.astype(np.int64), weight, {"nominal": weight})
    return one


@pytest.mark.parametrize("norm", ["none", "bins", "fiducial"])
def test_the_error_of_finite_samples_is_that_of_generating_again(norm):
    edges = np.linspace(-3, 3, 5)
    wanted = {
        "a": (lambda s: column(s, "x"), edges),
        "b": (lambda s: column(s, "x") ** 2, [0, 1, 4]),
    }
    found = [histograms(generated(seed), wanted, norm=norm) for seed in range(250)]
    truth = np.cov([one.counts for one in found], rowvar=False)
    mine = np.mean([one.covariances["sampling"] for one in found], axis=0)
    np.testing.assert_allclose(mine, truth, atol=0.2 * np.abs(truth).max())
    assert np.diag(mine) == pytest.approx(np.diag(truth), rel=0.3)


def test_replicas_of_the_data_have_the_error_of_finite_samples():
    one = generated(1)
    values, edges = column(one, "x"), np.linspace(-3, 3, 5)
    alone = histogram(one, values, edges).covariances["sampling"]
    chance = np.random.default_rng(8)
    for k in range(400):
        factor = chance.poisson(1.0, 100)[one.ids[:, 2]]
        one.weights[f"data_{k}"] = one.weights["nominal"] * factor
    found = histogram(one, values, edges)
    assert set(found.covariances) == {"data"}
    # Var(data with samples) = sum over events of the square of the mean of their rows, which
    # contains 1 / rows of the spread of the rows.
    assert (np.diag(found.covariances["data"]) > np.diag(alone)).all()


def test_events_of_one_row_have_no_error_of_samples():
    one = sample(replicas=0)
    assert histogram(one, column(one, "mass"), MASS).covariances == {}


@pytest.mark.parametrize(
    ("values", "edges", "message"),
    [
        (np.zeros(3), MASS, r"values of shape \(3,\) for 300 events"),
        (np.zeros(300), [0, 0, 1], "must be two or more numbers that rise"),
        (np.zeros(300), [1.0], "must be two or more numbers that rise"),
        (np.zeros(300), (MASS, WIDTH), "edges of 2 dimensions"),
        (np.full(300, np.nan), MASS, "values of 300 of 300 events are NaN"),
    ],
)
def test_what_cannot_be_filled_is_named(values, edges, message):
    with pytest.raises(InputError, match=message):
        histogram(sample(), values, edges)


def test_observables_with_weights_of_their_own():
    one = sample()
    for name in ("nominal", "data_0", "data_1"):
        one.weights[f"{name}@mass"] = one.weights[name]
        one.weights[f"{name}@width"] = one.prior
    for name in [name for name in one.weights if "@" not in name]:
        del one.weights[name]
    found = histogram(of_observable(one, "mass"), column(one, "mass"), MASS)
    expected = np.histogram(one.values[:, 0], MASS, weights=one.weights["nominal@mass"])[0]
    np.testing.assert_allclose(found.counts, expected)
    assert set(found.covariances) == {"data"}
    other = histogram(of_observable(one, "width"), column(one, "width"), WIDTH)
    np.testing.assert_allclose(other.counts, np.histogram(one.values[:, 1], WIDTH)[0])
    with pytest.raises(InputError, match=r"take of_observable\(unfolded, 'mass'\)"):
        histogram(one, column(one, "mass"), MASS)
    assert of_observable(sample(), "mass").weights.keys() == sample().weights.keys()
    several = replace(sample(), alternatives={"a14": one})
    for name, edges in (("mass", MASS), ("width", WIDTH)):
        mine = of_observable(several, name)
        found = histogram(mine, lambda s, name=name: column(s, name), edges)
        alone = histogram(of_observable(one, name), column(one, name), edges)
        np.testing.assert_allclose(found.shifts["model_a14"], alone.counts - found.counts)


def test_mistakes_of_a_user_are_named():
    one = sample()
    with pytest.raises(InputError, match="no kept observable is called 'tau21'; there are mass"):
        column(one, "tau21")
    with pytest.raises(InputError, match="as a function of the sample"):
        histogram(replace(one, alternatives={"a14": one}), column(one, "mass"), MASS)
    with pytest.raises(InputError, match="no event to normalise by"):
        histogram(one, column(one, "mass"), [50, 60], norm="bins")
    with pytest.raises(InputError, match="nothing gives an uncertainty"):
        histogram(sample(replicas=0), column(one, "mass"), MASS).covariance()


def test_covariance_of_two_replicas():
    found = covariance_of("data", np.array([[1.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(found, [[2.0, 4.0], [4.0, 8.0]])
