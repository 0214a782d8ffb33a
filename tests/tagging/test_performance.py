"""Calibration and intervals from arrays."""

import numpy as np
import pytest
from scipy.stats import binomtest

from fullchain.tagging.performance import Sample, calibration, wilson


def sample(score: list[float], is_signal: list[bool], event: list[int]) -> Sample:
    return Sample(np.array(score), np.array(is_signal), np.ones(len(score)), np.array(event))


@pytest.mark.parametrize("passed, number", [(0, 7), (7, 7), (3, 10), (50, 80)])
def test_wilson_is_the_interval_of_the_binomial_test(passed: int, number: int) -> None:
    low, high = wilson(np.array([passed / number]), np.array([float(number)]))
    expected = binomtest(passed, number).proportion_ci(0.6826894921, method="wilson")
    assert low[0] == pytest.approx(expected.low, abs=1e-9)
    assert high[0] == pytest.approx(expected.high, abs=1e-9)


def test_bins_of_one_class_have_an_uncertainty() -> None:
    jets = sample([0.1] * 4 + [0.9] * 4, [False] * 4 + [True] * 4, list(range(8)))
    found = calibration(jets, bins=3, replicas=5, seed=1)
    assert found["observed"] == [0.0, None, 1.0]
    # Wilson for none of n: z^2 / (n + z^2) with z = 1.
    assert found["high"][0] == pytest.approx(1 / 5) and found["low"][0] == pytest.approx(0.0)
    assert found["low"][2] == pytest.approx(4 / 5) and found["high"][2] == pytest.approx(1.0)
    assert found["low"][1] is None and found["high"][1] is None


def test_jets_of_one_event_count_together() -> None:
    score, signal = [0.1] * 4 + [0.9] * 4, [False] * 4 + [True] * 4
    pairs = calibration(sample(score, signal, [0, 0, 1, 1, 2, 2, 3, 3]), 3, 5, 1)
    assert pairs["high"][0] == pytest.approx(1 / 3)
