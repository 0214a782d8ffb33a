"""The median of a batch as a condition: the lesson of the mass of the top quark."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.seeds import stream
from fullchain.unfolding import batch_median, generative_samples
from fullchain.unfolding.generative_settings import CinnSettings
from fullchain.unfolding.generative_unfolding import fitted
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.sample import Level, Measured, Problem, Simulation

MASSES = (-1.0, -0.5, 0.0, 0.5, 1.0)
SMEARING = 1.5
TRUE = 0.4


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def simulation(masses=MASSES, rows=1500):
    """Samples of unit width at several masses, smeared by more than that."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(len(masses)), rows)
    gen = np.asarray(masses)[group] + rng.normal(size=len(group))
    reco = gen + rng.normal(scale=SMEARING, size=len(group))
    everything = np.ones(len(group), bool)
    ids = np.stack([group, group, np.arange(len(group))], axis=1)
    return Simulation(
        ("x",),
        Level(gen[:, None], everything),
        Level(reco[:, None], everything),
        np.ones(len(group)),
        ids,
        group=group,
    )


def data(rows=3000):
    rng = np.random.default_rng(2)
    seen = rng.normal(TRUE, 1, rows) + rng.normal(scale=SMEARING, size=rows)
    return Measured(("x",), seen[:, None], np.ones(rows))


def with_fakes(values, chance):
    """A fifth of the events, fakes of all samples alike, stands elsewhere."""
    fake = chance.random(len(values)) < 0.2
    return np.where(fake[:, None], chance.normal(-3.0, 0.5, values.shape), values), fake


def test_fakes_are_in_the_medians_of_both():
    chance = np.random.default_rng(5)
    simulated, measured = simulation((0.0, 1.0), 4000), data(8000)
    values, fake = with_fakes(simulated.reco.values, chance)
    gen = simulated.gen.values.copy()
    gen[fake] = np.nan
    simulated = replace(
        simulated,
        gen=Level(gen, ~fake),
        reco=Level(values, simulated.reco.passed),
        weight=simulated.weight * len(measured) / len(simulated),
    )
    like = chance.normal(1.0, np.hypot(1.0, SMEARING), (8000, 1))
    measured = replace(measured, values=with_fakes(like, chance)[0])
    settings = CinnSettings(
        iterations=0, ensemble=1, samples=1, data_replicas=0, variations=False, control=None,
        blocks=1, layers=(8,), training={"epochs": 1, "batch_size": 2000}, median_of="x",
    )  # fmt: skip
    x = ObservableSettings(label="x", low=-8, high=8)
    posed = Problem(simulated, measured)
    found = fitted(posed, {"x": x}, settings, seed=3, measurement="fakes", replica_seed=4).median
    # The data are as the second sample.
    assert found.data == pytest.approx(found.simulated[simulated.group == 1].mean(), abs=0.15)


def unfolded_mean(simulated, **changes):
    settings = CinnSettings(
        iterations=0,
        ensemble=1,
        samples=4,
        data_replicas=0,
        variations=False,
        control=None,
        blocks=2,
        layers=(24,),
        training={"epochs": 15, "batch_size": 256, "learning_rate": 5e-3, "patience": 15},
        further_epochs=3,
        **changes,
    )
    x = ObservableSettings(label="x", low=-6, high=6)
    total = len(data()) / len(simulated)
    posed = Problem(simulated.weighted(simulated.weight * total), data())
    found = fitted(posed, {"x": x}, settings, seed=3, measurement="lesson", replica_seed=4)
    sample, _ = generative_samples.unfolded(found, "lesson", 4, 0)
    return np.average(sample.values[:, 0], weights=sample.weights["nominal"])


