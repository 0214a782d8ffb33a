"""Pulls, chi-squared and moments: estimators whose answers are known."""

import numpy as np
import pytest
from scipy.stats import kstest

from fullchain.errors import InputError
from fullchain.unfolding import pulls
from fullchain.unfolding.chi_squared import agreement, effective_freedom, groups, merged
from fullchain.unfolding.moments import moments


def experiments(number, replicas, seed=1, bias=0.0):
    """Means of 50 normal numbers, and their errors of so many bootstrap replicas."""
    chance = np.random.default_rng(seed)
    values = chance.normal(3.0, 2.0, (number, 50))
    weights = chance.poisson(1.0, (number, replicas, 50))
    means = np.einsum("erv,ev->er", weights, values) / weights.sum(axis=-1)
    return values.mean(axis=1) + bias, means.std(axis=1, ddof=1)


def test_a_right_estimator_has_pulls_of_mean_zero_and_the_width_of_student():
    estimate, error = experiments(1500, 10)
    found = pulls.summary(estimate, 3.0, error, freedom=9)
    assert found["expected_width"] == pytest.approx(np.sqrt(9 / 7))
    for name, expected in (
        ("mean", 0.0),
        ("width", found["expected_width"]),
        ("coverage", pulls.LEVEL),
    ):
        assert abs(found[name]["value"] - expected) < 3.5 * found[name]["deviation"] + 0.02
    # Ten replicas taken for many: the interval would be too narrow.
    naive = np.mean(np.abs(found["pulls"]) < 1.0)
    assert naive < found["coverage"]["value"]
    assert sum(found["content"]) == 1500


def test_a_biased_estimator_and_too_small_errors_are_seen():
    estimate, error = experiments(400, 40, bias=0.28)
    biased = pulls.summary(estimate, 3.0, error, freedom=39)
    assert biased["mean"]["value"] == pytest.approx(1.0, abs=0.2)
    assert biased["bias"]["value"] == pytest.approx(0.28, abs=5 * biased["bias"]["deviation"])
    narrow = pulls.summary(estimate - 0.28, 3.0, error / 2, freedom=39)
    assert narrow["width"]["value"] == pytest.approx(2.0, rel=0.15)
    assert narrow["coverage"]["value"] < 0.5


def test_the_error_of_a_fraction_is_never_zero():
    assert pulls.binomial_error(50, 100) == pytest.approx(0.05, rel=0.02)
    assert 0.001 < pulls.binomial_error(100, 100) < 0.02


@pytest.mark.parametrize(
    ("estimate", "error", "freedom"),
    [([1.0, 2.0], [1.0, 1.0], None), ([1.0] * 4, [1.0, 1.0, 0.0, 1.0], None),
     ([1.0, np.nan, 1.0], [1.0] * 3, None), ([1.0] * 5, [1.0] * 5, 2)],
)  # fmt: skip
def test_pulls_that_say_nothing_are_refused(estimate, error, freedom):
    with pytest.raises(InputError):
        pulls.summary(estimate, 0.0, error, freedom)


def correlated(chance, shape, bins=5):
    return chance.normal(size=(*shape, bins)) @ np.tril(np.ones((bins, bins)))


@pytest.mark.parametrize("replicas", [None, 9, 60])
def test_probabilities_of_right_covariances_are_uniform(replicas):
    chance = np.random.default_rng(3)
    root = np.tril(np.ones((5, 5)))
    found = []
    for _ in range(400):
        difference = correlated(chance, ())
        if replicas is None:
            found.append(agreement(difference, root.T @ root).p_value)
            continue
        # Two sources of uncertainty, each with its replicas, add up to the one of the difference.
        parts = [
            (np.cov(np.sqrt(part) * correlated(chance, (replicas,)), rowvar=False), replicas - 1)
            for part in (0.7, 0.3)
        ]
        freedom = effective_freedom(parts)
        assert replicas - 1 <= freedom <= 2 * (replicas - 1)
        found.append(agreement(difference, sum(one for one, _ in parts), freedom).p_value)
    assert kstest(found, "uniform").pvalue > 0.005


def test_known_covariances_have_no_degrees_of_freedom():
    assert effective_freedom([(np.eye(3), None)]) is None
    mostly = [(np.eye(3), None), (0.01 * np.eye(3), 4)]
    assert effective_freedom(mostly) > 1000


def test_bins_are_merged_until_there_are_few_and_all_have_something():
    content = np.array([0.0, 1.0, 20.0, 30.0, 2.0, 0.0])
    starts = groups(content, most=6, least=5.0)
    assert merged(content, starts).min() >= 5.0
    assert merged(content, starts).sum() == content.sum()
    assert len(groups(content, most=2)) == 2
    covariance = np.diag([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(merged(covariance, np.array([0, 2])), np.diag([3.0, 7.0]))


def test_covariances_that_cannot_be_inverted_are_refused():
    with pytest.raises(InputError, match="replicas cannot be inverted"):
        agreement(np.ones(4), np.eye(4), freedom=3)
    with pytest.raises(InputError, match="singular"):
        agreement(np.ones(2), np.ones((2, 2)))


def test_moments_and_their_errors_are_those_of_many_spectra():
    chance = np.random.default_rng(4)
    edges = np.linspace(-3.0, 3.0, 25)
    expected = 400.0 * np.diff(np.tanh(edges - 0.3))
    covariance = np.diag(expected)
    found = moments(expected, edges, covariance)
    several = [moments(chance.poisson(expected).astype(float), edges) for _ in range(600)]
    for name in ("mean", "width"):
        values = [getattr(one, name) for one in several]
        assert np.std(values) == pytest.approx(getattr(found, f"{name}_error"), rel=0.1)
        assert np.mean(values) == pytest.approx(getattr(found, name), abs=0.01)


@pytest.mark.parametrize("counts", [[0.0, 0.0, 0.0], [0.0, 5.0, 0.0], [np.nan, 1.0, 1.0]])
def test_spectra_without_mean_or_width_are_refused(counts):
    with pytest.raises(InputError):
        moments(np.array(counts), np.arange(4.0))
