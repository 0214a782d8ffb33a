"""The Gaussian case, as samples and as tables."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from fullchain.step import Given
from fullchain.unfolding import event_table, gaussian, toy
from fullchain.unfolding.toy_settings import ToySettings, default_toys

DETECTOR = gaussian.Detector(smearing=0.5, inefficiency=0.1, fakes=0.1)
EVENTS = 40_000


def sample(truth=(0.2, 0.8)):
    chance = np.random.default_rng(1)
    return gaussian.signal(chance, EVENTS, gaussian.Normal(*truth), DETECTOR)


def test_the_detector_smears_loses_and_adds_as_it_is_told():
    events = sample()
    gen, reco = events.gen, events.reco
    both = gen.passed & reco.passed
    assert both.sum() / gen.passed.sum() == pytest.approx(0.9, abs=0.005)
    assert both.sum() / reco.passed.sum() == pytest.approx(0.9, abs=0.005)
    # Events that pass neither level are no rows.
    assert len(events) == pytest.approx(0.99 * EVENTS, rel=0.003)
    difference = (reco.values - gen.values)[both, 0]
    assert difference.mean() == pytest.approx(0.0, abs=0.01)
    assert difference.std() == pytest.approx(0.5, rel=0.02)
    assert np.nanmean(gen.values) == pytest.approx(0.2, abs=0.015)
    assert np.nanstd(gen.values) == pytest.approx(0.8, rel=0.015)
    # Fakes look like the other events: they are not of the fiducial volume, that is all.
    fakes = reco.values[reco.passed & ~gen.passed, 0]
    assert fakes.std() == pytest.approx(np.hypot(0.8, 0.5), rel=0.04)


def test_data_hold_the_expected_part_of_background_with_poisson_numbers():
    below = gaussian.Background(gaussian.Normal(0.0, 1.2), 0.1)
    found = [
        gaussian.data(np.random.default_rng(seed), 2000, gaussian.Normal(0.2, 0.8), DETECTOR, below)
        for seed in range(60)
    ]
    seen = np.array([one.reco.passed.sum() for one in found])
    assert seen.mean() == pytest.approx(2000 * 0.9 / 0.9, abs=5 * np.sqrt(2000 / 60))
    assert seen.var(ddof=1) == pytest.approx(2000, rel=0.6)
    assert len({tuple(row) for row in found[0].ids}) == len(found[0])
    assert np.isnan(found[0].gen.values[~found[0].gen.passed]).all()


def test_a_problem_has_the_simulation_at_the_size_of_the_signal_in_the_data():
    chance = np.random.default_rng(2)
    below = gaussian.Background(gaussian.Normal(0.0, 1.2), 0.1)
    data = gaussian.data(chance, 3000, gaussian.Normal(0.2, 0.8), DETECTOR, below)
    unwanted = gaussian.background(chance, 500, below.shape)
    found = gaussian.problem(sample((0.0, 1.0)), data, unwanted, 0.1)
    simulated = found.simulation.weight[found.simulation.reco.passed].sum()
    assert found.background.weight.sum() == pytest.approx(0.1 * len(found.data))
    assert simulated == pytest.approx(0.9 * len(found.data))
    assert len(found.truth.values) == data.gen.passed.sum()


def test_expected_counts_are_those_of_many_events():
    events, edges = sample(), np.linspace(-3, 3, 13)
    values = events.gen.values[events.gen.passed, 0]
    expected = gaussian.expected_counts(edges, gaussian.Normal(0.2, 0.8), 0.9 * EVENTS)
    counts, _ = np.histogram(values, edges)
    pulls = (counts - expected) / np.sqrt(np.maximum(expected, 1.0))
    assert np.abs(pulls).max() < 4.0
    assert (pulls**2).mean() < 2.5


def test_toys_are_tables_whose_random_numbers_belong_to_their_names(tmp_path):
    toys = {name: one.model_dump() for name, one in default_toys().items()}
    toys["again"] = toys["gaussian"]
    settings = Given({"seed": 3, "unfolding": {"toys": toys}})
    for name in toys:
        toy.main(name=name, events=tmp_path / f"{name}.parquet", settings=settings)
    toy.main(name="gaussian", events=tmp_path / "twice.parquet", settings=settings)
    tables = {
        name: event_table.read([tmp_path / f"{name}.parquet"], ["x"]) for name in (*toys, "twice")
    }
    np.testing.assert_array_equal(tables["gaussian"].gen.values, tables["twice"].gen.values)
    assert not np.array_equal(tables["gaussian"].gen.values[:50], tables["again"].gen.values[:50])
    assert not tables["gaussian_background"].gen.passed.any()
    about = event_table.about(tmp_path / "gaussian_data.parquet")
    # One in ten is a fake.
    expected = 0.9 * default_toys()["gaussian_data"].events
    assert about["known"] == {"x": {"mean": 0.2, "width": 0.8, "events": pytest.approx(expected)}}
    assert event_table.about(tmp_path / "gaussian_background.parquet")["known"] == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "data", "width": 0.0},
        {"kind": "simulation", "detector": {"inefficiency": 1.0}},
        {"kind": "data", "background": {"fraction": 1.0}},
        {"kind": "noise"},
    ],
)
def test_toys_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        TypeAdapter(ToySettings).validate_python(wrong)


def test_two_toys_make_one_simulation_of_two_samples(tmp_path):
    toys = {name: one.model_dump() for name, one in default_toys().items()}
    toys["again"] = toys["gaussian"]
    settings = Given({"seed": 3, "unfolding": {"toys": toys}})
    paths = [tmp_path / f"{name}.parquet" for name in ("gaussian", "again")]
    for path in paths:
        toy.main(name=path.stem, events=path, settings=settings)
    found = event_table.read(paths, ["x"])
    assert set(found.group) == {0, 1}
