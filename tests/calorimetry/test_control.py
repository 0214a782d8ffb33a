"""Weights of a discriminator: those of densities that are known, closure, resampling, bad input."""

import json

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.calorimetry import (
    control,
    control_figure_names,
    control_figures,
    control_numbers,
    features,
    geometry,
    gflash,
    reweighting,
    shower_file,
    weighted_features,
)
from fullchain.calorimetry.classifier_settings import ClassifierSettings
from fullchain.calorimetry.classifier_training import Rows
from fullchain.calorimetry.control_settings import ControlSettings
from fullchain.calorimetry.shower_file import Showers
from fullchain.errors import InputError
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables
from fullchain.step import Given

FAST = ClassifierSettings(
    layers=[32, 32],
    replicas=50,
    levels=["high"],
    trees=False,
    training={"epochs": 6, "batch_size": 200, "learning_rate": 3e-3, "patience": 3},
)


def gaussians(number, shift, seed):
    random = np.random.default_rng(seed)
    simulated, generated = random.normal(size=(2, number, 2))
    generated[:, 0] += shift
    return simulated, generated


@pytest.mark.parametrize(
    ("discriminator", "calibration", "off", "left"),
    # Trees give steps, and the outermost ones are far out.
    [
        ("network", "temperature", 0.15, 0.03),
        ("network", "none", 0.15, 0.03),
        ("trees", "temperature", 0.3, 0.1),
    ],
)
def test_weights_are_the_ratio_of_densities_and_close(discriminator, calibration, off, left):
    number, shift = 8000, 0.6
    simulated, generated = gaussians(number, shift, 1)
    rows = Rows.joined(simulated, generated)
    found = reweighting.log_ratios(rows, 2, discriminator, calibration, FAST, 2, "gaussians")
    exact = 0.5 * shift**2 - shift * rows.values[:, 0]
    inside = np.abs(exact) < 1.0
    assert np.sqrt(np.mean((found - exact)[inside] ** 2)) < off
    weight = reweighting.weights(found[number:], np.ones(number), 1)
    # The mean of what was shifted comes back, and what was not stays.
    error = np.sqrt((weight**2).sum()) / weight.sum()
    assert generated[:, 0].mean() > 0.5
    assert np.average(generated[:, 0], weights=weight) == pytest.approx(0.0, abs=4 * error + left)
    assert np.average(generated[:, 1], weights=weight) == pytest.approx(0.0, abs=4 * error + left)
    # Of the exact weights exp(c - s x) the effective number is n exp(-s^2).
    expected = number * np.exp(-(shift**2))
    assert reweighting.effective_number(weight) == pytest.approx(expected, rel=0.2)
    edges = np.linspace(-3, 3, 31)
    made = weighted_features.compared(simulated[:, 0], generated[:, 0], weight, edges, 30, 3)
    before, after = made["separation_before"][0], made["separation_after"][0]
    assert before > 20 * made["by_chance_before"]
    assert after < before / 10


@pytest.mark.parametrize("discriminator", ["network", "trees"])
def test_no_shower_is_weighted_by_a_discriminator_that_saw_it(discriminator):
    # With inputs that are noise it learns the showers by heart, and only those.
    random = np.random.default_rng(3)
    rows = Rows.joined(*random.normal(size=(2, 200, 60)))
    heart = FAST.model_copy(
        update={
            "validation": 0.1,
            "training": FAST.training.model_copy(update={"epochs": 40, "patience": 40}),
        }
    )
    found = reweighting.log_ratios(rows, 4, discriminator, "none", heart, 5, "noise")
    # Medians of both kinds agree where the network has not seen the showers.
    difference = np.median(found[:200]) - np.median(found[200:])
    assert abs(difference) < 0.5 * found.std() + 1e-3


