"""Physics of showers: known answers, and its presentation."""

import json

import numpy as np
import pytest

from fullchain import plotting
from fullchain.calorimetry import (
    detector,
    geometry,
    gflash,
    shower_physics,
    showers_figure_names,
    showers_figures,
    showers_numbers,
)
from fullchain.calorimetry.detector_settings import default_detectors
from fullchain.calorimetry.geometry import Geometry, Layer
from fullchain.calorimetry.shower_file import Showers
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables


def measure(built, energies, seed=1, photons=False, known=True):
    random = np.random.default_rng(seed)
    showers = Showers(energies, gflash.showers(energies, built, random, photons))
    chosen = shower_physics.Lengths()
    if known:
        chosen = shower_physics.Lengths(np.array(built.depths), built.medium.moliere_radius)
    at = shower_physics.radii(built.geometry, chosen.moliere_radius)
    reduced = shower_physics.reduce(showers, built.geometry, at)
    return shower_physics.summary(reduced, at, chosen, random, 100)


@pytest.fixture(scope="module")
def sampled():
    """A deep lead and argon calorimeter without threshold."""
    own = default_detectors()["set1_photons"]
    voxels = Geometry(
        11, "electron", tuple(Layer(i, (0.0, 43.0, 149.0, 1e5), 1) for i in range(40))
    )
    medium = detector.medium_of(own)
    built = gflash.Detector(voxels, medium, tuple((float(i), i + 1.0) for i in range(40)), 0.0)
    return built, measure(built, np.repeat([1e3, 4e3, 16e3, 64e3, 256e3], 800))


def test_resolution_is_that_of_the_sampling(sampled):
    _, found = sampled
    value, error = found["resolution"]["stochastic"]
    assert 0.0003 < error < 0.004
    assert value == pytest.approx(0.1, abs=4 * error)
    value, error = found["resolution"]["constant"]
    assert value < 4 * error


def test_response_is_linear_within_errors(sampled):
    _, found = sampled
    pulls = [(value - 1) / error for value, error in
             (group["response"] for group in found["groups"])]  # fmt: skip
    assert np.abs(pulls).max() < 4
    assert [group["energy"] for group in found["groups"]] == pytest.approx(
        [1e3, 4e3, 16e3, 64e3, 256e3]
    )


def test_maximum_grows_as_the_logarithm_of_the_energy(sampled):
    built, found = sampled
    peaks = np.array([group["maximum"] for group in found["groups"]])
    slopes = np.diff(peaks[:, 0]) / np.log(4)
    assert slopes == pytest.approx(1.0, abs=0.12)
    frequency, ratio = built.medium.sampling.frequency, built.medium.sampling.ratio
    expected = np.log(64e3 / built.medium.critical_energy) - 0.812 - 0.55 / frequency
    expected -= 0.69 * (1 - ratio)
    # The mean of fluctuating profiles is not the profile of mean parameters.
    assert peaks[3, 0] == pytest.approx(expected, abs=0.25)


def test_maximum_of_a_known_profile():
    from scipy.special import gammainc

    depths = np.stack([np.arange(0, 24, 2), np.arange(2, 26, 2)], axis=1).astype(float)
    parts = 0.9 * np.diff(gammainc(4.0, 0.5 * depths), axis=1)[:, 0]
    rows = parts * (1 + 0.02 * np.random.default_rng(1).standard_normal((400, 12)))
    peak, error = shower_physics.maximum(rows, depths)
    assert peak == pytest.approx(6.0, abs=4 * error)
    assert 0 < error < 0.05
    assert shower_physics.maximum(rows[:, :3], depths[:3]) is None


def test_containment_counts_what_is_within():
    voxels = Geometry(22, "photon", (Layer(0, (0.0, 10.0, 30.0), 2), Layer(3, (0.0, 30.0), 1)))
    at = shower_physics.radii(voxels, 10.0)
    assert at.tolist() == [10.0, 30.0, 10.0, 35.0]
    showers = Showers(np.array([100.0]), np.array([[10, 20, 5, 15, 45]], dtype="f4"))
    reduced = shower_physics.reduce(showers, voxels, at)
    # The layer without an edge at 10 mm is taken as even: a ninth of its area.
    assert reduced.within[0] == pytest.approx([15 + 5, 95, 20, 95])
    assert reduced.layers[0].tolist() == [50.0, 45.0]


def test_errors_are_those_of_repetitions():
    own = detector.build(default_detectors()["crystal"])
    several = [measure(own, np.full(200, 5e3), seed)["groups"][0] for seed in range(30)]
    for key in ("response", "resolution"):
        values = np.array([group[key] for group in several])
        assert values[:, 0].std(ddof=1) == pytest.approx(values[:, 1].mean(), rel=0.5)
    # Errors of the fitted maximum, too.
    values = np.array([group["maximum"] for group in several])
    assert values[:, 0].std(ddof=1) == pytest.approx(values[:, 1].mean(), rel=0.5)


def test_groups_of_continuous_energies_rise_and_small_ones_are_left_out():
    energies = np.random.default_rng(2).uniform(1e3, 1e5, 3000)
    chosen = shower_physics.groups(energies)
    assert 4 <= len(chosen) <= shower_physics.BINS
    assert all(len(one) >= shower_physics.FEWEST for one in chosen)
    means = [energies[one].mean() for one in chosen]
    assert means == sorted(means)


def content(physics, **changes):
    return {
        "set": "test_set",
        "kind": "parameterised",
        "particle": "electron",
        "detector": {"name": "crystal", "resolution": 0.1},
        "voxels": 120,
        "layers": list(range(40)),
        "threshold_mev": 0.0,
        "measured": 4000,
        "physics": physics,
        **changes,
    }


def test_numbers_and_figures(sampled, tmp_path):
    built, found = sampled
    plain = measure(built, np.repeat([1e3, 1e4], 100), known=False)
    assert plain["resolution"] is None and "maximum" not in plain["groups"][0]
    contents = [
        content(found),
        content(plain, set="files", kind="files", detector=None),
    ]
    contents = json.loads(json.dumps(contents, allow_nan=False))
    metrics = showers_numbers.metrics(contents)
    write_metrics(tmp_path / "metrics.json", "calorimetry", metrics)
    values = {metric.name: metric for metric in metrics}
    assert values["showers.test_set.stochastic"].value == pytest.approx(10, abs=1)
    assert "10 %" in values["showers.test_set.stochastic"].note
    # The group nearest to 100 GeV.
    assert "64 GeV" in values["showers.test_set.contained.1"].label
    assert 0.8 < values["showers.test_set.contained.1"].value < 0.95
    assert "showers.files.response.lowest" in values
    assert "showers.files.maximum" not in values
    write_tables(tmp_path / "tables.json", "calorimetry", showers_numbers.tables(contents))
    drawn = showers_figures.figures(contents)
    assert list(drawn) == showers_figure_names.showers_figure_names(["test_set", "files"])
    index = plotting.figure_set(tmp_path / "index.json", "calorimetry")
    for name, (figure, caption) in drawn.items():
        index.save(figure, name, caption.split(":")[0], caption)
    index.write()
    assert len(json.loads((tmp_path / "index.json").read_text())) == 4


@pytest.mark.parametrize(
    ("energy", "words"), [(256.0, "256 MeV"), (65536.0, "65.5 GeV"), (2**22, "4.19 TeV")]
)
def test_energies_in_words(energy, words):
    assert showers_figures.energy_label(energy) == words


def test_packaged_geometry_of_the_crystal():
    crystal = geometry.load("crystal")
    assert crystal.voxels == 320
    assert all(layer.angles == 8 for layer in crystal.layers)
