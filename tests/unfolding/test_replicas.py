"""Factors of the bootstrap."""

import numpy as np
import pytest

from fullchain.seeds import stream
from fullchain.unfolding import replicas


def test_factors_are_those_of_the_stated_streams():
    expected = stream(3, "unfolding", "zjets", "data", 2).poisson(1.0, 50)
    np.testing.assert_array_equal(replicas.data_factors(3, "zjets", 2, 50), expected)
    expected = stream(3, "unfolding", "zjets", "simulation", 2).poisson(1.0, 50)
    np.testing.assert_array_equal(replicas.simulation_factors(3, "zjets", 2, 50), expected)


@pytest.mark.parametrize(
    "draw", [replicas.data_factors, replicas.simulation_factors, replicas.background_factors]
)
def test_factors_are_poisson_of_mean_one(draw):
    found = draw(3, "zjets", 0, 100_000)
    assert found.dtype == float
    # Standard errors: 0.003 of the mean, 0.0055 of the variance
    assert found.mean() == pytest.approx(1.0, abs=0.015)
    assert found.var() == pytest.approx(1.0, abs=0.03)


def test_data_simulation_replicas_and_measurements_are_independent():
    one = replicas.data_factors(3, "zjets", 0, 20_000)
    others = [
        replicas.simulation_factors(3, "zjets", 0, 20_000),
        replicas.background_factors(3, "zjets", 0, 20_000),
        replicas.data_factors(3, "zjets", 1, 20_000),
        replicas.data_factors(3, "swap", 0, 20_000),
        replicas.data_factors(4, "zjets", 0, 20_000),
    ]
    for other in others:
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.04