def test_chance_alone_gives_what_is_foretold():
    random = np.random.default_rng(4)
    edges = np.linspace(-3, 3, 21)
    weight = random.exponential(size=3000) + 0.2
    found, foretold = [], []
    for seed in range(40):
        first, second = np.random.default_rng(seed).normal(size=(2, 3000))
        made = weighted_features.compared(first, second, weight, edges, 2, 1)
        found.append(made["separation_after"][0])
        foretold.append(made["by_chance_after"])
    spread = np.std(found) / np.sqrt(40)
    assert np.mean(found) == pytest.approx(np.mean(foretold), abs=4 * spread + 1e-4)


@given(st.integers(1, 60), st.integers(1, 500), st.integers(0, 100))
def test_weights_have_mean_one_at_each_energy(groups, number, seed):
    random = np.random.default_rng(seed)
    energies = np.exp(random.normal(size=number)).round(1) + 1.0
    weight = reweighting.weights(random.normal(size=number), energies, groups)
    of = reweighting.energy_groups(energies, groups)
    assert of.max() < groups or len(np.unique(energies)) <= groups
    np.testing.assert_allclose(np.bincount(of, weight), np.bincount(of))
    for one in np.unique(energies):
        assert len(np.unique(of[energies == one])) == 1


def test_constant_weights_change_nothing():
    energies = np.repeat([1.0, 2.0], 500)
    weight = reweighting.weights(np.full(1000, -2.0), energies, 10)
    np.testing.assert_allclose(weight, 1.0)
    assert reweighting.effective_number(weight) == pytest.approx(1000)
    kept = reweighting.accepted(weight, 1.0, np.random.default_rng(1))
    assert len(kept.rows) == 1000
    assert kept.beyond == 0.0


def test_resampling_accepts_in_proportion_to_weights():
    random = np.random.default_rng(6)
    generated = random.normal(size=100_000) + 0.5
    weight = np.exp(0.125 - 0.5 * generated)
    kept = reweighting.accepted(weight, 8.0, random)
    assert generated[kept.rows].mean() == pytest.approx(0.0, abs=0.05)
    assert kept.efficiency == pytest.approx(1 / 8, abs=0.005)
    assert 0 <= kept.beyond < 1e-3
    clipped = reweighting.clipped(weight, 2.0, np.ones(100_000), 1)
    assert clipped.mean() == pytest.approx(1.0)
    assert clipped.max() < 2.2


def test_weights_that_are_none():
    energies = np.ones(3)
    with pytest.raises(InputError, match="no finite weight to 1 showers"):
        reweighting.weights(np.array([0.0, np.nan, 1.0]), energies, 1)
    with pytest.raises(InputError, match="all weights are zero for incident energies around 1 MeV"):
        reweighting.weights(np.full(3, -1000.0), energies, 1)
    with pytest.raises(InputError, match="none of 3 showers is accepted"):
        reweighting.accepted(np.full(3, 1e-9), 1e9, np.random.default_rng(1))
    with pytest.raises(InputError, match="too few for 3 folds"):
        rows = Rows.joined(np.ones((5, 2)), np.ones((50, 2)))
        reweighting.log_ratios(rows, 3, "trees", "none", FAST, 1, "few")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("control")
    voxels = geometry.load("set1_photons")
    geometry.write(voxels, folder / "geometry.xml")
    depths = ((0.0, 1.5), (1.5, 6.0), (6.0, 20.0), (20.0, 23.0), (23.0, 40.0))
    random = np.random.default_rng(1)
    energies = 2.0 ** random.integers(11, 13, 900)
    for name, moliere in (("test", 30.0), ("generated", 36.0)):
        detector = gflash.Detector(voxels, gflash.Medium(74, 7.4, moliere), depths, 1.0)
        made = gflash.showers(energies, detector, random, photons=True)
        shower_file.write(folder / f"{name}.h5", Showers(energies, made))
    return folder


def run(
    folder, output, resampled=None, weights=None, discriminator="network", level="high", **changes
):
    how = FAST.model_copy(update=changes)
    chosen = ControlSettings(
        discriminator=discriminator, level=level, folds=2, classifier=how, replicas=20
    )
    control.main(
        name="model",
        showers_set="photons",
        generated=folder / "generated.h5",
        test=folder / "test.h5",
        geometry_xml=folder / "geometry.xml",
        threshold=1.0,
        output=output,
        resampled=resampled,
        weights=weights,
        settings=Given({"seed": 1, "calorimetry": {"control": chosen.model_dump(mode="json")}}),
    )
    return json.loads(output.read_text())


