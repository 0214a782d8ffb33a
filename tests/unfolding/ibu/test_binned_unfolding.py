"""Iterative Bayesian unfolding of events in bins."""

from dataclasses import replace

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.unfolding import binned_problem, ibu
from fullchain.unfolding.binned_problem import BinnedProblem, Factors
from fullchain.unfolding.binned_unfolding import unfold
from fullchain.unfolding.ibu_settings import IbuSettings
from fullchain.unfolding.replicas import background_factors, data_factors, simulation_factors
from fullchain.unfolding.response import Cells
from fullchain.unfolding.sample import Level, Measured, Problem, Simulation

FINE = np.linspace(-3.0, 3.0, 51)
COARSE = np.linspace(-3.0, 3.0, 13)
NONE = Factors.none()


def settings(**changes):
    return IbuSettings.model_validate(changes)


def nominal(problem, edges=COARSE, **changes):
    case = BinnedProblem.of(problem, problem.simulation.names, [edges] * len(problem.data.names))
    return unfold(case, settings(**changes), NONE)


def as_data(simulation):
    passed = simulation.reco.passed
    return Measured(simulation.names, simulation.reco.values[passed], simulation.weight[passed])


def moments(spectrum):
    """Mean and width of a spectrum."""
    centres = (spectrum.edges[1:] + spectrum.edges[:-1]) / 2
    mean = np.average(centres, weights=spectrum.counts)
    return mean, np.sqrt(np.average((centres - mean) ** 2, weights=spectrum.counts))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_closure_is_exact_in_any_number_of_dimensions(gaussian, dimensions):
    one = gaussian(3000, 10, dimensions=dimensions, background=False)[0].simulation
    one = one.weighted(np.random.default_rng(1).uniform(0.5, 2.0, len(one)))
    edges = np.linspace(-1.5, 1.5, 5)
    found = nominal(Problem(one, as_data(one)), edges, iterations=3)
    cells = Cells((edges,) * dimensions)
    passed = one.gen.passed
    expected = np.bincount(cells.numbers(one.gen.values[passed]), one.weight[passed], cells.size)
    # Cells that the detector never sees are scaled with the rest, which closes as well
    np.testing.assert_allclose(found.counts, expected, rtol=1e-9)
    joint = found.joint(one.names)
    assert joint.counts.shape == (4,) * dimensions
    assert joint.counts.sum() + joint.outside == pytest.approx(one.weight[passed].sum())


def test_the_known_truth_is_recovered(gaussian):
    problem, truth = gaussian(110_000, 110_000)
    found = nominal(problem, FINE, iterations=15)
    before = np.histogram(problem.data.values[:, 0], FINE)[0]
    spectrum = found.spectrum("x")
    mean, width = moments(spectrum)
    assert mean == pytest.approx(0.2, abs=0.01)
    assert width == pytest.approx(0.8, rel=0.02)
    assert moments(replace(spectrum, counts=before))[1] > 0.9
    assert found.about["unfolded_events"] == pytest.approx(len(truth), rel=0.01)
    assert found.about["efficiency"] == pytest.approx(0.9, abs=0.005)
    assert found.about["fakes"] == pytest.approx(0.1, abs=0.005)
    assert found.about["outside_support"] == 0
    # Data and simulation fluctuate as much as each other, of which chi squared knows the data
    assert found.about["refolded_chi2"] / found.about["refolded_cells"] < 2
    assert spectrum.outside[0] == pytest.approx((truth < -3).sum(), abs=15)


