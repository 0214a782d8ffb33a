"""Tests of how the dependence on the prior is measured with alternative simulations."""

import numpy as np
import pytest

from fullchain.plotting import plt
from fullchain.unfolding import prior_dependence, prior_figures, tabulate
from fullchain.unfolding.measurement_settings import MeasurementSettings

STRESS = {"observable": "x", "slope": 0.3}


def measurement(alternatives, **simulation):
    return MeasurementSettings(
        simulation={"samples": ["a"], **simulation},
        data={"samples": ["b"]},
        observables=("x",),
        alternatives=alternatives,
    )


def test_another_prior_is_the_same_events_with_another_particle_level():
    chosen = measurement(
        {
            "bare": {"stress": STRESS},
            "named": {"samples": ["a"], "half": "second", "stress": STRESS},
            "half": {"samples": ["a"], "stress": STRESS},
            "generator": {"samples": ["c"], "half": "second"},
            "stressed_generator": {"samples": ["c"], "half": "second", "stress": STRESS},
        },
        half="second",
    )
    assert prior_dependence.other_priors(chosen) == ["bare", "named"]
    bare = chosen.simulated("bare")
    assert (bare.samples, bare.half, bare.stress.slope) == (("a",), "second", 0.3)
    assert chosen.simulated(None) == chosen.simulation


def test_a_simulation_with_the_same_stress_is_no_other_prior():
    chosen = measurement({"same": {"stress": STRESS}}, stress=STRESS)
    assert prior_dependence.other_priors(chosen) == []


def test_the_change_is_in_units_of_the_uncertainty():
    change, deviation = np.array([3.0, -2.0, 5.0, 0.0]), np.array([1.0, 2.0, 0.0, 4.0])
    network = np.array([0.5, 0.2, 0.0, 0.0])
    found = prior_dependence.of_alternative("p", change, deviation, network)
    assert found["changes"] == [3.0, -1.0, None, 0.0]
    expected = np.sqrt(2.0) * np.array([0.5, 0.1, 0.0])
    np.testing.assert_allclose([found["deviations"][bin_] for bin_ in (0, 1, 3)], expected)
    rms = found["rms"]
    assert (rms["value"], rms["bins"]) == (pytest.approx(np.sqrt(10.0 / 3.0)), 3)
    without = np.sqrt(np.array([0.5, 4.5, 5.0]))
    jackknife = np.sqrt(2.0 / 3.0 * ((without - without.mean()) ** 2).sum())
    assert rms["deviation"] == pytest.approx(jackknife)


def test_the_jackknife_is_the_spread_of_the_root_mean_square():
    rng = np.random.default_rng(5)
    drawn = rng.normal(size=(400, 30))
    ones, none = np.ones(30), np.zeros(30)
    several = [prior_dependence.of_alternative("p", one, ones, none)["rms"] for one in drawn]
    spread = np.std([one["value"] for one in several])
    assert np.mean([one["deviation"] for one in several]) == pytest.approx(spread, rel=0.12)


@pytest.mark.parametrize("deviation", [[0.0, 0.0], [1.0, 0.0]])
def test_less_than_two_bins_with_an_uncertainty_have_no_root_mean_square(deviation):
    found = prior_dependence.of_alternative("p", np.ones(2), np.array(deviation), np.zeros(2))
    assert found["rms"] is None


def test_the_metric_of_an_alternative_has_its_name():
    found = prior_dependence.of_alternative("tilt", np.arange(4.0), np.ones(4), np.zeros(4))
    one = {"measurement": "m", "method": "multifold"}
    (row,) = tabulate._prior_dependence(one, "x", {"published": {"prior_dependence": [found]}})
    assert row.name == "m.multifold.x.prior_dependence_tilt"
    assert row.value == found["rms"]["value"] and row.uncertainty == found["rms"]["deviation"] > 0


@pytest.mark.parametrize(("largest", "scale"), [(2.5, "linear"), (30.0, "symlog")])
def test_far_changes_do_not_hide_the_others(largest, scale):
    _, ax = plt.subplots()
    ax.plot([0.0, 1.0], [-0.5, largest], "o")
    prior_figures._scale(ax, 7)
    assert ax.get_yscale() == scale
    # Above the highest point there is room for the legend.
    highest = ax.transAxes.inverted().transform(ax.transData.transform((1.0, largest)))[1]
    assert 0.4 < highest < 0.6
    plt.close("all")


def test_methods_and_priors_without_an_uncertainty_are_not_drawn():
    numbers = {"observables": {"x": {"published": {"prior_dependence": [{"rms": None}]}}}}
    assert prior_figures._tested([numbers], "x") == []