def check_weights(files, path, found):
    """The weights of the file are those that the numbers are of, in the order of the sample."""
    generated, test = (
        shower_file.read(files / f"{name}.h5", geometry.load("set1_photons"))
        for name in ("generated", "test")
    )
    with h5py.File(path) as file:
        energies, raw, clipped = (
            file[name][:] for name in ("incident_energies", "weights", "weights_clipped")
        )
        assert file["weights_clipped"].attrs["maximum"] == 5.0
        assert file["incident_energies"].attrs["unit"] == "MeV"
    assert np.array_equal(energies[:, 0], generated.energies)
    assert raw.shape == clipped.shape == (len(generated),)
    for energy in np.unique(energies):
        at = energies[:, 0] == energy
        assert raw[at].mean() == pytest.approx(1.0) and clipped[at].mean() == pytest.approx(1.0)
    assert clipped.max() < raw.max() == found["weights"]["largest"]
    for weight, name in ((raw, "effective_number"), (clipped, "effective_number_clipped")):
        assert reweighting.effective_number(weight) == pytest.approx(found["weights"][name])
    # Weighted in this order, what was wrong comes nearer to the simulation.
    wide = "width_r_2"
    made, wanted = (
        features.features(one, geometry.load("set1_photons"), 1.0)[wide]
        for one in (generated, test)
    )
    before = made.mean() - wanted.mean()
    assert abs(np.average(made, weights=raw) - wanted.mean()) < 0.5 * before
    assert abs(np.average(made, weights=raw[::-1]) - wanted.mean()) > 0.5 * before


def test_weights_are_of_the_first_showers(files, tmp_path):
    run(files, tmp_path / "control.json", weights=tmp_path / "weights.h5", showers=400)
    generated = shower_file.read(files / "generated.h5", geometry.load("set1_photons"))
    with h5py.File(tmp_path / "weights.h5") as file:
        assert np.array_equal(file["incident_energies"][:, 0], generated.energies[:400])
        assert len(file["weights"]) == 400


@pytest.mark.parametrize(("discriminator", "level"), [("network", "high"), ("trees", "high")])
def test_the_step(files, tmp_path, discriminator, level):
    how = {"discriminator": discriminator, "level": level}
    how["trees"] = discriminator == "trees"
    found = run(
        files, tmp_path / "control.json", tmp_path / "resampled.h5", tmp_path / "weights.h5", **how
    )
    assert ("high_trees" in found["levels"]) == how["trees"]
    check_weights(files, tmp_path / "weights.h5", found)
    auc = found["levels"]["high"]
    assert auc["before"]["auc"][0] > 0.65
    assert auc["after"]["auc"][0] < auc["before"]["auc"][0] - 0.05
    kept = shower_file.read(tmp_path / "resampled.h5", geometry.load("set1_photons"))
    assert len(kept) == found["resampling"]["accepted"]
    generated = shower_file.read(files / "generated.h5", geometry.load("set1_photons"))
    assert {row.tobytes() for row in kept.voxels} <= {row.tobytes() for row in generated.voxels}
    means = control_numbers.mean_separations(found)
    assert means["width_r"]["after"][0] < means["width_r"]["before"][0]
    run(files, tmp_path / "again.json", **how)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "control.json").read_bytes()
    drawn = control_figures.figures([found])
    assert list(drawn) == control_figure_names.control_figure_names(["model"])
    for fig, caption in drawn.values():
        fig.savefig(tmp_path / "figure.png")
        assert "model" in caption
    write_metrics(tmp_path / "metrics.json", "calorimetry", control_numbers.metrics([found]))
    write_tables(tmp_path / "tables.json", "calorimetry", control_numbers.tables([found]))
