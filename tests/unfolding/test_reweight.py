"""The step that unfolds by OmniFold, and its diagnostics."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.step import Given
from fullchain.unfolding import counting, diagnostics, event_table, fits, reweight, unfolded_file
from fullchain.unfolding.binning import counted
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.sample import Level, Measured, Particles, Problem, Simulation

NAMES = ("mass", "width")
UNITS = {"mass": "GeV", "width": ""}
OBSERVABLES = {
    name: {"label": name, "unit": unit, "low": -3, "high": 3} for name, unit in UNITS.items()
}
FEATURES = ("pt", "deta", "dphi", "charge", "pdgId")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def particles(values, passed, generator):
    """Three particles for each jet that passes, whose pT says what the first observable is."""
    counts = np.where(passed, 3, 0)
    number = counts.sum()
    pt = np.repeat(np.exp(np.nan_to_num(values[:, 0]) / 3), counts) * np.tile(
        [3.0, 2, 1], number // 3
    )
    features = np.stack(
        [
            pt,
            *generator.normal(scale=0.1, size=(2, number)),
            np.ones(number),
            np.full(number, 211.0),
        ],
        axis=1,
    )
    return Particles(features, np.concatenate([[0], np.cumsum(counts)]), FEATURES)


def table(path, seed, *, mean=0.0, n=400, weight=None):
    generator = np.random.default_rng(seed)
    gen = generator.normal(mean, 1, (n, 2))
    reco = gen + generator.normal(0, 0.3, (n, 2))
    pass_gen, pass_reco = generator.random(n) < 0.9, generator.random(n) < 0.9
    pass_gen |= ~pass_reco

    def level(values, passed):
        values = np.where(passed[:, None], values, np.nan)
        return Level(values, passed, particles(values, passed, generator))

    ids = np.stack([np.full(n, seed), np.ones(n), np.arange(n)], axis=1).astype(np.int64)
    events = Simulation(
        NAMES,
        level(gen, pass_gen),
        level(reco, pass_reco),
        np.ones(n) if weight is None else weight,
        ids,
        {"jes_up": level(reco + 0.1, pass_reco)},
        {"isr_up": generator.random(n) + 0.5},
    )
    event_table.write(path, events, UNITS, {})
    return path


def settings(method):
    training = {"epochs": 3, "patience": 2, "learning_rate": 1e-2, "batch_size": 64}
    changes = {"layers": [8], "ensemble": 2, "data_replicas": 2, "simulation_replicas": 2}
    changes |= {"iterations": 2, "training": training, "kind": "omnifold"}
    measurement = {
        "simulation": {"samples": ["a"]},
        "data": {"samples": ["b"]},
        "background": {"samples": ["c"], "expected": 0.1},
        "observables": list(NAMES),
        "shifts": ["jes_up"],
        "factors": ["isr_up"],
        "alternatives": {"other": {"samples": ["d"]}},
    }
    return Given(
        {
            "seed": 3,
            "unfolding": {
                "observables": OBSERVABLES,
                "measurements": {"m": measurement},
                "methods": {"multifold": changes | method},
            },
        }
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return {
        "simulation": [table(folder / "a.parquet", 1)],
        "data": [table(folder / "b.parquet", 2, mean=0.3)],
        "background": [table(folder / "c.parquet", 3)],
    }


def run(folder, tables, alternative="", **method):
    outputs = {name: folder / f"{name}.out" for name in ("unfolded", "history")}
    reweight.main(
        **tables,
        measurement="m",
        method="multifold",
        alternative=alternative,
        **outputs,
        settings=settings(method),
    )
    return unfolded_file.read(outputs["unfolded"]), json.loads(outputs["history"].read_text())


FITS = [
    *(f"{of}_{number}" for of in ("ensemble", "data", "simulation") for number in (0, 1)),
    "shift_jes_up",
    "shift_isr_up",
]


def test_events_are_written_with_the_weights_of_all_fits(tmp_path, tables):
    found, history = run(tmp_path, tables)
    assert list(found.weights) == ["nominal", *FITS]
    mean = (found.weights["ensemble_0"] + found.weights["ensemble_1"]) / 2
    np.testing.assert_array_equal(found.weights["nominal"], mean)
    assert found.weights["nominal"].sum() == pytest.approx(360, rel=0.15)
    values = found.values[:, 0]
    moved = np.average(values, weights=found.weights["nominal"]) - values.mean()
    assert moved > 0.05
    assert set(history["members"]) == set(FITS)
    assert len(history["iterations"]) == 2
    assert {
        "effective_sample_size",
        "clipped_fraction",
        "drift",
        "loss_detector",
        "loss_particle",
    } <= set(history["iterations"][0])
    assert 0 <= history["outside_support"] < 0.2
    assert history["stopped"] is False
    # What is there after the last iteration is the result.
    last = history["iterations"][-1]["spectra"]
    for column, name in enumerate(found.names):
        one = ObservableSettings.model_validate(OBSERVABLES[name])
        expected = counted(found.values[:, column], found.weights["nominal"], one)
        np.testing.assert_allclose(last[name], expected)
    assert found.about["units"] == UNITS


def test_of_an_alternative_only_the_ensemble_is_made(tmp_path, tables):
    found, _ = run(tmp_path, tables, "other")
    assert list(found.weights) == ["nominal", "ensemble_0", "ensemble_1"]
    assert found.about["alternative"] == "other"


def test_unifold_writes_weights_for_each_observable(tmp_path, tables):
    found, history = run(tmp_path, tables, inputs="unifold", ensemble=1)
    assert {"nominal@mass", "nominal@width", "shift_jes_up@width"} <= set(found.weights)
    assert "nominal" not in found.weights
    assert "data_0@mass" in history["members"]


@pytest.mark.parametrize(
    "network",
    [
        {"kind": "pfn", "phi": [8, 8], "f": [8]},
        {"kind": "transformer", "width": 8, "blocks": 1},
    ],
)
def test_particles_are_classified_and_fits_do_not_mix(tmp_path, tables, network):
    method = {"inputs": "particles", "particle_network": network}
    found, _ = run(tmp_path / "all", tables, **method)
    assert list(found.weights) == ["nominal", *FITS]
    less = {"data_replicas": 0, "simulation_replicas": 0}
    fewer, _ = run(tmp_path / "few", tables, **method, **less)
    for name in fewer.weights:
        np.testing.assert_allclose(fewer.weights[name], found.weights[name], rtol=1e-4)
    assert found.weights["nominal"].std() > 0


def test_bad_weights_name_measurement_or_sample(tmp_path, tables):
    weight = np.ones(400)
    weight[3] = np.nan
    bad = {**tables, "data": [table(tmp_path / "bad.parquet", 4, weight=weight)]}
    with pytest.raises(InputError, match=r"bad.parquet: column 'weight' is nan .* event 3 "):
        run(tmp_path, bad)
    few = {**tables, "data": [table(tmp_path / "few.parquet", 4, n=2)]}
    with pytest.raises(InputError, match="measurement m, method multifold: data: "):
        run(tmp_path, few)


def posed(data):
    values = np.random.default_rng(1).normal(size=(1000, 2))
    level = Level(values, np.ones(1000, dtype=bool))
    events = Simulation(NAMES, level, level, np.ones(1000), np.zeros((1000, 3), dtype=np.int64))
    return Problem(events, Measured(NAMES, data, np.ones(len(data))))


def test_data_outside_of_the_simulation_are_counted():
    data = np.random.default_rng(2).normal(size=(400, 2)) * 0.5
    data[:40, 0] = 30.0
    data[20:60, 1] = -30.0
    found = diagnostics.outside_support(posed(data))
    assert found.beyond.value == pytest.approx(0.15)
    assert found.beyond.error == pytest.approx(np.sqrt(0.15 * 0.85 / 400))
    assert [one.value for one in found.of_observables.values()] == pytest.approx([0.1, 0.1])
    assert found.far.value == pytest.approx(0.15, abs=0.01)
    assert "15 ± 2 % of the data are outside of the range" in found.warning()
    assert "(mass 10 %, width 10 %)" in found.warning()


def test_data_within_all_ranges_may_be_far_from_all_events():
    corner = np.full((10, 2), [2.9, -2.9])
    found = diagnostics.outside_support(posed(corner))
    assert found.beyond.value == 0
    # 1 - 0.159^(1/10), the length of the interval of Clopper and Pearson: none is not surely none.
    assert found.beyond.error == pytest.approx(0.168, abs=1e-3)
    assert found.far.value == 1
    assert found.warning() is None


def test_what_only_the_background_reaches_is_not_outside():
    data = np.random.default_rng(2).normal(size=(400, 2)) * 0.5
    data[:40, 0] = 30.0
    without = posed(data)
    below = Measured(NAMES, np.array([[29.0, 0.0], [31.0, 0.0], [500.0, 0.0]]), np.ones(3))
    found = diagnostics.outside_support(replace(without, background=below))
    assert diagnostics.outside_support(without).beyond.value == pytest.approx(0.1)
    assert found.beyond.value == 0


def test_data_beyond_the_simulation_are_said_and_counted(tmp_path, tables, capsys):
    far = {**tables, "data": [table(tmp_path / "far.parquet", 5, mean=4.0)]}
    _, history = run(tmp_path, far)
    said = capsys.readouterr().err
    assert "m, multifold: " in said and "% of the data are outside of the range" in said
    assert history["outside_support"] > 0.5
    assert 0 < history["outside_support_error"] < 0.05


def test_effective_sample_size_and_drift():
    weights = np.array([[1.0, 1, 1, 1], [4.0, 0, 0, 0]])
    np.testing.assert_allclose(counting.effective_sample_size(weights), [4, 1])
    np.testing.assert_allclose(diagnostics.drift(weights, np.ones((2, 4))), [0, 1.5])


def test_the_stopping_rule_works_with_particles(tmp_path, tables):
    network = {"kind": "pfn", "phi": [4], "f": [4]}
    found, history = run(
        tmp_path, tables, inputs="particles", particle_network=network, least_drift=10.0
    )
    assert list(found.weights) == ["nominal", *FITS]
    assert history["stopped"] is True
    assert found.about["iterations"] == 1


def test_particles_that_are_left_out_are_said_and_kept(tmp_path, tables, capsys):
    network = {"kind": "pfn", "phi": [4], "f": [4]}
    _, history = run(
        tmp_path, tables, "other", inputs="particles", particle_network=network, iterations=1,
        particle_inputs={"largest": 2},
    )  # fmt: skip
    left = history["particles_left_out"]
    assert set(left) == {
        "data", "background", "simulation, particle level", "simulation, detector level"
    }  # fmt: skip
    for one in left.values():
        # Three particles in each jet, of 3, 2 and 1 parts of its pT.
        assert one == pytest.approx(
            {"jets": 1.0, "particles": 1 / 3, "momentum": 1 / 6, "most": 3}, rel=1e-6
        )
    said = capsys.readouterr().err
    assert "m, multifold: data, 100 % of the jets have more than particle_inputs.largest (2" in said
    _, history = run(tmp_path, tables, "other", iterations=1)
    assert "particles_left_out" not in history


def test_a_shift_is_paired_with_the_first_of_the_ensemble():
    first, second = np.array([1.0, 2.0, 0.0]), np.array([3.0, 2.0, 0.0])
    found = fits.with_nominal(
        {"ensemble_0": first, "ensemble_1": second, "shift_none": first, "shift_up": 1.1 * first}
    )
    np.testing.assert_allclose(found["nominal"], [2.0, 2.0, 0.0])
    # A shift that changes nothing is the nominal result.
    np.testing.assert_allclose(found["shift_none"], found["nominal"])
    np.testing.assert_allclose(found["shift_up"], 1.1 * found["nominal"])
