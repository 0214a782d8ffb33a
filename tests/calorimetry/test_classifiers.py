"""Classifiers of showers: densities that are known, weights that are known, bad input."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from fullchain.calorimetry import (
    classifier_figure_names,
    classifier_figures,
    classifier_file,
    classifier_numbers,
    classify,
    geometry,
    gflash,
    shower_file,
)
from fullchain.calorimetry.classifier_inputs import check_pair, inputs
from fullchain.calorimetry.classifier_judgement import judge
from fullchain.calorimetry.classifier_scores import Scores, auc, divergence, judged
from fullchain.calorimetry.classifier_settings import OFFICIAL_LAYERS, ClassifierSettings
from fullchain.calorimetry.classifier_training import (
    Isotonic,
    Rows,
    learn,
    logits,
    parts,
    plan,
)
from fullchain.calorimetry.published_models import KIND
from fullchain.calorimetry.shower_file import Showers
from fullchain.errors import InputError
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables
from fullchain.step import Given

VOXELS = geometry.load("set1_photons")
DEPTHS = ((0.0, 1.5), (1.5, 6.0), (6.0, 20.0), (20.0, 23.0), (23.0, 40.0))

FAST = ClassifierSettings(
    layers=[32, 32],
    replicas=50,
    training={"epochs": 6, "batch_size": 200, "learning_rate": 3e-3, "patience": 3},
)


def made(number, seed, moliere=30.0, energies=None):
    random = np.random.default_rng(seed)
    if energies is None:
        energies = 2.0 ** random.integers(10, 14, number)
    detector = gflash.Detector(VOXELS, gflash.Medium(74, 7.4, moliere), DEPTHS, 1.0)
    return Showers(energies, gflash.showers(energies, detector, random, photons=True))


def gaussians(number, shift, seed, size=3):
    random = np.random.default_rng(seed)
    simulated, generated = random.normal(size=(2, number, size))
    generated[:, 0] += shift
    return simulated, generated


def exact_auc(shift):
    return norm.cdf(shift / np.sqrt(2.0))


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_the_auc_of_two_gaussians_is_that_of_the_likelihood_ratio(shift):
    rows = Rows.joined(*gaussians(6000, shift, 1))
    some = parts(6000, 6000, 0.2, 0.3, np.random.default_rng(2))
    found, _ = judge(rows, some, FAST, 3, "gaussians")
    for name in ("auc", "auc_uncalibrated"):
        value, error = found[name]
        assert 0.003 < error < 0.02
        # The network may lose a little, and cannot win.
        assert -3.5 * error - 0.01 < value - exact_auc(shift) < 3.5 * error


def test_the_logit_is_the_log_of_the_density_ratio():
    simulated, generated = gaussians(8000, 1.0, 4)
    rows = Rows.joined(simulated, generated)
    some = parts(8000, 8000, 0.2, 0.2, np.random.default_rng(5))
    trained = learn(rows.select(some[0]), rows.select(some[1]), FAST, 6, "gaussians")
    test = rows.values[some[2]]
    exact = 0.5 - test[:, 0]
    found = logits(trained.network, test, 1)
    inside = np.abs(exact) < 1.5
    assert np.sqrt(np.mean((found - exact)[inside] ** 2)) < 0.2
    assert np.polyfit(exact[inside], found[inside], 1)[0] == pytest.approx(1.0, abs=0.12)


def test_errors_of_the_exact_auc_are_those_of_repetition():
    values, errors = [], []
    for seed in range(60):
        simulated, generated = gaussians(400, 0.05, 100 + seed, 1)
        score = norm.cdf(-np.concatenate([simulated, generated])[:, 0])
        kind = np.repeat([1.0, 0.0], 400)
        one = judged(Scores(score, score, kind, np.ones(800)), 60, seed)
        values.append(one["auc"][0])
        errors.append(one["auc"][1])
    # A tiny difference: no bias away from one half, and pulls of width one.
    assert np.mean(values) == pytest.approx(exact_auc(0.05), abs=4 * np.std(values) / np.sqrt(60))
    assert np.std(values) / np.mean(errors) == pytest.approx(1.0, abs=0.3)


def test_divergence_of_the_exact_probability():
    simulated, generated = gaussians(200_000, 1.0, 7, 1)
    both = np.concatenate([simulated, generated])[:, 0]
    exact = 1.0 / (1.0 + np.exp(both - 0.5))
    kind = np.repeat([1.0, 0.0], 200_000)
    x = np.linspace(-9.0, 10.0, 40_001)
    p, q = norm.pdf(x), norm.pdf(x, 1.0)
    m = 0.5 * (p + q)
    bits = 0.5 * np.trapezoid(p * np.log2(p / m) + q * np.log2(q / m), x)
    assert divergence(exact, kind, np.ones(400_000)) == pytest.approx(bits, abs=0.004)
    assert divergence(np.full(400_000, 0.5), kind, np.ones(400_000)) == pytest.approx(0.0, abs=1e-9)


def test_weights_undo_what_was_taken():
    simulated, generated = gaussians(50_000, 0.0, 8, 1)
    score = norm.cdf(simulated[:, 0]), norm.cdf(generated[:, 0])
    kept = np.random.default_rng(9).random(50_000) < score[1]
    both = np.concatenate([score[0], score[1][kept]])
    kind = np.repeat([1.0, 0.0], [50_000, kept.sum()])
    weight = np.concatenate([np.ones(50_000), 1.0 / score[1][kept]])
    assert auc(both, kind, np.ones(len(both))) == pytest.approx(1 / 3, abs=0.01)
    assert auc(both, kind, weight) == pytest.approx(0.5, abs=0.01)


@given(st.integers(0, 1000), st.integers(20, 200))
def test_isotonic_calibration_rises_and_keeps_the_mean(seed, number):
    random = np.random.default_rng(seed)
    learned = np.round(random.random(number), 2)
    truth = (random.random(number) < learned**2).astype(float)
    weight = random.random(number)
    found = Isotonic.fitted(learned, truth, weight)
    mapped = found(np.linspace(0, 1, 101))
    assert (np.diff(mapped) >= -1e-12).all()
    assert ((mapped > 0) & (mapped < 1)).all()
    at_rows = np.interp(learned, found.learned, found.right)
    assert np.average(at_rows, weights=weight) == pytest.approx(np.average(truth, weights=weight))


@given(st.integers(50, 500), st.integers(50, 500))
def test_parts_hold_each_row_once_and_both_kinds(first, second):
    some = parts(first, second, 0.2, 0.2, np.random.default_rng(1))
    assert sorted(np.concatenate(some)) == list(range(first + second))
    for one, size in zip(some, (0.6, 0.2, 0.2), strict=True):
        assert abs((one < first).sum() - size * first) <= 1
        assert abs((one >= first).sum() - size * second) <= 1


def test_official_mode_is_that_of_the_challenge():
    official = ClassifierSettings(
        mode="official", layers=[8], training={"epochs": 3, "threads": 2, "precision": "float32"}
    )
    layers, training, kind = plan(official)
    assert layers == OFFICIAL_LAYERS == (2048, 2048, 2048)
    assert (training.epochs, training.batch_size, training.learning_rate) == (50, 1000, 2e-4)
    assert training.schedule == "constant"
    assert training.optimiser == "adam"
    assert training.threads == 2
    assert kind == torch.float64
    assert plan(FAST)[0] == (32, 32)
    assert plan(FAST)[2] == torch.float32


def test_official_mode_trains_in_double_precision(monkeypatch):
    from fullchain.calorimetry import classifier_training

    monkeypatch.setattr(classifier_training, "OFFICIAL_LAYERS", (16,))
    short = {**classifier_training.OFFICIAL_TRAINING, "epochs": 2}
    monkeypatch.setattr(classifier_training, "OFFICIAL_TRAINING", short)
    rows = Rows.joined(*gaussians(200, 1.0, 1))
    trained = learn(rows, rows, ClassifierSettings(mode="official"), 1, "official")
    assert {one.dtype for one in trained.network.parameters()} == {torch.float64}
    # Inputs stay as the challenge gives them.
    assert trained.network.mean.abs().max() == 0
    assert len(trained.history.train) == 2


def test_inputs_are_those_of_the_challenge():
    showers = made(60, 1)
    low = inputs(showers, VOXELS, "low", "challenge", 1.0)
    assert low.shape == (60, 369)
    np.testing.assert_allclose(low[:, 0], np.log10(showers.energies), rtol=1e-6)
    expected = 100 * showers.voxels.sum(axis=1) / showers.energies
    np.testing.assert_allclose(low[:, 1:].sum(axis=1), expected, rtol=1e-5)
    # Energy, five layers, and four numbers of each of the two layers that are divided in alpha.
    assert inputs(showers, VOXELS, "high", "challenge", 1.0).shape == (60, 1 + 5 + 4 * 2)
    high = inputs(showers, VOXELS, "high", "all", 1.0)
    assert high.shape == (60, 14 + 3 * 5)
    # What weights are from: voxels and all features, with the incident energy once.
    both = inputs(showers, VOXELS, "both", "challenge", 1.0)
    assert both.shape == (60, 369 + 28) and both.dtype == np.float32
    np.testing.assert_array_equal(both[:, :369], low)
    np.testing.assert_allclose(both[:, 369:], high[:, 1:], rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classify")
    geometry.write(VOXELS, folder / "geometry.xml")
    test = made(700, 1)
    shower_file.write(folder / "test.h5", test)
    shower_file.write(folder / "reference.h5", made(700, 2))
    shower_file.write(folder / "wide.h5", made(700, 3, 60.0, test.energies))
    return folder


def run(folder, name, chosen=FAST, role="model", output=None):
    output = output or folder / name
    classify.main(
        name=name,
        showers_set="photons",
        generated=folder / f"{name}.h5",
        test=folder / "test.h5",
        geometry_xml=folder / "geometry.xml",
        threshold=1.0,
        role=role,
        output=output.with_suffix(".json"),
        model=output.with_suffix(".pt"),
        settings=Given({"seed": 1, "calorimetry": {"classifiers": chosen.model_dump(mode="json")}}),
    )
    return json.loads(output.with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def judgements(files):
    reference = run(files, "reference", role="reference")
    two = FAST.model_copy(update={"seeds": 2})
    return {"reference": reference, "wide": run(files, "wide", two)}


def test_the_floor_is_one_half_and_another_medium_is_told_apart(judgements):
    for found in judgements["reference"]["levels"].values():
        value, error = found["auc"]
        assert abs(value - 0.5) < 3.5 * error
    for found in judgements["wide"]["levels"].values():
        assert found["auc"][0] > 0.8
        assert found["jsd"][0] > 0.1
    assert judgements["wide"]["mode"] == "lite"
    assert len(judgements["wide"]["levels"]["low"]["starts"]) == 2


def test_trees_see_a_few_voxels_that_are_wrong(files):
    showers = shower_file.read(files / "test.h5", VOXELS)
    random = np.random.default_rng(3)
    voxels = showers.voxels.copy()
    # Some voxels are lit in half of the showers in which they are empty.
    for place in np.argsort((voxels > 0).mean(axis=0))[:5]:
        dark = (voxels[:, place] == 0) & (random.random(len(voxels)) < 0.5)
        voxels[dark, place] = 1.5
    shower_file.write(files / "few.h5", Showers(showers.energies, voxels))
    found = run(files, "few")["levels"]
    assert found["low_trees"]["auc"][0] > 0.6 and found["low_trees"]["iterations"][0] > 1


def test_the_same_run_gives_the_same_bytes(files, judgements, tmp_path):
    run(files, "reference", role="reference", output=tmp_path / "again")
    assert (tmp_path / "again.json").read_bytes() == (files / "reference.json").read_bytes()


def test_a_file_gives_the_probabilities_again(files, judgements):
    found = classifier_file.read(files / "wide.pt")
    simulated = shower_file.read(files / "test.h5", VOXELS)
    generated = shower_file.read(files / "wide.h5", VOXELS)
    for level in ("low", "high"):
        means = [found.probability(one, level).mean() for one in (simulated, generated)]
        assert 0.0 < means[1] < 0.4 < 0.6 < means[0] < 1.0


def test_figures_and_numbers(judgements, tmp_path):
    contents = list(judgements.values())
    drawn = classifier_figures.figures(contents)
    assert list(drawn) == classifier_figure_names.classifier_figure_names(["photons"])
    assert all("another machine" in drawn[name][1] for name in drawn if "areas" in name)
    for fig, _ in drawn.values():
        fig.savefig(tmp_path / "figure.png")
    metrics = classifier_numbers.metrics(contents)
    write_metrics(tmp_path / "metrics.json", "calorimetry", metrics)
    write_tables(tmp_path / "tables.json", "calorimetry", classifier_numbers.tables(contents))
    (note,) = (one.note for one in metrics if one.name == "classifiers.wide.high.auc")
    assert "not known" in note
    from_files = [{**one, KIND: "files"} for one in contents]
    notes = [one.note for one in classifier_numbers.metrics(from_files) if one.published]
    assert len(notes) == 4 and all("read from files" in note for note in notes)
    assert "read from files" in classifier_figures.areas(from_files)[1]
    published = {one.name: one.published for one in metrics}
    assert published["classifiers.photons.reference.low.auc"] == 0.499
    assert published["classifiers.wide.high.auc"] == 0.638


def test_energies_must_agree():
    test = made(200, 1)
    twice = Showers(2 * test.energies, test.voxels)
    with pytest.raises(InputError, match="see the energy and not the shower; generate"):
        check_pair(twice, test, ("generated.h5", "test.h5"))
    giga = Showers(test.energies / 1000, test.voxels)
    with pytest.raises(InputError, match="GeV"):
        check_pair(giga, test, ("generated.h5", "test.h5"))
    check_pair(made(300, 2), test, ("generated.h5", "test.h5"))


def test_both_kinds_are_needed(files, tmp_path):
    test = made(200, 1)
    with pytest.raises(InputError, match=r"generated.h5: 3 showers"):
        check_pair(test.select(slice(3)), test, ("generated.h5", "test.h5"))
    with pytest.raises(InputError, match="no generated showers"):
        Rows.joined(np.ones((5, 2)), np.ones((0, 2)))
    with pytest.raises(InputError, match="different geometries"):
        Rows.joined(np.ones((5, 2)), np.ones((5, 3)))
    with pytest.raises(InputError, match="finite and not negative"):
        Rows.joined(np.ones((5, 2)), np.ones((5, 2)), np.array([1, 1, 1, 1, np.nan]))
    with pytest.raises(InputError, match="all generated showers are zero"):
        Rows.joined(np.ones((5, 2)), np.ones((5, 2)), np.zeros(5))
    with pytest.raises(InputError, match="a part is empty"):
        parts(2, 2, 0.2, 0.2, np.random.default_rng(1))


def test_showers_of_another_geometry_are_an_error(files):
    other = Showers(made(100, 1).energies, np.ones((100, 40), dtype=np.float32))
    shower_file.write(files / "other.h5", other)
    with pytest.raises(InputError, match=r"other.h5: showers have shape .* 368 voxels"):
        run(files, "other")