def test_pulls_of_pseudo_experiments(gaussian):
    problem, _ = gaussian(50_000, 50_000)
    case = BinnedProblem.of(problem, ["x"], [COARSE])
    migration = case.simulated.migration(problem.simulation.weight)
    response, prior = migration.response, migration.generated
    centres = np.concatenate([[-3.25], (COARSE[1:] + COARSE[:-1]) / 2, [3.25]])
    truth = 50_000 * np.exp(-0.5 * ((centres - 0.2) / 0.8) ** 2) * 0.5 / np.sqrt(2 * np.pi) / 0.8
    truth = truth[case.simulated.gen_cells]
    background = case.background()
    reached = case.simulated.reco_cells
    expected = np.zeros(case.cells.size)
    expected[reached] = (response @ truth) / migration.acceptance + background[reached]
    toys = np.random.default_rng(7).poisson(expected, (1000, len(expected))).astype(float)
    signal = case.signal(toys, background, migration)
    # Moments have converged after 20 iterations, single cells of this resolution after hundreds
    found = ibu.unfold(signal, response, prior, 1000)
    true_signal = case.signal(expected, background, migration)
    slope = ibu.derivative(true_signal, response, prior, 1000)
    covariance = (slope * (expected[reached] * migration.acceptance**2)) @ slope.T
    # Total, mean, width, and the highest cell
    values = centres[case.simulated.gen_cells]
    highest = (np.arange(len(truth)) == truth.argmax()).astype(float)
    for direction in (np.ones(len(truth)), values - 0.2, (values - 0.2) ** 2 - 0.64, highest):
        pulls = (found - truth) @ direction / np.sqrt(direction @ covariance @ direction)
        # Standard errors: 0.032 of the mean, 0.022 of the width
        assert pulls.mean() == pytest.approx(0.0, abs=0.1)
        assert pulls.std(ddof=1) == pytest.approx(1.0, abs=0.1)


def test_two_dimensions_of_a_product_are_one_dimension_twice(gaussian):
    parts = [gaussian(60, 50, seed=seed, background=False)[0] for seed in (1, 2)]

    def product(first, second):
        left, right = np.divmod(np.arange(len(first) * len(second)), len(second))

        def level(which):
            one, two = getattr(first, which).take(left), getattr(second, which).take(right)
            passed = one.passed & two.passed
            values = np.concatenate([one.values, two.values], axis=1)
            return Level(np.where(passed[:, None], values, np.nan), passed)

        ids = first.ids[left]
        return Simulation(("x", "y"), level("gen"), level("reco"), np.ones(len(left)), ids)

    simulation = product(parts[0].simulation, parts[1].simulation)
    x, y = (one.data.values[:, 0] for one in parts)
    pairs = np.stack([np.repeat(x, len(y)), np.tile(y, len(x))], axis=1)
    edges = np.linspace(-2, 2, 5)
    both = nominal(Problem(simulation, Measured(("x", "y"), pairs, np.ones(len(pairs)))), edges)
    single = [nominal(one, edges) for one in parts]
    expected = np.outer(single[0].counts, single[1].counts)
    np.testing.assert_allclose(both.counts.reshape(6, 6), expected, rtol=1e-9)
    for axis in range(2):
        alone, other = single[axis].spectrum("x"), single[1 - axis]
        projected = both.spectrum("xy"[axis], axis)
        np.testing.assert_allclose(projected.counts, alone.counts * other.counts.sum())
        assert projected.outside == pytest.approx(
            [number * other.counts.sum() for number in alone.outside]
        )


def test_weights_count_as_events(gaussian):
    problem = gaussian(3000, 3000)[0]
    one = problem.simulation
    twice = one.ids[:, 2] % 2 == 0
    repeated = one.take(np.repeat(np.arange(len(one)), np.where(twice, 2, 1)))
    weighted = one.weighted(np.where(twice, 2.0, 1.0))
    first = nominal(replace(problem, simulation=repeated))
    second = nominal(replace(problem, simulation=weighted))
    np.testing.assert_allclose(first.counts, second.counts, rtol=1e-9)
    assert not np.allclose(first.counts, nominal(problem).counts, rtol=1e-3)


def replicated(problem, measurement="toy", number=4, edges=COARSE, **changes):
    chosen = settings(data_replicas=number, simulation_replicas=number, **changes)
    factors = Factors.drawn(problem, number, number, 5, measurement)
    case = BinnedProblem.of(problem, ["x"], [edges])
    return unfold(case, chosen, factors)


