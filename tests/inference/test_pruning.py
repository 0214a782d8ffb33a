"""Significance of changes: the p-values are those of chance where nothing changes."""

import numpy as np
import pytest

from fullchain.inference import pruning
from fullchain.seeds import stream


def test_largest_change_and_its_bin():
    assert pruning.largest_change(np.array([10.0, 20.0]), np.array([11.0, 16.0])) == (0.2, 1)
    # An empty bin is relative to the mean one.
    assert pruning.largest_change(np.array([0.0, 20.0]), np.array([5.0, 20.0])) == (0.5, 0)


def test_p_values_of_independent_samples_without_a_difference_are_uniform():
    random = stream(1, "pruning")
    expected = np.array([200.0, 300.0, 150.0, 400.0])
    p_values = []
    for _ in range(2000):
        nominal, other = random.poisson(expected), random.poisson(2 * expected) / 2
        shape = other * nominal.sum() / other.sum()
        variance = pruning.variance_of_change(
            shape - nominal, nominal * 1.0, other / 2, np.ones(4), "independent"
        )
        found = pruning.significance(shape - nominal, variance, constraints=1)
        assert found is not None
        p_values.append(found.p_value)
    # 2000 uniform numbers: each tenth holds 200 +- 13.
    counts, _ = np.histogram(p_values, bins=10, range=(0, 1))
    assert np.abs(counts - 200).max() < 5 * 13.4


def test_jets_that_move_without_a_preference_are_chance():
    """Shifts that send jets to and fro: no more p-values below 5 % than jets that move one way."""
    random = stream(2, "pruning")
    weight = 2.0
    below = 0
    for _ in range(1000):
        values = weight * random.poisson(100.0, 5).astype(float)
        moved = random.poisson(3.0, (2, 4))
        change = np.zeros(5)
        change[1:] += weight * (moved[0] - moved[1])
        change[:-1] -= weight * (moved[0] - moved[1])
        variance = pruning.variance_of_change(
            change, weight * values, weight * values, np.full(5, weight), "moved"
        )
        assert variance is not None
        found = pruning.significance(change, 2 * variance, constraints=1)
        assert found is not None
        below += found.p_value < 0.05
    # Moves that cancel make it look more significant than it is, but not by orders of magnitude.
    assert below / 1000 < 0.3


def test_one_moved_jet_is_no_change_and_a_hundred_are():
    weight = np.full(4, 2.0)
    for jets, least, most in ((1, 0.3, 1.0), (100, 0.0, 1e-6)):
        change = 2.0 * jets * np.array([1.0, -1.0, 0.0, 0.0])
        variance = pruning.variance_of_change(change, weight, weight, weight, "moved")
        assert variance is not None
        found = pruning.significance(change, 2 * variance, constraints=1)
        assert found is not None
        assert least <= found.p_value <= most


def test_nothing_is_said_of_weights_or_of_templates_without_errors():
    change, zeros = np.array([1.0, -1.0]), np.zeros(2)
    assert pruning.variance_of_change(change, zeros, zeros, zeros, "same") is None
    assert pruning.significance(change, None) is None
    assert pruning.significance(change, zeros) is None


def test_weight_of_a_jet():
    weights = pruning.jet_weights(np.array([10.0, 0.0, 4.0]), np.array([20.0, 0.0, 8.0]))
    assert weights == pytest.approx([2.0, 2.0, 2.0])
