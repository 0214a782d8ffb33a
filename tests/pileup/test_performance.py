"""Resolutions, responses and their uncertainties."""

import numpy as np
import pytest

from fullchain.pileup.performance import (
    agreement,
    difference,
    number,
    quantiles,
    replicas,
    response,
)
from fullchain.pileup.quantities import Pairs


def test_quantiles_with_equal_weights_are_those_of_numpy():
    values = np.random.default_rng(1).normal(size=501)
    found = quantiles(values, np.ones((1, 501)), (0.25, 0.5, 0.75))[0]
    assert found == pytest.approx(np.quantile(values, (0.25, 0.5, 0.75)), abs=0.02)
    twice = quantiles(np.repeat(values, 2), np.ones((1, 1002)), (0.25, 0.5))[0]
    assert twice == pytest.approx(quantiles(values, np.full((1, 501), 2.0), (0.25, 0.5))[0])


def test_a_known_response_and_resolution_are_found():
    rng = np.random.default_rng(2)
    n = 4000
    truth = rng.uniform(100, 500, n)
    pairs = Pairs(truth * rng.normal(0.9, 0.09, n), truth, np.arange(n))
    drawn = replicas(n, 100, np.ones(n), 1, "test")
    found = {key: number(value) for key, value in response(pairs, drawn).items()}
    for key, expected, error in (("response", 0.9, 0.0018), ("resolution", 0.1, 0.0019)):
        assert found[key][0] == pytest.approx(expected, abs=4 * error)
        assert found[key][1] == pytest.approx(error, rel=0.4)
    shifted = Pairs(truth + rng.normal(5, 20, n), truth, np.arange(n))
    assert difference(shifted, drawn)["resolution"][0] == pytest.approx(20, rel=0.06)
    matched = agreement(shifted, drawn)
    assert matched["correlation"][0] == pytest.approx(np.corrcoef(shifted.value, truth)[0, 1])
    expected = np.subtract(*np.quantile(100 * shifted.value / truth, (0.75, 0.25)))
    assert matched["error_iqr"][0] == pytest.approx(expected, rel=0.01)


def test_replicas_depend_on_seed_and_keys_only():
    one = replicas(10, 5, np.full(10, 2.0), 1, "a")
    assert np.array_equal(one, replicas(10, 5, np.full(10, 2.0), 1, "a"))
    assert not np.array_equal(one, replicas(10, 5, np.full(10, 2.0), 1, "b"))
    assert np.all(one[0] == 2)