@pytest.mark.parametrize("prior", ["simulation", "flat"])
def test_replicas_are_those_of_brute_force(gaussian, prior):
    problem = gaussian(3000, 3000)[0]
    found = replicated(problem, prior=prior)
    simulation, data, background = problem.simulation, problem.data, problem.background
    for k in range(4):
        # A bin that the factors empty is to be a bin with weight 0, not one that is not there
        weight = simulation.weight * simulation_factors(5, "toy", k, len(simulation))
        noise = background.weight * background_factors(5, "toy", k, len(background))
        other = Problem(simulation.weighted(weight), data, replace(background, weight=noise))
        expected = nominal(other, prior=prior).counts
        np.testing.assert_allclose(found.replicas["simulation"][k], expected, rtol=1e-9)
        weight = data.weight * data_factors(5, "toy", k, len(data))
        other = replace(problem, data=replace(data, weight=weight))
        expected = nominal(other, prior=prior).counts
        np.testing.assert_allclose(found.replicas["data"][k], expected, rtol=1e-9)


def test_covariance_is_that_of_the_replicas(gaussian):
    found = replicated(gaussian(5000, 5000)[0], number=300)
    spectrum = found.spectrum("x")
    for source in ("data", "simulation"):
        inner = found.replicas[source][:, 1:-1]
        assert inner.shape == (300, 12)
        np.testing.assert_allclose(spectrum.covariances[source], np.cov(inner, rowvar=False))
    errors = {name: np.array(values) for name, values in found.about["errors"].items()}
    filled = spectrum.counts > 100
    # Of 300 replicas an error is known to 4 %
    np.testing.assert_allclose(errors["data"][filled], errors["data_propagated"][filled], rtol=0.15)
    assert (errors["response"][filled] < 1.2 * errors["simulation"][filled]).all()
    assert (errors["prior"][filled] > 0).all()
    # Neighbours share events that may belong to either
    correlation = spectrum.covariances["data"][5, 6] / np.prod(errors["data"][5:7])
    assert correlation < -0.1 or correlation > 0.1


def test_covariance_of_a_projection_is_that_of_the_joint_spectrum(gaussian):
    problem = gaussian(2000, 2000, dimensions=2)[0]
    # Nothing lies outside of the edges, or the projection has events that the joint bins have not
    edges = np.array([-9.0, -0.5, 0.5, 9.0])
    case = BinnedProblem.of(problem, ["x", "y"], [edges, edges])
    found = unfold(case, settings(), Factors.drawn(problem, 10, 10, 5, "toy"))
    joint = found.joint(["x", "y"])
    total = np.kron(np.eye(3), np.ones(3))
    for source, covariance in joint.covariances.items():
        assert covariance.shape == (9, 9)
        projected = joint.projections["x"].covariances[source]
        np.testing.assert_allclose(total @ covariance @ total.T, projected, rtol=1e-6, atol=1e-6)


def test_portions_and_repetition_change_nothing(gaussian, monkeypatch):
    problem = gaussian(2000, 2000)[0]
    first, second = replicated(problem), replicated(problem)
    for source in ("data", "simulation"):
        np.testing.assert_array_equal(first.replicas[source], second.replicas[source])
    monkeypatch.setattr(binned_problem, "AT_ONCE", 1)
    third = replicated(problem)
    for source in ("data", "simulation"):
        np.testing.assert_allclose(first.replicas[source], third.replicas[source], rtol=1e-12)


