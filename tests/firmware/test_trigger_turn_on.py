"""Turn-on curves: parameters of toys are found again, and what is no turn-on is not fitted."""

import numpy as np
import pytest
from scipy import special

from fullchain.firmware.turn_on import binned, fit

EDGES = tuple(range(500, 701, 20))


def toy(midpoint, width, jets, seed):
    generator = np.random.default_rng(seed)
    pt = generator.uniform(500, 700, jets)
    passed = generator.random(jets) < special.ndtr((pt - midpoint) / width)
    return pt, passed


def test_parameters_of_a_toy_are_found_with_right_errors():
    pulls, squares, freedom = [], 0.0, 0
    for seed in range(60):
        pt, passed = toy(610.0, 25.0, 600, seed)
        found, reason = fit(pt, passed, np.ones(600), EDGES)
        assert reason == ""
        for (value, error), truth in ((found.midpoint, 610.0), (found.width, 25.0)):
            pulls.append((value - truth) / error)
        squares, freedom = squares + found.chi_squared, freedom + found.freedom
    pulls = np.array(pulls).reshape(-1, 2)
    assert (np.abs(pulls.mean(axis=0)) < 4 / np.sqrt(60)).all()
    assert (np.abs(pulls.std(axis=0) - 1) < 4 / np.sqrt(120)).all()
    assert abs(squares - freedom) < 5 * np.sqrt(2 * freedom)


def test_errors_of_weighted_jets_are_those_of_the_jets_there_are():
    pt, passed = toy(600.0, 20.0, 3000, 1)
    plain, _ = fit(pt, passed, np.ones(3000), EDGES)
    scaled, _ = fit(pt, passed, np.full(3000, 10.0), EDGES)
    assert scaled.midpoint == pytest.approx(plain.midpoint, rel=1e-4)
    assert scaled.width[1] == pytest.approx(plain.width[1], rel=1e-3)
    assert scaled.chi_squared == pytest.approx(plain.chi_squared, rel=1e-3)


def test_a_step_without_width_is_not_fitted():
    pt = np.linspace(500, 700, 400)
    found, reason = fit(pt, pt > 620.2, np.ones(400), EDGES)
    assert found is None
    assert "how steeply" in reason


def test_what_is_no_turn_on_says_why():
    generator = np.random.default_rng(3)
    pt = generator.uniform(500, 700, 2000)
    found, reason = fit(pt, np.arange(2000) < 9, np.ones(2000), EDGES)
    assert found is None
    assert "fewer than 10" in reason
    found, reason = fit(pt, generator.random(2000) < 0.8, np.ones(2000), EDGES)
    assert found is None
    assert "half efficiency is not reached" in reason or "does not rise" in reason
    found, reason = fit(*toy(740.0, 30.0, 2000, 4), np.ones(2000), EDGES)
    assert found is None
    assert "between 500 and 700 GeV" in reason


def test_bins_hold_their_jets_and_empty_ones_nothing():
    pt = np.array([500.0, 519.9, 520.0, 700.0, 710.0, 490.0])
    passed = np.array([True, False, True, True, False, False])
    found = binned(pt, passed, np.ones(6), EDGES)
    assert len(found) == 10
    assert (found[0]["value"], found[0]["events"]) == (0.5, 2)
    assert (found[1]["value"], found[1]["events"]) == (1.0, 1)
    assert found[2] is None
    # The upper edge is in the last bin; what lies outside is in none.
    assert (found[9]["value"], found[9]["events"]) == (1.0, 1)
    assert sum(one["events"] for one in found if one is not None) == 4
