"""Profile likelihoods on grids against closed forms and single fits."""

import numpy as np
import pytest

from fullchain.inference import fitting
from fullchain.inference import histfactory as hf
from fullchain.inference.minimum import minimum
from fullchain.inference.profile import points_around, profile


def test_scan_of_a_count(small):
    model, data = small.model([10.0], [50.0], [70.0])
    best = fitting.fit(model, data)
    points = points_around(model, best, 0, 2.0, 9)
    assert points[[0, -1]] == pytest.approx(2.0 + np.array([-2, 2]) * np.sqrt(70) / 10)
    grid = profile(model, data, best, {0: points})
    rate = 50 + 10 * points
    expected = 2 * (rate - 70 - 70 * np.log(rate / 70))
    assert grid.twice_delta_nll == pytest.approx(expected, abs=1e-7)
    assert grid.twice_delta_nll[4] == pytest.approx(0.0, abs=1e-9)


def test_points_stay_within_the_range(small):
    model, data = small.model([0.1], [100.0], [100.0])
    best = fitting.fit(model, data)
    points = points_around(model, best, 0, 3.0, 5)
    assert points[[0, -1]] == pytest.approx([-20.0, 20.0])


def test_points_end_where_no_events_are_left(small):
    """One event observed and expected: below a strength of -0.1 there would be less than none."""
    free = [hf.log_normal("norm", 0.05)]
    model, data = small.model([10.0, 0.0], [1.0, 30.0], [1.0, 30.0], modifiers=free)
    best = fitting.fit(model, data)
    points = points_around(model, best, best.index("mu"), 3.0, 7)
    width = best.uncertainties[best.index("mu")]
    assert width == pytest.approx(0.1, rel=0.01)
    assert points[-1] == pytest.approx(best.values[best.index("mu")] + 3 * width)
    assert -0.1 < points[0] < -0.09
    grid = profile(model, data, best, {best.index("mu"): points})
    assert (np.diff(grid.twice_delta_nll, 2) > 0).all()


def test_each_point_of_a_scan_is_a_fit(small):
    model, data = small.rich()
    best = fitting.fit(model, data)
    index = best.index("scale")
    points = points_around(model, best, index, 2.0, 5)
    grid = profile(model, data, best, {index: points})
    alone = [minimum(model, data, fixed={index: float(one)}).twice_nll for one in points]
    assert grid.twice_delta_nll == pytest.approx(np.array(alone) - best.twice_nll, abs=1e-7)


def test_a_scan_is_the_edge_of_a_joint_scan(small):
    """Minimised over the second parameter the joint likelihood is that of the first."""
    model, data = small.rich()
    best = fitting.fit(model, data)
    first, second = best.index("mu"), best.index("normalisation")
    along = points_around(model, best, first, 1.0, 5)
    across = points_around(model, best, second, 2.0, 81)
    joint = profile(model, data, best, {first: along, second: across}).twice_delta_nll
    assert joint.shape == (5, 81)
    alone = profile(model, data, best, {first: along}).twice_delta_nll
    assert joint.min(axis=1) == pytest.approx(alone, abs=2e-3)
    assert (joint.min(axis=1) >= alone - 1e-7).all()