def test_the_median_removes_the_bias_to_the_prior():
    one = unfolded_mean(simulation((0.0,), 4000))
    several = unfolded_mean(simulation())
    told = unfolded_mean(simulation(), median_of="x")
    # By formula: 0.4 / (1 + 1.5^2) = 0.12, and 0.4 x 1.5 / (1.5 + 1.5^2) = 0.16.
    assert one == pytest.approx(0.123, abs=0.06)
    assert several == pytest.approx(0.16, abs=0.06)
    assert told == pytest.approx(TRUE, abs=0.13)
    assert abs(told - TRUE) < 0.6 * abs(several - TRUE)


def test_medians_are_those_of_the_samples():
    found = batch_median.measured(simulation(), data(), np.ones(3000), "x", 500, 5)
    group = simulation().group
    means = [found.simulated[group == number].mean() for number in range(5)]
    assert np.all(np.diff(means) > 0.4)
    assert means[2] < found.data < means[4]
    assert found.simulated.std() == pytest.approx(1.0)


def test_batches_of_fewer_events_spread_more():
    spreads = []
    for size in (50, 2000):
        found = batch_median.measured(simulation(), data(), np.ones(3000), "x", size, 5)
        spreads.append(found.simulated[simulation().group == 0].std())
    assert spreads[0] > 3 * spreads[1]


@pytest.mark.parametrize(
    ("masses", "name", "words"), [((0.0,), "x", "of one sample"), (MASSES, "y", "'y' is not")]
)
def test_what_has_no_median_is_named(masses, name, words):
    with pytest.raises(InputError, match=words):
        batch_median.measured(simulation(masses), data(), np.ones(3000), name, None, 5)


def test_a_sample_without_weight_is_named():
    simulated = simulation((0.0, 1.0))
    nothing = simulated.weighted(np.where(simulated.group == 1, 0.0, simulated.weight))
    with pytest.raises(InputError, match=r"median_of: the weights of sample .* sum to 0"):
        batch_median.measured(nothing, data(), data().weight, "x", None, 1)


def test_a_median_that_is_the_same_in_all_batches_names_the_samples():
    """A discrete observable: of two values, one in three events, the median is the lower."""
    events = simulation((0.0, 1.0), 1500)
    events.reco.values[:, 0] = np.arange(3000) % 3 == 0
    named = replace(events, samples=("tt_a14", "tt_cp5"))
    words = r"median of 'x' is 0 in all batches of the samples tt_a14, tt_cp5"
    with pytest.raises(InputError, match=words):
        batch_median.measured(named, data(), np.ones(3000), "x", 400, 5)
    with pytest.raises(InputError, match="of the samples 0, 1,"):
        batch_median.measured(events, data(), np.ones(3000), "x", 400, 5)


def test_batches_are_drawn_one_after_the_other():
    """What is held at once does not grow with their number: 200 of 40 000 are 64 MB."""
    events, size = simulation(rows=300), 40_000
    tracemalloc.start()
    batch_median.measured(events, data(), np.ones(3000), "x", size, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 8 * size


def test_medians_stay_those_that_were_drawn_all_at_once():
    events = simulation((0.0, 1.0), 300)
    found = batch_median.measured(events, data(), np.ones(3000), "x", 100, 5)
    expected = np.empty(600)
    for one in (0, 1):
        chance = stream(5, "median", one)
        values = events.reco.values[events.group == one, 0]
        drawn = chance.choice(values, (batch_median.BATCHES, 100), p=np.full(300, 1 / 300))
        expected[events.group == one] = chance.choice(np.median(drawn, axis=1), 300)
    expected = (expected - expected.mean()) / expected.std()
    np.testing.assert_allclose(found.simulated, expected, rtol=1e-12)


def test_conditions_get_one_more_column():
    found = batch_median.appended(np.zeros((2, 3, 4)), np.array([1.0, 2.0]))
    assert found.shape == (2, 3, 5)
    np.testing.assert_array_equal(found[:, 1, 4], [1.0, 2.0])
    np.testing.assert_array_equal(batch_median.appended(np.zeros((2, 4)), 3.0)[:, 4], [3.0, 3.0])
