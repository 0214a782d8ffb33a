"""Intervals from the profile likelihood against Minuit's MINOS and closed forms."""

import numpy as np
import pytest
from iminuit import Minuit
from scipy.optimize import brentq

from fullchain.errors import InputError
from fullchain.inference import fitting, intervals, likelihood
from fullchain.inference import histfactory as hf
from fullchain.inference.intervals import Side, ends, minos


def test_the_interval_of_a_count_is_where_its_likelihood_says(small):
    model, data = small.model([10.0], [5.0], [12.0])
    best = fitting.fit(model, data)
    down, up = minos(model, data, best, [0])[0]

    def fall(mu):
        rate = 10 * mu + 5
        return 2 * (rate - 12 - 12 * np.log(rate / 12)) - 1

    centre = 0.7
    assert best.values[0] == pytest.approx(centre, abs=1e-6)
    assert centre + up == pytest.approx(brentq(fall, centre, 5), abs=1e-5)
    assert centre + down == pytest.approx(brentq(fall, -0.4, centre), abs=1e-5)
    assert up > -down


def test_minos_of_all_parameters_is_that_of_minuit_on_pyhf(small):
    specification = small.rich_specification()
    theirs, data = likelihood.load_model(specification)
    model, _ = small.of(specification)
    best = fitting.fit(model, data)
    minuit = Minuit(
        lambda point: float(-2.0 * theirs.logpdf(point, data)[0]),
        np.array(theirs.config.suggested_init()),
        name=theirs.config.par_names,
    )
    minuit.errordef, minuit.strategy, minuit.tol = Minuit.LEAST_SQUARES, 2, 1e-3
    minuit.limits = theirs.config.suggested_bounds()
    minuit.fixed = theirs.config.suggested_fixed()
    minuit.migrad()
    minuit.minos()
    found = minos(model, data, best, range(len(best.names)))
    for index, name in enumerate(best.names):
        expected = minuit.merrors[name]
        assert expected.is_valid, name
        width = best.uncertainties[index]
        assert found[index] is not None, name
        assert found[index][0] == pytest.approx(expected.lower, abs=2e-3 * width), name
        assert found[index][1] == pytest.approx(expected.upper, abs=2e-3 * width), name


def test_an_interval_that_runs_into_a_limit_is_none(small):
    """With this little signal the strength reaches its limit before the likelihood falls by one."""
    model, data = small.model([0.05], [100.0], [100.0])
    best = fitting.fit(model, data)
    assert minos(model, data, best, [0]) == {0: None}


def test_a_parameter_that_is_fixed_has_no_interval(small):
    specification = small.specification(
        [10.0], [50.0], [60.0], modifiers=[hf.log_normal("norm", 0.1)]
    )
    measured = specification["measurements"][0]["config"]["parameters"]
    measured.append({"name": "norm", "fixed": True})
    model, data = small.of(specification)
    best = fitting.fit(model, data)
    found = minos(model, data, best, [0, 1])
    assert found[best.index("norm")] is None
    assert found[best.index("mu")] is not None


def test_intervals_with_parameters_held_shrink(small):
    model, data = small.rich()
    best = fitting.fit(model, data)
    place = best.index("mu")
    held = tuple(i for i in range(len(best.names)) if i != place)
    width = float(best.uncertainties[place])
    sides = [Side(place, 1, width), Side(place, 1, width, held)]
    free, alone = ends(model, data, best, sides, what="the fit")
    assert 0 < alone < free


def test_a_lower_minimum_beside_the_best_fit_is_an_error(small):
    """Given a point that is not the minimum, the profile falls below it."""
    model, data = small.rich()
    best = fitting.fit(model, data)
    worse = fitting.Fit(
        best.names, best.values, best.covariance, best.twice_nll + 5.0, 0.0, best.at_limit
    )
    with pytest.raises(InputError, match=r"with mu held at .* lies 4.* below the best fit"):
        minos(model, data, worse, [best.index("mu")])


def test_an_interval_ends_where_the_profile_jumps(small, monkeypatch):
    """Between two valleys the height passes the end of the interval without taking its value."""
    model, data = small.model([10.0], [5.0], [12.0])
    best = fitting.fit(model, data)

    def heights(model, data, best, sides, step, what):
        return np.where(step < 0.3, 0.1 * step, 5.0)

    monkeypatch.setattr(intervals, "_heights", heights)
    down, up = minos(model, data, best, [0])[0]
    width = best.uncertainties[0]
    assert up == pytest.approx(0.3, abs=2e-4 * width)
    assert down == pytest.approx(-0.3, abs=2e-4 * width)