def test_shifts_and_factors_are_changes_of_the_result(gaussian):
    problem = gaussian(5000, 5000)[0]
    one = problem.simulation
    slope = np.where(one.gen.passed, np.exp(0.3 * np.nan_to_num(one.gen.values[:, 0])), 1.0)
    varied = replace(
        one,
        shifted={
            "same": one.reco,
            "up": Level(one.reco.values + 0.2, one.reco.passed),
        },
        factors={"twice": np.full(len(one), 2.0), "slope": slope},
    )
    found = nominal(replace(problem, simulation=varied), iterations=3)
    spectrum = found.spectrum("x")
    assert set(spectrum.shifts) == {"same", "up", "twice", "slope"}
    np.testing.assert_allclose(spectrum.shifts["same"], 0.0, atol=1e-9)
    np.testing.assert_allclose(spectrum.shifts["twice"], 0.0, atol=1e-9)
    # A detector that reads higher makes the same data come from lower
    low = moments(replace(spectrum, counts=spectrum.counts + spectrum.shifts["up"]))[0]
    assert low - moments(spectrum)[0] == pytest.approx(-0.2, abs=0.03)
    weighted = replace(problem, simulation=one.weighted(one.weight * slope))
    expected = nominal(weighted, iterations=3).spectrum("x").counts - spectrum.counts
    np.testing.assert_allclose(spectrum.shifts["slope"], expected, atol=1e-9)
    assert np.abs(expected).max() > 1


def by_hand(gen, reco, data, *, background=None):
    """A problem of given values; NaN fails."""
    gen, reco = (np.array(values, dtype=float)[:, None] for values in (gen, reco))
    ids = np.stack([np.ones(len(gen)), np.ones(len(gen)), np.arange(len(gen))], axis=1)
    simulation = Simulation(
        ("x",),
        Level(gen, np.isfinite(gen[:, 0])),
        Level(reco, np.isfinite(reco[:, 0])),
        np.ones(len(gen)),
        ids.astype(np.int64),
    )
    found = [
        Measured(("x",), np.array(values, dtype=float)[:, None], np.ones(len(values)))
        for values in (data, background or [])
    ]
    return Problem(simulation, found[0], found[1] if background else None)


EDGES = np.array([0.0, 1.0, 2.0, 3.0])


def test_the_refolded_spectrum_has_signal_fakes_and_background():
    # Second bin: one signal and one fake in the simulation; third bin: background only
    problem = by_hand(
        [0.5, 1.5, np.nan], [0.5, 1.5, 1.5], [0.5, 1.5, 1.5, 1.5, 1.5, 2.5], background=[1.5, 2.5]
    )
    level = nominal(problem, EDGES).about["detector_level"]
    assert level["data"] == [1, 4, 1]
    np.testing.assert_allclose(level["refolded"], [1, 4, 1])
    # Of the data as expected, and of the simulated background
    np.testing.assert_allclose(level["variance"], [1, 5, 2])


def test_the_other_prior_is_the_result_that_its_setting_gives(gaussian):
    problem = gaussian(3000, 2000)[0]
    case = BinnedProblem.of(problem, problem.simulation.names, [COARSE])
    factors = Factors.drawn(problem, 30, 30, 7, "m")
    changed = {}
    for iterations in (2, 40):
        one, flat = (
            unfold(case, settings(iterations=iterations, prior=prior), factors)
            for prior in ("simulation", "flat")
        )
        found = one.about["prior_dependence"]
        np.testing.assert_allclose(found["counts"], case.cells.inner(flat.counts))
        assert flat.about["prior_dependence"]["prior"] == "simulation"
        np.testing.assert_allclose(
            flat.about["prior_dependence"]["counts"], case.cells.inner(one.counts)
        )
        both = [one.replicas, flat.replicas]
        sigma = np.sqrt(sum(case.cells.inner(x).var(axis=0, ddof=1) for x in one.replicas.values()))
        changes = case.cells.inner(flat.counts - one.counts) / sigma
        np.testing.assert_allclose(np.array(found["changes"], float), changes)
        error = np.sqrt(
            sum(
                case.cells.inner(both[1][source] - both[0][source]).var(axis=0, ddof=1)
                for source in one.replicas
            )
        )
        np.testing.assert_allclose(np.array(found["deviations"], float), error / sigma)
        assert found["rms"]["value"] == pytest.approx(np.sqrt((changes**2).mean()))
        assert found["rms"]["deviation"] > 0
        changed[iterations] = found["rms"]["value"]
    # Iterations forget the prior.
    assert changed[40] < 0.3 * changed[2]
    assert nominal(problem, iterations=2).about["prior_dependence"]["rms"] is None


