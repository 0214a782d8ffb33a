"""The table of events, and what a method gets of it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fullchain.errors import InputError
from fullchain.unfolding import event_table, problem
from fullchain.unfolding.measurement_settings import MeasurementSettings
from fullchain.unfolding.sample import Level, Particles, Simulation


def events(n=200, seed=1, *, shifted=False, first=0):
    """Events with two observables, of which some fail a level, and particles."""
    chance = np.random.default_rng(seed)
    gen = chance.normal(size=(n, 2))
    reco = gen + chance.normal(scale=0.3, size=(n, 2))
    pass_gen, pass_reco = chance.random(n) < 0.9, chance.random(n) < 0.8
    counts = np.where(pass_reco, chance.integers(1, 4, n), 0)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    particles = Particles(
        chance.normal(size=(offsets[-1], 3)).astype(np.float32).astype(float),
        offsets,
        ("pt", "deta", "dphi"),
    )
    none = Particles(np.zeros((0, 3)), np.zeros(n + 1, int), ("pt", "deta", "dphi"))
    gen[~pass_gen] = np.nan
    reco[~pass_reco] = np.nan
    ids = np.stack([np.ones(n), np.ones(n), first + np.arange(n)], axis=1).astype(np.int64)
    return Simulation(
        ("mass", "width"),
        Level(gen, pass_gen, none),
        Level(reco, pass_reco, particles),
        chance.random(n) + 0.5,
        ids,
        {"jes_up": Level(reco * 1.1, pass_reco, particles)} if shifted else {},
        {"isr_up": chance.random(n) + 0.5} if shifted else {},
    )


UNITS = {"mass": "GeV", "width": ""}


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "events.parquet"
    one = events(shifted=True)
    event_table.write(path, one, UNITS, {"sample": "a"})
    found = event_table.read(
        [path], ["width", "mass"], particles=True, shifts=["jes_up"], factors=["isr_up"]
    )
    np.testing.assert_array_equal(found.gen.values, one.gen.values[:, ::-1])
    np.testing.assert_array_equal(found.shifted["jes_up"].values[:, 1], one.reco.values[:, 0] * 1.1)
    np.testing.assert_array_equal(found.factors["isr_up"], one.factors["isr_up"])
    np.testing.assert_array_equal(found.reco.particles.features, one.reco.particles.features)
    np.testing.assert_array_equal(found.reco.particles.offsets, one.reco.particles.offsets)
    np.testing.assert_array_equal(found.ids, one.ids)
    assert event_table.observables(path) == ("mass", "width")
    assert event_table.about(path) == {"sample": "a"}


def test_particles_of_several_parts_follow_each_other(tmp_path):
    parts = [events(30, seed) for seed in (1, 2)]
    paths = [tmp_path / f"{number}.parquet" for number in range(2)]
    for path, one in zip(paths, parts, strict=True):
        event_table.write(path, one, UNITS, {"sample": path.stem})
    found = event_table.read(paths, ["mass"], particles=True)
    np.testing.assert_array_equal(found.group, np.repeat([0, 1], 30))
    assert [found.take(np.array([40])).sample(number) for number in (0, 1)] == ["0", "1"]
    rows = np.array([3, 31, 45])
    expected = np.concatenate(
        [
            parts[0].reco.particles.take(rows[:1]).features,
            parts[1].reco.particles.take(rows[1:] - 30).features,
        ]
    )
    np.testing.assert_array_equal(found.take(rows).reco.particles.features, expected)


def test_a_missing_column_is_named(tmp_path):
    path = tmp_path / "events.parquet"
    event_table.write(path, events(), UNITS, {})
    with pytest.raises(InputError, match="no column 'gen_tau21'"):
        event_table.read([path], ["tau21"])
    with pytest.raises(InputError, match="no column 'pass_reco__jer_up'"):
        event_table.read([path], ["mass"], shifts=["jer_up"])


def test_tables_of_other_numbers_are_joined(tmp_path):
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for number, path in enumerate(paths):
        event_table.write(path, events(first=200 * number), UNITS, {})
    table = pq.read_table(paths[1])
    kinds = {"event": pa.int64(), "weight": pa.float32(), "reco_mass": pa.float32()}
    schema = pa.schema(
        [field.with_type(kinds.get(field.name, field.type)) for field in table.schema],
        metadata=table.schema.metadata,
    )
    pq.write_table(table.cast(schema), paths[1])
    found = event_table.read(paths, ["mass"])
    assert len(found) == 400
    np.testing.assert_allclose(found.weight[200:], events().weight, rtol=1e-6)
    ids = pa.array(np.full(200, -1), pa.int64())
    place = table.schema.get_field_index("event")
    pq.write_table(table.set_column(place, "event", ids), paths[1])
    with pytest.raises(InputError, match=r"1\.parquet: .*-1"):
        event_table.read(paths, ["mass"])


def parts(folder, bad):
    """Two files, of which the second has something bad."""
    return [written(folder, "good", events(first=1000)), written(folder, "bad", bad)]


def test_a_value_that_is_not_finite_is_named(tmp_path):
    one = events()
    rows = np.flatnonzero(one.reco.passed)[:2]
    one.reco.values[rows, 1] = np.inf
    with pytest.raises(
        InputError,
        match=rf"/bad.parquet: column 'reco_width' is not finite for 2 events that pass, the first "
        rf"is run 1, luminosity block 1, event {rows[0]};",
    ):
        event_table.read(parts(tmp_path, one), ["width"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5])
@pytest.mark.parametrize("name", ["weight", "w_isr_up"])
def test_a_bad_weight_or_factor_is_named_with_file_and_event(tmp_path, name, bad):
    good, one = (events(shifted=True, first=first) for first in (1000, 0))
    (one.weight if name == "weight" else one.factors["isr_up"])[[5, 9]] = bad
    paths = [written(tmp_path, "good", good), written(tmp_path, "bad", one)]
    with pytest.raises(
        InputError,
        match=rf"/bad.parquet: column '{name}' is {bad:g} for run 1, luminosity block 1, event 5 "
        r"\(2 rows of this file",
    ):
        event_table.read(paths, ["mass"], factors=["isr_up"])


def test_bad_weights_are_the_cause_that_stress_names(tmp_path):
    one = events()
    one.weight[4] = np.nan
    bad, good = written(tmp_path, "bad", one), written(tmp_path, "good", events(seed=2))
    settings = measurement(data={"samples": ["b"], "stress": {"observable": "mass"}})
    with pytest.raises(InputError, match=r"/bad.parquet: column 'weight' is nan .* event 4 "):
        problem.pose([good], [bad], [], settings, 5)


def test_recorded_data_cannot_be_stressed(tmp_path):
    one = events()
    one.gen.passed[:] = False
    settings = measurement(data={"samples": ["b"], "stress": {"observable": "mass"}})
    with pytest.raises(InputError, match="stress: no event of the particle level"):
        problem.part(one, settings.data, 5)


def test_samples_that_cannot_be_joined_are_named(tmp_path):
    paths = joined(tmp_path, {"a": 2.0, "b": 0.0})
    with pytest.raises(InputError, match=r"sample b: cross section 0 pb, sum of weights 200"):
        problem.read(paths, measurement())


def test_an_event_that_stands_twice_is_named(tmp_path):
    path = written(tmp_path, "a", events(first=7))
    with pytest.raises(InputError, match=r"200 events stand twice, .* event 7;"):
        event_table.read([path, path], ["mass"])


def written(folder, name, one):
    path = folder / f"{name}.parquet"
    event_table.write(path, one, UNITS, {})
    return path


def measurement(**changes):
    values = {
        "simulation": {"samples": ["a"]},
        "data": {"samples": ["b"]},
        "observables": ["mass", "width"],
    }
    return MeasurementSettings.model_validate(values | changes)


def test_simulation_is_scaled_to_the_data_less_the_background(tmp_path):
    paths = [written(tmp_path, str(seed), events(300, seed)) for seed in range(3)]
    settings = measurement(background={"samples": ["c"], "expected": 0.25})
    found = problem.pose(paths[:1], paths[1:2], paths[2:], settings, 5)
    total = found.data.weight.sum()
    assert found.background.weight.sum() == pytest.approx(0.25 * total)
    detected = found.simulation.weight[found.simulation.reco.passed].sum()
    assert detected == pytest.approx(0.75 * total)
    assert len(found.truth.weight) == events(300, 1).gen.passed.sum()


def joined(folder, sections):
    """Two samples of as many events, the second in two parts."""
    paths = []
    for sample, numbers in (("a", (0,)), ("b", (1, 2))):
        for number in numbers:
            path = folder / f"{number}.parquet"
            about = {
                "sample": sample,
                "sum_of_weights": 100.0,
                "cross_section_pb": sections[sample],
            }
            one = events(300, number, first=1000 * number)
            event_table.write(path, one.weighted(np.ones(len(one))), UNITS, about)
            paths.append(path)
    return paths


def test_samples_are_joined_in_the_proportion_of_their_cross_sections(tmp_path):
    found = problem.read(joined(tmp_path, {"a": 2.0, "b": 1.0}), measurement())
    # 2/100 for each event of a, 1/200 for each of b.
    weights = [found.weight[found.group == number] for number in (0, 1)]
    assert weights[0][0] / weights[1][0] == pytest.approx(4.0)
    assert found.weight.sum() == pytest.approx(900.0)


def test_samples_without_cross_sections_keep_their_weights(tmp_path):
    found = problem.read(joined(tmp_path, {"a": None, "b": None}), measurement())
    np.testing.assert_array_equal(found.weight, 1.0)


def test_a_missing_cross_section_is_named(tmp_path):
    with pytest.raises(InputError, match="sample b has no cross section"):
        problem.read(joined(tmp_path, {"a": 2.0, "b": None}), measurement())


def test_halves_share_no_event(tmp_path):
    path = written(tmp_path, "a", events(1000))
    settings = measurement(
        simulation={"samples": ["a"], "half": "first"}, data={"samples": ["a"], "half": "second"}
    )
    one = event_table.read([path], ["mass", "width"])
    first = problem.part(one, settings.simulation, 5)
    second = problem.part(one, settings.data, 5)
    assert len(first) + len(second) == 1000
    assert not set(first.ids[:, 2]) & set(second.ids[:, 2])
    assert 400 < len(first) < 600


def test_one_sample_on_both_sides_needs_halves():
    with pytest.raises(ValueError, match="both of a"):
        measurement(data={"samples": ["a"]})


def test_stress_changes_the_mean_of_the_particle_level(tmp_path):
    one = events(20000)
    settings = measurement(data={"samples": ["b"], "stress": {"observable": "mass", "slope": 0.5}})
    stressed = problem.part(one, settings.data, 5)
    passed = one.gen.passed
    # exp(a x) moves the mean of a normal distribution by a standard deviations
    moved = np.average(one.gen.values[passed, 0], weights=stressed.weight[passed])
    before = np.average(one.gen.values[passed, 0], weights=one.weight[passed])
    assert moved - before == pytest.approx(0.5, abs=0.03)
    # An event that was not seen either is nowhere; a fake changes as the events that look like it.
    lost = ~passed & ~one.reco.passed
    np.testing.assert_array_equal(stressed.weight[lost], one.weight[lost])
    fakes, both = ~passed & one.reco.passed, passed & one.reco.passed
    changes = [
        np.average(one.reco.values[rows, 0], weights=stressed.weight[rows])
        - np.average(one.reco.values[rows, 0], weights=one.weight[rows])
        for rows in (fakes, both)
    ]
    assert changes[0] == pytest.approx(changes[1], abs=0.06)


@pytest.mark.parametrize(
    ("weight", "words"),
    [(np.nan, "NaN"), (-1.0, "negative"), (0.0, "sum to 0")],
)
def test_unusable_weights_are_named(tmp_path, weight, words):
    good = written(tmp_path, "good", events())
    one = events()
    bad = written(tmp_path, "bad", one.weighted(np.full(len(one), weight)))
    whose = r"(simulation|data) \([ab]\)" if weight == 0 else "bad.parquet: column 'weight'"
    with pytest.raises(InputError, match=f"{whose}.*{words}"):
        problem.pose([bad], [good], [], measurement(), 5)
    with pytest.raises(InputError, match=f"{whose}.*{words}"):
        problem.pose([good], [bad], [], measurement(), 5)


def test_an_empty_selection_is_named(tmp_path):
    good = written(tmp_path, "good", events())
    one = events()
    one.gen.passed[:] = False
    one.gen.values[:] = np.nan
    bad = written(tmp_path, "bad", one)
    with pytest.raises(InputError, match="no event passes the selection of the particle level"):
        problem.pose([bad], [good], [], measurement(), 5)
