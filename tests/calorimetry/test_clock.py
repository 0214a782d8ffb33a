"""Times of drawing showers, and quality against time."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from fullchain.calorimetry import (
    clock,
    coupling,
    geometry,
    model_file,
    quality_figure_names,
    quality_figures,
    quality_numbers,
    sampling_time,
    shower_file,
)
from fullchain.calorimetry.averaged import parameters_in_use
from fullchain.calorimetry.coupling_settings import CouplingSettings
from fullchain.calorimetry.detector_settings import default_detectors
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.published_models import KIND, SETS
from fullchain.calorimetry.quality_front import front
from fullchain.calorimetry.quality_numbers import Entry, Group
from fullchain.calorimetry.shower_file import Showers
from fullchain.calorimetry.showers_settings import ParameterisedSettings
from fullchain.calorimetry.timing_settings import TimingSettings
from fullchain.errors import InputError
from fullchain.stage_tables import write_tables
from fullchain.step import Given


class Pretended:
    """Two clocks that a drawing function moves: `start` s for a batch and `each` s for a shower."""

    def __init__(self, start, each):
        self.start, self.each, self.now, self.sizes = start, each, 0.0, []

    def draw(self, energies):
        self.sizes.append(len(energies))
        self.now += self.start + self.each * len(energies)

    def clocks(self):
        return (lambda: self.now, lambda: 3.0 * self.now)


def test_times_are_those_of_the_clock():
    pretended = Pretended(0.01, 0.0002)
    settings = TimingSettings(batches=[100, 1], repeats=5, showers=10, limit_s=10.0)
    found, left_out = sampling_time.measure(
        pretended.draw, np.ones(7), settings, clocks=pretended.clocks()
    )
    assert [one.batch for one in found] == [1, 100]
    assert not left_out
    assert found[0].calls == 10
    for one in found:
        saved = one.as_dict()
        expected = 1e3 * (0.01 / one.batch + 0.0002)
        assert saved["cpu_ms"] == pytest.approx([expected, 0.0], abs=1e-9)
        assert saved["wall_ms"][0] == pytest.approx(3 * expected)
        assert saved["repeats"] == 5
    assert max(pretended.sizes) == 100


def test_what_takes_too_long_is_left_out_and_named():
    pretended = Pretended(0.0, 0.0101)
    settings = TimingSettings(batches=[1, 100, 10000], repeats=7, showers=20, limit_s=3.0)
    found, left_out = sampling_time.measure(
        pretended.draw, np.ones(7), settings, clocks=pretended.clocks()
    )
    assert [(one.batch, len(one.cpu)) for one in found] == [(1, 7), (100, 2)]
    assert left_out == pytest.approx({10000: 101.0})
    assert pretended.now < 10.0


def test_the_error_of_a_median_is_that_of_repetition():
    random = np.random.default_rng(1)
    medians, errors = zip(
        *(sampling_time.median(random.normal(5, 1, 15)) for _ in range(300)), strict=True
    )
    assert np.mean(medians) == pytest.approx(5.0, abs=0.07)
    assert np.mean(errors) / np.std(medians) == pytest.approx(1.0, abs=0.15)


def test_evaluations_are_those_of_the_busiest_layer():
    network = nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(), nn.Linear(2, 2))
    rows = torch.zeros(1, 2)

    def steps():
        network[2](rows)
        for _ in range(16):
            network[0](rows)

    assert sampling_time.evaluations(network, steps) == 16
    assert sampling_time.evaluations(network, lambda: network(rows)) == 1
    assert parameters_in_use(network) == 12


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clock")
    voxels = geometry.load("set1_photons")
    energies = 2.0 ** np.random.default_rng(1).integers(8, 23, 50)
    shower_file.write(folder / "test.h5", Showers(energies, np.ones((50, 368), dtype=np.float32)))
    settings = CouplingSettings(blocks=2, width=8, depth=1)
    preprocessing = Preprocessing(voxels, settings.preprocessing)
    preprocessing.energy_range.copy_(torch.tensor([256.0, 2.0**22]))
    model_file.write(folder / "model.pt", coupling.build(settings, preprocessing), settings)
    return folder


SMALL = TimingSettings(batches=[1, 20], repeats=2, showers=2)


def run(folder, name, chosen=SMALL, **more):
    values = {
        "timing": chosen.model_dump(mode="json"),
        "showers": {"photons": ParameterisedSettings().model_dump(mode="json")},
        "detectors": {
            name: one.model_dump(mode="json") for name, one in default_detectors().items()
        },
    }
    clock.main(
        name=name,
        showers_set="photons",
        energies=folder / "test.h5",
        output=folder / f"{name}.json",
        settings=Given({"seed": 1, "calorimetry": values}),
        **more,
    )
    return json.loads((folder / f"{name}.json").read_text())


def test_the_step(files, tmp_path):
    model = run(files, "flow", model=files / "model.pt")
    simulation = run(files, "parameterisation")
    assert model["evaluations"] == 1
    assert model["parameters"] > 1000
    assert model["kind"] == "coupling"
    assert [one["batch"] for one in model["times"]] == [1, 20]
    assert all(one["cpu_ms"][0] > 0 for one in simulation["times"])
    judged = {
        "name": "flow", "set": "photons", "role": "model", "mode": "lite",
        "geometry": {"name": "photon", "voxels": 368},
        "levels": {
            "low": {"auc": [0.8, 0.01]}, "low_trees": {"auc": [0.75, 0.01]},
            "high": {"auc": [0.65, 0.01]}, "high_trees": {"auc": [0.7, 0.01]},
        },
    }  # fmt: skip
    floor = {
        **judged, "name": "reference", "role": "reference",
        "levels": {"low": {"auc": [0.5, 0.01]}, "high": {"auc": [0.5, 0.01]}},
    }  # fmt: skip
    evaluated = {
        "name": "flow", "set": "photons", "role": "model",
        "distances": {"fpd": {"value": 2e-3, "error": 1e-4}},
    }  # fmt: skip
    files_of = ([evaluated], [judged, floor], [model, simulation])
    (table,) = quality_numbers.tables(*files_of)
    write_tables(tmp_path / "tables.json", "calorimetry", [table])
    assert [row[0] for row in table.rows][:3] == [
        "parameterisation (the simulation)", "full simulation against itself", "flow",
    ]  # fmt: skip
    row = table.rows[2]
    assert (row[1].value, row[2].value, row[3].value) == (0.8, 0.7, 2.0)
    assert "another machine" in table.caption
    assert "not known" in table.caption
    (other,) = quality_numbers.tables(
        *([{**one, KIND: "files"} for one in some] for some in files_of)
    )
    assert "only if these are those of the challenge" in other.caption
    published = [row for row in table.rows if "(published)" in row[0]]
    assert len(published) == len(SETS[368][1])
    drawn = quality_figures.figures(*files_of)
    assert list(drawn) == quality_figure_names.quality_figure_names(["photons"])
    for fig, caption in drawn.values():
        fig.savefig(tmp_path / "figure.png")
        assert "another machine" in caption


@pytest.mark.parametrize(
    ("points", "places"),
    [
        ([(1.0, 0.9), (2.0, 0.95), (4.0, 0.6), (3.0, 0.7)], [0, 3, 2]),
        ([(2.0, 0.5), (1.0, 0.5)], [1]),
        ([(1.0, 0.7), (1.0, 0.6)], [1]),
        ([], []),
    ],
)
def test_the_front_is_what_nothing_beats_in_both(points, places):
    assert front(points) == places


def entry(name, batches, auc, evaluations=1):
    times = {batch: (ms, 0.01 * ms) for batch, ms in batches.items()}
    levels = {"low": (auc, 0.01), "high": (auc, 0.01)}
    return Entry(name, "model", levels, "lite", None, times, 1000, evaluations)


def test_quality_and_time_have_fronts_and_solvers(tmp_path):
    models = [
        entry("fast", {1: 9.0, 1000: 0.2, 10000: 0.1}, 0.9),
        entry("slow", {1: 9.0, 1000: 3.0}, 0.6, evaluations=8),
        entry("worse", {10000: 4.0}, 0.8),
        entry("blind", {10000: 5.0}, 0.45),
        entry("blind and slow", {10000: 6.0}, 0.44),
    ]

    def point(method, evaluations, ms, value):
        return {
            "method": method, "evaluations": evaluations, "setting": evaluations,
            "separations": {"EC_r": [value, 1e-3]}, "ms": [ms, 0.01],
        }  # fmt: skip

    scan = {
        "model": "slow", "showers": 500, "batch": 250, "exact": point("exact", 64, 9.0, 0.011),
        "points": [
            point("midpoint", 4, 0.2, 0.02), point("midpoint", 200, 8.0, 0.01),
            point("rk4", 4, 0.25, 0.03), point("bespoke:few", 6, 0.3, 0.012),
        ],
    }  # fmt: skip
    figure, caption = quality_figures.quality(Group(368, "parameterised", models), [scan])
    figure.savefig(tmp_path / "figure.png")
    low, _, solvers = figure.axes
    lines = {line.get_label(): line for line in low.lines}
    own = lines["front of this run"]
    # Time at 10000 showers where there is one; less than one half is chance.
    assert list(zip(*own.get_data(), strict=True)) == [(0.1, 0.9), (3.0, 0.6), (5.0, 0.45)]
    theirs = lines["front of published ones"]
    # BoloGAN, CaloINN: CaloFlow's student is slower and worse, CaloDiffusion slower and worse.
    assert list(zip(*theirs.get_data(), strict=True)) == [(0.55, 0.927), (2.88, 0.626)]
    labels = low.get_legend_handles_labels()[1]
    assert "slow (8)" in labels and "fast" in labels
    (line,) = (line for line in solvers.lines if line.get_label() == "front")
    assert list(zip(*line.get_data(), strict=True)) == [(0.2, 0.02), (0.3, 0.012), (8.0, 0.01)]
    assert [one.get_text() for one in solvers.texts] == ["4", "200", "4", "6"]
    assert "batches of 1000 and 10000" in caption and "batches of 250" in caption
    assert len(quality_figures.quality(Group(368, None, models))[0].axes) == 2


def test_solvers_stand_with_the_set_of_their_model(tmp_path):
    judged = {
        "name": "flow", "set": "photons", "role": "model", "mode": "lite",
        "geometry": {"name": "photon", "voxels": 10},
        "levels": {"low": {"auc": [0.8, 0.01]}, "high": {"auc": [0.7, 0.01]}},
    }  # fmt: skip
    timed = {
        "name": "flow", "set": "photons", "role": "model",
        "geometry": {"name": "photon", "voxels": 10},
        "times": [{"batch": 1, "cpu_ms": [1.0, 0.1]}],
    }  # fmt: skip
    other = {"model": "of another set"}
    drawn = quality_figures.figures([], [judged], [timed], [other])
    assert len(drawn["quality_time_photons"][0].axes) == 2


def test_bad_input(files):
    with pytest.raises(InputError, match="no such file"):
        run(files, "missing", model=files / "missing.pt")
    with pytest.raises(InputError, match="too long"):
        short = SMALL.model_copy(update={"limit_s": 1e-9})
        run(files, "long", short, model=files / "model.pt")