def test_data_outside_of_the_simulation_are_reported():
    problem = by_hand([0.5, 1.5], [0.5, 1.5], [0.5, 0.5, 1.5, 2.5, 3.5])
    found = nominal(problem, EDGES)
    assert found.about["outside_support"] == pytest.approx(0.4)
    assert found.about["outside_support_error"] == pytest.approx(np.sqrt(0.4 * 0.6 / 5))
    assert found.about["cells_outside_support"] == 2
    assert found.about["data_events"] == 5
    np.testing.assert_allclose(found.counts, [0, 2, 1, 0, 0])


def test_bins_without_efficiency_are_reported_and_keep_their_shape():
    problem = by_hand([0.5, 1.5, 2.5, 2.5], [0.5, 1.5, np.nan, np.nan], [0.5, 0.5, 1.5, 1.5])
    found = nominal(problem, EDGES)
    assert found.about["without_efficiency"] == {"cells": [3], "part_of_simulation": 0.5}
    np.testing.assert_allclose(found.counts, [0, 2, 2, 4, 0])


def test_a_background_above_the_data_is_reported():
    problem = by_hand(
        [0.5, 1.5], [0.5, 1.5], [0.5, 0.5, 1.5, 1.5, 1.5], background=[0.5, 0.5, 0.5, 1.5]
    )
    found = nominal(problem, EDGES)
    assert found.about["background_above_data"] == {"cells": 1, "events": 1.0}
    np.testing.assert_allclose(found.counts, [0, 0, 2, 0, 0])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (([7.0], [0.5], [0.5]), "'x': no simulated event at the particle level lies between"),
        (([0.5], [7.0], [0.5]), "no simulated event at the detector level .* 0 and 3"),
        (([0.5], [0.5], [7.0]), "no event of the data lies between"),
        (([0.5, np.nan], [np.nan, 0.5], [0.5]), "no event passes the selections of both levels"),
        (([0.5], [0.5], [1.5]), "nothing is left to unfold"),
    ],
)
def test_what_cannot_be_unfolded_is_named(values, words):
    with pytest.raises(InputError, match=words):
        nominal(by_hand(*values), EDGES)


def test_a_background_that_eats_all_data_is_an_error():
    with pytest.raises(InputError, match="nothing is left to unfold"):
        nominal(by_hand([0.5], [0.5], [0.5], background=[0.5, 0.5]), EDGES)


@pytest.mark.parametrize(
    ("factor", "words"), [(np.nan, "variation 'bad'.*NaN"), (-1.0, "variation 'bad'.*negative")]
)
def test_unusable_variations_are_named(factor, words):
    problem = by_hand([0.5, 1.5], [0.5, 1.5], [0.5, 1.5])
    varied = replace(problem.simulation, factors={"bad": np.array([1.0, factor])})
    with pytest.raises(InputError, match=words):
        nominal(replace(problem, simulation=varied), EDGES)


def test_a_shift_that_leaves_nothing_is_named():
    problem = by_hand([0.5, 1.5], [0.5, 1.5], [0.5, 1.5])
    lost = Level(np.full((2, 1), np.nan), np.zeros(2, dtype=bool))
    varied = replace(problem.simulation, shifted={"down": lost})
    with pytest.raises(InputError, match="shift 'down': no event passes"):
        nominal(replace(problem, simulation=varied), EDGES)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data_replicas": 1}, "one replica has no spread"),
        ({"joint": [["x"]]}, "not a set of two"),
        ({"threshold": 0.1}, "choose stopping"),
        ({"iterations": 0}, "iterations"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        settings(**changes)
