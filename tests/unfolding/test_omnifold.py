"""OmniFold on cases whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.learning import device
from fullchain.unfolding import classifications
from fullchain.unfolding.fits import Fit, fits_of, with_nominal
from fullchain.unfolding.omnifold import mean_history, unfold
from fullchain.unfolding.omnifold_settings import OmnifoldSettings
from fullchain.unfolding.sample import Level, Measured, Problem, Simulation

QUICK = {
    "layers": [16, 16],
    "iterations": 3,
    "training": {"epochs": 8, "patience": 3, "learning_rate": 1e-2, "batch_size": 500},
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def chance(seed):
    return np.random.default_rng(seed)


def level(values, passed):
    values = np.array(values, float).reshape(len(passed), -1)
    values[~passed] = np.nan
    return Level(values, np.array(passed))


def problem(z, x, pass_gen, pass_reco, data, *, weight=None, background=None, shifted=None):
    """Simulation with one observable, and data; weighted as `pose` does it."""
    weight = np.ones(len(z)) if weight is None else weight
    total = len(data) - (0.0 if background is None else background.weight.sum())
    weight = weight * total / weight[pass_reco].sum()
    ids = np.stack([np.ones(len(z)), np.ones(len(z)), np.arange(len(z))], axis=1).astype(int)
    shifted = {name: level(values, pass_reco) for name, values in (shifted or {}).items()}
    simulation = Simulation(
        ("x",), level(z, pass_gen), level(x, pass_reco), weight, ids, shifted, {}
    )
    return Problem(
        simulation, Measured(("x",), data[:, None], np.ones(len(data))), background, None
    )


def everything(n):
    return np.ones(n, dtype=bool)


def smeared(n, mean, width, seed, smearing=0.5):
    generator = chance(seed)
    z = generator.normal(mean, width, n)
    return z, z + generator.normal(0, smearing, n)


def run(posed, fits=None, **changes):
    settings = OmnifoldSettings.model_validate(QUICK | changes)
    with device.repeatable(1):
        return unfold(posed, fits or [Fit("ensemble_0")], settings, 3)


def moments(posed, outcome):
    values = posed.simulation.gen.values[posed.simulation.gen.passed, 0]
    weight = with_nominal(outcome.weights)["nominal"]
    mean = np.average(values, weights=weight)
    return mean, np.sqrt(np.average((values - mean) ** 2, weights=weight)), weight.sum()


def gaussian_case(n=10000, seed=1):
    """Simulation N(0, 1), truth N(.2, .8); 10 % inefficiency, fakes and background N(0, 1.2)."""

    def detected(mean, width, seed):
        z, x = smeared(n, mean, width, seed)
        generator = chance(seed + 100)
        pass_gen, pass_reco = generator.random(n) >= 0.1, generator.random(n) >= 0.1
        kept = pass_gen | pass_reco
        return z[kept], x[kept], pass_gen[kept], pass_reco[kept]

    z, x, pass_gen, pass_reco = detected(0.0, 1.0, seed)
    true, seen, true_gen, true_reco = detected(0.2, 0.8, seed + 1)
    number = round(0.1 * true_reco.sum())
    data = np.concatenate([seen[true_reco], chance(seed + 2).normal(0, 1.2, number)])
    unwanted = chance(seed + 3).normal(0, 1.2, 4 * number)
    background = Measured(("x",), unwanted[:, None], np.full(4 * number, 0.25))
    return problem(z, x, pass_gen, pass_reco, data, background=background), true[true_gen]


def test_the_gaussian_case():
    posed, truth = gaussian_case()
    fits = fits_of(posed, 3, "m", ensemble=2)
    mean, width, total = moments(posed, run(posed, fits, iterations=5))
    assert mean == pytest.approx(0.2, abs=0.025)
    assert width == pytest.approx(0.8, abs=0.025)
    assert total == pytest.approx(len(truth), rel=0.02)


def test_closure_gives_weights_of_one():
    z, x = smeared(8000, 0, 1, 1)
    data = smeared(8000, 0, 1, 2)[1]
    posed = problem(z, x, everything(8000), everything(8000), data)
    weight = with_nominal(run(posed, iterations=2).weights)["nominal"]
    assert weight.mean() == pytest.approx(1.0, abs=1e-6)
    assert np.abs(weight - 1).mean() < 0.05


def test_weights_of_the_simulation_count():
    n = 8000
    z, x = smeared(n, 0.5, 1.2, 1, 1.0)
    # To N(0, 1) by weights; one iteration with a poor detector depends on what the prior is.
    weight = np.exp(-(z**2) / 2 + (z - 0.5) ** 2 / (2 * 1.2**2))
    data = smeared(n, 0.4, 0.9, 2, 1.0)[1]
    plain_z, plain_x = smeared(n, 0, 1, 3, 1.0)
    found = {}
    cases = {"weighted": (z, x, weight), "same": (plain_z, plain_x, None), "other": (z, x, None)}
    for name, (true, seen, w) in cases.items():
        posed = problem(true, seen, everything(n), everything(n), data, weight=w)
        found[name] = moments(posed, run(posed, [Fit("ensemble_0")], iterations=1))
    assert found["weighted"][:2] == pytest.approx(found["same"][:2], abs=0.04)
    assert abs(found["other"][1] - found["same"][1]) > 0.06


def test_events_lost_by_the_detector_get_the_weight_of_events_like_them():
    def lossy(mean, seed):
        z, x = smeared(8000, mean, 1, seed, 0.2)
        return z, x, chance(seed + 100).random(8000) < np.where(z > 0, 0.3, 0.9)

    z, x, found = lossy(0.0, 1)
    true, seen, true_found = lossy(0.5, 2)
    posed = problem(z, x, everything(len(z)), found, seen[true_found])
    mean, _, total = moments(posed, run(posed))
    # Of three samples tried, means scatter by 0.05 around the truth.
    assert mean == pytest.approx(true.mean(), abs=0.1)
    assert total == pytest.approx(len(true), rel=0.04)
    left = moments(posed, run(posed, inefficiency="unchanged"))
    assert left[0] < mean - 0.05
    assert left[2] < 0.92 * len(true)


def with_fakes(mean, seed, n=8000):
    """Of the events that the detector sees below 0, 60 % are outside of the particle level."""
    z, x = smeared(n, mean, 1, seed, 0.2)
    return z, x, chance(seed + 100).random(n) > np.where(x < 0, 0.6, 0.05)


def test_fakes_take_their_part_of_the_data():
    z, x, inside = with_fakes(0.0, 1)
    true, seen, true_inside = with_fakes(0.5, 2)
    posed = problem(z, x, inside, everything(len(z)), seen)
    truth = true[true_inside].mean()
    mean, _, total = moments(posed, run(posed))
    assert mean == pytest.approx(truth, abs=0.05)
    assert total == pytest.approx(true_inside.sum(), rel=0.03)
    ignored = problem(z, x, inside, inside, seen)
    assert abs(moments(ignored, run(ignored))[0] - truth) > 0.2
    # Left as they were, they are too many below 0.
    left = moments(posed, run(posed, fakes="unchanged"))
    assert abs(left[0] - truth) > 0.08


def test_fakes_that_stay_the_same_keep_their_weight():
    z, x, inside = with_fakes(0.0, 1)
    true, seen, true_inside = with_fakes(0.5, 2)
    # The fakes of the simulation, in the data too.
    seen = np.concatenate([seen[true_inside], x[~inside]])
    posed = problem(z, x, inside, everything(len(z)), seen)
    truth = true[true_inside].mean()
    kept = moments(posed, run(posed, fakes="unchanged"))[0]
    assert kept == pytest.approx(truth, abs=0.05)
    assert abs(moments(posed, run(posed))[0] - truth) > abs(kept - truth)


def with_background(n=6000):
    z, x = smeared(n, 0, 1, 1, 0.3)
    seen = smeared(n, 0.2, 0.8, 2, 0.3)[1]
    number = n // 5
    data = np.concatenate([seen, chance(3).normal(1.5, 0.4, number)])
    background = chance(4).normal(1.5, 0.4, 3 * number)
    measured = Measured(("x",), background[:, None], np.full(3 * number, 1 / 3))
    return problem(z, x, everything(n), everything(n), data, background=measured)


def test_background_is_subtracted():
    posed = with_background()
    outcome = run(posed)
    mean, width, total = moments(posed, outcome)
    assert mean == pytest.approx(0.2, abs=0.04)
    assert width == pytest.approx(0.8, abs=0.04)
    assert total == pytest.approx(6000, rel=1e-6)
    ignored = moments(posed, run(replace(posed, background=None)))
    assert abs(ignored[0] - 0.2) > 0.1
    assert "loss_background" in outcome.history["ensemble_0"][0]


def small(n=1500, shifts=("up",)):
    z, x = smeared(n, 0, 1, 1)
    generator = chance(5)
    pass_gen, pass_reco = generator.random(n) < 0.9, generator.random(n) < 0.9
    pass_gen |= ~pass_reco
    data = smeared(1000, 0.2, 0.8, 2)[1]
    number = 300
    background = Measured(("x",), chance(6).normal(0, 1.2, (number, 1)), np.full(number, 1 / 3))
    shifted = {name: x + 0.3 for name in shifts}
    return problem(z, x, pass_gen, pass_reco, data, background=background, shifted=shifted)


SHORT = {"iterations": 2, "training": QUICK["training"] | {"epochs": 3}}


def all_fits(posed):
    return fits_of(posed, 3, "m", ensemble=2, data_replicas=2, simulation_replicas=2)


def test_a_fit_does_not_depend_on_others():
    posed = small()
    fits = all_fits(posed)
    together = run(posed, fits, **SHORT, members_at_once=20)
    assert list(together.weights) == [fit.name for fit in fits]
    in_parts = run(posed, fits, **SHORT, members_at_once=3)
    for fit in fits:
        alone = run(posed, [fit], **SHORT)
        np.testing.assert_array_equal(alone.weights[fit.name], together.weights[fit.name])
        np.testing.assert_array_equal(in_parts.weights[fit.name], together.weights[fit.name])
        assert alone.history[fit.name] == together.history[fit.name]


def test_two_runs_are_equal_and_fits_differ():
    posed = small()
    fits = all_fits(posed)
    one, two = run(posed, fits, **SHORT), run(posed, fits, **SHORT)
    for name, weight in one.weights.items():
        np.testing.assert_array_equal(weight, two.weights[name])
    assert len({weight.tobytes() for weight in one.weights.values()}) == len(fits)


def test_replicas_vary_as_their_factors_say():
    posed = small()
    fits = {fit.name: fit for fit in all_fits(posed)}
    outcome = run(posed, list(fits.values()), **SHORT)
    passed = posed.simulation.gen.passed
    factor = fits["simulation_0"].simulation[passed]
    assert (outcome.weights["simulation_0"][factor == 0] == 0).all()
    assert (outcome.weights["simulation_0"][factor > 0] > 0).all()
    # All particle-level events were seen but for a tenth, so the data set the sum.
    more = Fit("data_0", data=np.full(len(posed.data), 2.0))
    doubled = run(posed, [more], **SHORT)
    expected = 2 * outcome.weights["ensemble_0"].sum() + 100
    assert doubled.weights["data_0"].sum() == pytest.approx(expected, rel=0.05)


def test_a_shift_is_unfolded_with_its_own_detector_level():
    posed = small()
    outcome = run(posed, all_fits(posed))
    values = posed.simulation.gen.values[posed.simulation.gen.passed, 0]
    # Simulation that is shifted up by 0.3 makes the same data come from lower values.
    change = np.average(values, weights=outcome.weights["shift_up"]) - np.average(
        values, weights=outcome.weights["ensemble_0"]
    )
    assert change == pytest.approx(-0.3, abs=0.12)


def test_unifold_has_weights_for_each_observable():
    posed = small(shifts=())
    simulation, data = posed.simulation, posed.data
    other = chance(9).normal(size=(len(simulation), 1))

    def doubled(one):
        return Level(
            np.where(one.passed[:, None], np.hstack([one.values, other]), np.nan), one.passed
        )

    two = replace(
        simulation, names=("x", "noise"), gen=doubled(simulation.gen), reco=doubled(simulation.reco)
    )
    noise = chance(10).normal(size=(len(data), 1))
    measured = Measured(two.names, np.hstack([data.values, noise]), data.weight)
    both = Problem(two, measured)
    outcome = run(both, [Fit("ensemble_0")], inputs="unifold")
    alone = run(replace(posed, background=None), [Fit("ensemble_0")])
    weights = with_nominal(outcome.weights, two.names)
    assert set(weights) == {f"{a}@{b}" for a in ("nominal", "ensemble_0") for b in two.names}
    np.testing.assert_array_equal(weights["ensemble_0@x"], alone.weights["ensemble_0"])
    assert np.std(weights["nominal@noise"]) < 0.5 * np.std(weights["nominal@x"])


def test_logits_are_clamped_and_counted():
    n = 4000
    z, x = smeared(n, 0, 1, 1, 0.1)
    posed = problem(z, x, everything(n), everything(n), chance(2).normal(2, 0.5, n))
    outcome = run(posed, **SHORT, logit_limit=0.5)
    last = mean_history(outcome.history, ["ensemble_0"])[-1]
    assert 0.2 < last["clipped_fraction"] <= 1
    weight = outcome.weights["ensemble_0"]
    assert weight.max() / weight.min() == pytest.approx(np.exp(1.0), rel=0.01)
    free = mean_history(run(posed, **SHORT).history, ["ensemble_0"])[-1]
    assert free["clipped_fraction"] < last["clipped_fraction"]
    assert free["effective_sample_size"] < last["effective_sample_size"] <= n


def test_data_far_from_the_simulation_give_no_huge_weights():
    n = 2000
    z, x = smeared(n, 0, 1, 1, 0.1)
    posed = problem(z, x, everything(n), everything(n), chance(2).normal(50, 0.1, n))
    weight = run(posed, **SHORT, logit_limit=7.0).weights["ensemble_0"]
    assert np.isfinite(weight).all()
    assert weight.sum() == pytest.approx(n)


def test_the_stopping_rule_stops_all_fits_at_the_same_iteration():
    posed = small()
    fits = all_fits(posed)
    told = []
    settings = OmnifoldSettings.model_validate(
        QUICK | SHORT | {"iterations": 5, "least_drift": 0.5, "members_at_once": 2}
    )
    outcome = unfold(posed, fits, settings, 3, told.append)
    assert outcome.stopped
    assert {len(history) for history in outcome.history.values()} == {1}
    assert sum(told) == 5 * len(fits)
    never = run(posed, fits[:2], **SHORT, least_drift=1e-9)
    assert not never.stopped
    assert len(never.history["ensemble_0"]) == 2
    assert list(outcome.weights) == [fit.name for fit in fits]


def test_a_ratio_is_not_applied_again_where_nothing_better_is_learned(monkeypatch):
    really = classifications.train

    def data_only_once(network, inputs, weights, orders, settings, names, what, limit):
        if "detector" in what and orders[0].keys[-1] > 0:
            settings = settings.model_copy(update={"learning_rate": 1e-12})
        return really(network, inputs, weights, orders, settings, names, what, limit)

    monkeypatch.setattr(classifications, "train", data_only_once)
    posed = small()
    changes = {"inefficiency": "unchanged", "fakes": "unchanged"}
    once, often = (run(posed, **changes, iterations=n).weights["ensemble_0"] for n in (1, 4))
    assert np.std(np.log(once)) > 0.1
    # What the particle level learns better meanwhile changes them a little.
    assert np.std(np.log(often)) == pytest.approx(np.std(np.log(once)), rel=0.2)


def test_networks_start_anew_where_asked():
    posed = small()
    warm, cold = (run(posed, **SHORT, warm_start=warm) for warm in (True, False))
    assert not np.array_equal(warm.weights["ensemble_0"], cold.weights["ensemble_0"])


@pytest.mark.parametrize(
    ("row", "words"), [(-1.0, "negative"), (np.nan, "NaN or infinite"), (np.inf, "infinite")]
)
def test_unusable_weights_are_named(row, words):
    posed = small()
    weight = posed.simulation.weight.copy()
    weight[7] = row
    with pytest.raises(InputError, match=f"simulation.*{words}"):
        run(replace(posed, simulation=posed.simulation.weighted(weight)))
    weight = posed.data.weight.copy()
    weight[7] = row
    with pytest.raises(InputError, match=f"data: .*{words}"):
        run(replace(posed, data=replace(posed.data, weight=weight)))


def test_a_replica_without_events_is_named():
    posed = small()
    with pytest.raises(InputError, match=r"simulation of simulation_0, detector level.*sum to 0"):
        run(posed, [Fit("simulation_0", simulation=np.zeros(len(posed.simulation)))])


def test_levels_without_common_events_are_refused():
    z, x = smeared(1000, 0, 1, 1)
    first = np.arange(1000) < 500
    with pytest.raises(InputError, match="no event passes this and the particle level"):
        run(problem(z, x, first, ~first, x))


def test_more_background_than_data_is_refused():
    posed = small()
    background = replace(posed.background, weight=posed.background.weight * 20)
    with pytest.raises(InputError, match="as much background as data"):
        run(replace(posed, background=background))


def test_a_class_without_weight_in_a_part_is_named():
    posed = small()
    only = np.zeros(len(posed.data))
    only[3] = 1000.0
    with pytest.raises(InputError, match=r"of ensemble_0: the weights of class 1 in the"):
        run(
            replace(posed, background=None, data=replace(posed.data, weight=only)),
            [Fit("ensemble_0")],
        )


def test_too_few_events_to_divide_are_refused():
    z, x = smeared(1000, 0, 1, 1)
    with pytest.raises(InputError, match="data: 2 events cannot be divided"):
        run(problem(z, x, everything(1000), everything(1000), x[:2]))
