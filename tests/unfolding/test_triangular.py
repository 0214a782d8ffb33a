"""The triangular discriminator."""

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.unfolding import triangular


def test_against_the_sum_by_hand():
    # Densities p = 0.25, 0.25 and q = 0.375, 0.125 in bins of widths 1 and 3 after normalisation:
    # p: 1/4 in width 1, 3/4 in width 3; q: 3/8 in width 1, 5/8 in width 3
    edges = [0.0, 1.0, 4.0]
    p, q = np.array([0.25, 0.25]), np.array([0.375, 0.625 / 3])
    widths = np.diff(edges)
    expected = 1000 * 0.5 * np.sum(widths * (p - q) ** 2 / (p + q))
    assert float(triangular.discriminator([10, 30], [3, 5], edges)) == pytest.approx(expected)


def test_it_is_symmetric_and_free_of_scale():
    chance = np.random.default_rng(1)
    p, q = chance.random((2, 20))
    edges = np.sort(chance.random(21))
    found = triangular.discriminator(p, q, edges)
    assert found == pytest.approx(triangular.discriminator(7 * q, 0.1 * p, edges))


def test_bins_empty_in_both_add_nothing():
    edges = np.arange(4.0)
    assert float(triangular.discriminator([1, 0, 1], [2, 0, 2], edges)) == 0
    found = triangular.discriminator([1, 0, 1], [3, 0, 1], edges)
    assert found == pytest.approx(triangular.discriminator([1, 1], [3, 1], edges[:3]))


def test_replicas_are_taken_together():
    chance = np.random.default_rng(2)
    replicas, truth = chance.poisson(50.0, (30, 10)), np.full(10, 50.0)
    edges = np.linspace(0, 1, 11)
    single = [float(triangular.discriminator(one, truth, edges)) for one in replicas]
    np.testing.assert_allclose(triangular.discriminator(replicas, truth, edges), single)
    assert triangular.bootstrap_error(replicas, truth, edges) == pytest.approx(
        np.std(single, ddof=1)
    )
    # Of N events in B bins: 1000 (B - 1) / (4 N), where one of both fluctuates
    many = chance.poisson(50.0, (2000, 10))
    assert triangular.noise(truth, many, edges) == pytest.approx(1000 * 9 / (4 * 500), rel=0.05)


@pytest.mark.parametrize(
    ("p", "words"),
    [([0.0, 0.0], "no events"), ([np.nan, 1.0], "not finite"), ([1.0, 1.0, 1.0], "3 bins")],
)
def test_what_cannot_be_compared_is_named(p, words):
    with pytest.raises(InputError, match=words):
        triangular.discriminator(p, [1.0, 1.0], [0.0, 1.0, 2.0])


def test_one_replica_has_no_error():
    with pytest.raises(InputError, match="at least two replicas"):
        triangular.bootstrap_error([[1.0, 2.0]], [1.0, 1.0], [0.0, 1.0, 2.0])
