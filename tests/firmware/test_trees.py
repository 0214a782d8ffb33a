"""Boosted trees: against scikit-learn, integers by hand, conifer's C++ and VHDL."""

import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier

from fullchain.errors import InputError
from fullchain.firmware import (
    conifer_project,
    convert_trees,
    forest_file,
    ghdl,
    grow,
    stimuli,
    tree_synthesis,
    trees_numbers,
    trigger_jets,
)
from fullchain.firmware.forest import LEAF, FixedForest, Forest, Tree, quantised, reach
from fullchain.firmware.forest_settings import ForestSettings
from fullchain.firmware.tree_growth import forest_of, from_exact, from_histogram, ranges
from fullchain.firmware.trigger_jets import TriggerJets
from fullchain.step import Given

needs_ghdl = pytest.mark.skipif(
    shutil.which("ghdl") is None, reason="GHDL is not installed (apt-get install ghdl)"
)

NAMES = ("x", "y", "z")
CLASSES = ("a", "b", "c")
PART = "xcvu13p-flga2577-2-e"


def toys(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give inputs in single precision, and classes whose means differ."""
    generator = np.random.default_rng(seed)
    target = generator.integers(0, 3, rows)
    means = np.array([[0.3, 0.0, 0.0], [-0.3, 0.2, 0.0], [0.0, -0.3, 0.1]])
    values = generator.normal(means[target], 0.3).astype(np.float32).astype(np.float64)
    return values, target.astype(np.intp)


def forest_from(first: np.ndarray, rounds: list[tuple[Tree, ...]]) -> Forest:
    return Forest(NAMES, np.zeros(3), np.zeros(3, dtype=np.int64), CLASSES, first, tuple(rounds))


def small_forest() -> Forest:
    values, target = toys(800, 1)
    booster = HistGradientBoostingClassifier(max_iter=3, max_depth=2, early_stopping=False)
    return forest_from(*from_histogram(booster.fit(values, target)))


def test_histogram_trees_score_as_scikit_learn_to_the_bit(tmp_path: Path) -> None:
    values, target = toys(3000, 1)
    booster = HistGradientBoostingClassifier(max_iter=7, max_depth=4, early_stopping=False)
    booster.fit(values, target)
    forest = forest_from(*from_histogram(booster))
    forest_file.write(tmp_path / "forest.json", forest, {"model": "toy"})
    again, about = forest_file.read(tmp_path / "forest.json")
    assert about == {"model": "toy"}
    fresh, _ = toys(5000, 2)
    np.testing.assert_array_equal(again.evaluate(fresh), booster.decision_function(fresh))


def test_exact_trees_score_as_scikit_learn_and_are_what_conifer_converts() -> None:
    from conifer.converters.sklearn import convert_bdt

    values, target = toys(800, 1)
    booster = GradientBoostingClassifier(n_estimators=4, max_depth=3).fit(values, target)
    forest = forest_from(*from_exact(booster))
    fresh, _ = toys(5000, 2)
    scores = booster.decision_function(fresh)
    np.testing.assert_allclose(forest.evaluate(fresh), scores, rtol=0, atol=1e-14)
    theirs = convert_bdt(booster)
    for ours, given in zip(forest.rounds, theirs["trees"], strict=True):
        for tree, one in zip(ours, given, strict=True):
            assert tree.feature.tolist() == one["feature"]
            assert tree.left.tolist() == one["children_left"]
            cuts, leaves = ~tree.leaves, tree.leaves
            assert tree.threshold[cuts].tolist() == np.array(one["threshold"])[cuts].tolist()
            assert tree.value[leaves].tolist() == np.array(one["value"])[leaves].tolist()


def by_hand() -> Forest:
    """One round: a cuts twice, b and c once."""
    deep = Tree(
        np.array([0, LEAF, 1, LEAF, LEAF]),
        np.array([0.30, 0.0, -0.55, 0.0, 0.0]),
        np.array([1, -1, 3, -1, -1]),
        np.array([2, -1, 4, -1, -1]),
        np.array([0.0, 0.70, 0.0, -0.30, 1.10]),
    )
    stump = Tree(
        np.array([2, LEAF, LEAF]),
        np.array([-3.0, 0.0, 0.0]),
        np.array([1, -1, -1]),
        np.array([2, -1, -1]),
        np.array([0.0, 0.40, -0.40]),
    )
    return forest_from(np.array([0.1, -0.1, 0.0]), [(deep, stump, stump)])


def test_a_quantised_forest_is_integer_arithmetic() -> None:
    fixed = quantised(by_hand(), 4, 6, None)
    # inputs in eighths; scores: 1.2 and rounding fit in two bits left of the point, steps 1/8
    assert fixed.score.integer.tolist() == [1] and fixed.score.fractional.tolist() == [4]
    deep = fixed.forest.rounds[0][0]
    assert (deep.threshold * 8).tolist() == [2, 0, -5, 0, 0]  # 2.4 and -4.4, rounded down
    assert (deep.value * 16).tolist() == [0, 11, 0, -5, 18]  # 11.2, -4.8, 17.6, rounded
    assert fixed.saturated == 2
    x, y, z = np.meshgrid(*[np.arange(-8, 8)] * 3, indexing="ij")
    inputs = np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)
    first = [2, -2, 0]  # 1.6, -1.6 and 0 sixteenths
    expected = [
        [
            first[0] + (11 if one[0] <= 2 else -5 if one[1] <= -5 else 18),
            first[1] + (6 if one[2] <= -8 else -6),
            first[2] + (6 if one[2] <= -8 else -6),
        ]
        for one in inputs.tolist()
    ]
    np.testing.assert_array_equal(fixed.evaluate(inputs / 8) * 16, expected)
    np.testing.assert_array_equal(reach(fixed.forest)[0] * 16, [-3, 20])


def test_fine_grids_give_the_scores_of_scikit_learn_within_their_precision() -> None:
    forest = small_forest()
    fixed = quantised(forest, 24, 20, None)
    generator = np.random.default_rng(4)
    inputs = fixed.inputs.quantise(generator.uniform(-1.0, 1.0, (4000, 3)))
    np.testing.assert_array_equal(inputs, inputs.astype(np.float32))
    difference = np.abs(fixed.evaluate(inputs) - forest.evaluate(inputs)).max()
    assert 0 < difference <= (len(forest.rounds) + 1) * fixed.score.step[0] / 2


def test_a_precision_that_overflows_is_refused() -> None:
    with pytest.raises(InputError, match=r"2 of 7 leaves are beyond \+-0.5"):
        quantised(by_hand(), 4, 6, -1)
    forest = by_hand()
    twice = replace(forest, rounds=forest.rounds * 2)
    with pytest.raises(InputError, match=r"class a: scores reach .* raise score_integer"):
        quantised(twice, 4, 6, 1)


@pytest.mark.parametrize("mistake", ["nan", "circle", "feature"])
def test_trees_that_are_none_are_refused(mistake: str, tmp_path: Path) -> None:
    path = tmp_path / "forest.json"
    forest_file.write(path, by_hand(), {})
    content = json.loads(path.read_text())
    tree = content["rounds"][0][1]
    if mistake == "nan":
        tree["value"][1] = float("nan")
    elif mistake == "circle":
        tree["left"][0] = 0
    else:
        tree["feature"][0] = 7
    path.write_text(json.dumps(content))
    words = {"nan": "not finite", "circle": "no tree", "feature": "none of the 3 features"}
    with pytest.raises(InputError, match=rf"round 0, class b: .*{words[mistake]}"):
        forest_file.read(path)


def test_files_that_are_no_forests_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such forest"):
        forest_file.read(tmp_path / "none.json")
    (tmp_path / "wrong.json").write_text('{"format": 1}')
    with pytest.raises(InputError, match="not a forest"):
        forest_file.read(tmp_path / "wrong.json")


def test_features_without_numbers_or_all_equal_are_named() -> None:
    values, _ = toys(100, 1)
    values[3, 1] = np.nan
    with pytest.raises(InputError, match="y has 1 values that are not finite"):
        ranges(values, NAMES)
    values[:, 1] = 2.0
    with pytest.raises(InputError, match="y is 2 for all"):
        ranges(values, NAMES)


@pytest.mark.parametrize("algorithm", ["histogram", "exact"])
def test_growing_stops_at_the_lowest_validation_loss(algorithm: Any) -> None:
    training, validation = toys(600, 1), toys(600, 2)
    chosen = ForestSettings(
        features=NAMES, algorithm=algorithm, trees=40, learning_rate=0.5, patience=3
    )
    quantities, targets = zip(training, validation, strict=True)
    forest, losses = forest_of(quantities, targets, CLASSES, chosen, 1)
    rounds = len(forest.rounds)
    assert 1 < rounds < 40
    assert losses["validation"][rounds] == min(losses["validation"][: rounds + 4])
    inputs = forest.inputs_of(validation[0])
    assert (forest.evaluate(inputs).argmax(axis=1) == validation[1]).mean() > 0.6
    again, _ = forest_of(quantities, targets, CLASSES, chosen, 1)
    np.testing.assert_array_equal(again.evaluate(inputs), forest.evaluate(inputs))


def test_two_classes_are_refused() -> None:
    one = toys(50, 1)
    with pytest.raises(InputError, match="trees for 2 classes"):
        forest_of((one[0], one[0]), (one[1], one[1]), ("a", "b"), ForestSettings(), 1)


def write_jets(path: Path, sample: str, label: int, seed: int) -> Path:
    generator = np.random.default_rng(seed)
    rows = 150
    scalars = {name: np.zeros(rows, dtype=kind) for name, kind in trigger_jets.SCALARS.items()}
    scalars["event"] = np.arange(rows, dtype=np.uint64)
    scalars["run"] += seed
    scalars["label"] += label
    features = generator.normal(label, 2.0, (rows, 3)).astype(np.float32)
    jets = TriggerJets(features, np.zeros((rows, 1, 1), np.float32), scalars, NAMES, ("pt",))
    trigger_jets.write(path, jets, sample)
    return path


def given(point: dict[str, Any]) -> Given:
    classes = {
        name: {"samples": ["toy"], "labels": [label]}
        for name, label in (("g", "gluon"), ("q", "light"), ("t", "top"))
    }
    model = {
        "kind": "trees", "features": NAMES, "trees": 2, "depth": 2, "replicas": 5,
        "points": {"p": point},
    }  # fmt: skip
    firmware = {"classes": classes, "split": {}, "models": {"m": model}}
    return Given({"seed": 1, "firmware": {**firmware, "stimuli": {"random": 500, "extreme": 20}}})


def run_steps(folder: Path, settings: Given) -> dict[str, Path]:
    jets = [write_jets(folder / f"{label}.h5", "toy", label, label + 1) for label in (0, 1, 5)]
    paths = {
        name: folder / name
        for name in ("stimuli.h5", "conifer.tar.gz", "conifer.h5", "conifer.json", "training.json")
    }
    trained = folder / "forest.json"
    grow.main(
        jets=jets, model="m", trained=trained, history=paths["training.json"], settings=settings
    )
    convert_trees.main(
        trained=trained,
        jets=jets,
        model="m",
        point="p",
        stimuli=paths["stimuli.h5"],
        archive=paths["conifer.tar.gz"],
        outputs=paths["conifer.h5"],
        report=paths["conifer.json"],
        settings=settings,
    )
    return paths


def test_steps_from_jets_to_a_bit_exact_emulation(tmp_path: Path) -> None:
    paths = run_steps(tmp_path, given({"input_bits": 6, "score_bits": 8, "emulate_hls": True}))
    history = json.loads(paths["training.json"].read_text())
    assert len(history["loss"]["train"]) >= history["rounds"] + 1
    assert history["float"]["accuracy"][1] > 0
    made = stimuli.read(paths["stimuli.h5"])
    outputs, implementation = stimuli.read_outputs(paths["conifer.h5"])
    assert implementation == "conifer"
    np.testing.assert_array_equal(outputs, made.outputs)
    assert len(np.unique(made.outputs, axis=0)) > 3
    report = json.loads(paths["conifer.json"].read_text())
    # Of the same jets in the same bootstrap samples.
    assert report["performance"]["float"] == history["float"]
    accuracy, error = report["performance"]["quantised"]["accuracy"]
    assert 0.0 < accuracy < 1.0 and error > 0
    assert set(report["emulations"]) == {"cpp", "hls"}
    for found in report["emulations"].values():
        assert found["vectors"] == len(made.inputs) and found["mismatches"] == 0
    with tarfile.open(paths["conifer.tar.gz"]) as tar:
        names = tar.getnames()
        assert {"cpp/bridge.cpp", "hls/firmware/parameters.h", "vhdl/firmware/BDTTop.vhd"} <= set(
            names
        )
        for name in names:
            file = tar.extractfile(name)
            assert file is not None and b"/tmp" not in file.read(), name


@needs_ghdl
def test_vhdl_is_bit_exact_and_its_latency_is_measured(tmp_path: Path) -> None:
    fixed = quantised(small_forest(), 7, 9, None)
    conifer_project.write(fixed, "vhdl", tmp_path, PART, 5.0)
    ghdl.analyse(tmp_path, 3)
    steps = np.random.default_rng(1).integers(-64, 64, (300, 3))
    found = ghdl.simulate(tmp_path, steps)
    np.testing.assert_array_equal(found * fixed.score.step[0], fixed.evaluate(steps / 64))
    # comparison, depth + 1 stages of decisions, one of the leaf, a tree of adders of 4 terms
    assert ghdl.latency(tmp_path) == fixed.forest.depth + 3 + 2


@needs_ghdl
@pytest.mark.slow
def test_vhdl_is_counted_as_verilog_is(tmp_path: Path) -> None:
    conifer_project.write(quantised(small_forest(), 7, 9, None), "vhdl", tmp_path, PART, 5.0)
    ghdl.analyse(tmp_path, 3)
    found = tree_synthesis.synthesise(tmp_path, "xcup", "m, p")
    assert (found["label"], found["top"], found["timing"]) == ("Yosys, unplaced", "BDTTop", None)
    assert found["front_end"].startswith("GHDL ")
    assert found["lut"] > 0 and found["ff"] > 0 and (found["dsp"], found["bram"]) == (0, 0)


@pytest.mark.slow
def test_an_emulation_that_differs_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact: Callable[..., np.ndarray] = FixedForest.evaluate

    def wrong(self: FixedForest, inputs: np.ndarray) -> np.ndarray:
        return exact(self, inputs) + self.score.step[0] * (np.arange(len(inputs)) == 3)[:, None]

    monkeypatch.setattr(FixedForest, "evaluate", wrong)
    with pytest.raises(InputError, match=r"model m, point p: the cpp .* in 1 of \d+ vectors"):
        run_steps(tmp_path, given({"input_bits": 6, "score_bits": 8}))


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt-get install ghdl"):
        ghdl.program()
    with pytest.raises(InputError, match=r"g\+\+ is not on the path"):
        conifer_project.write(quantised(by_hand(), 4, 6, None), "cpp", tmp_path, PART, 5.0)


def test_numbers_come_from_the_report() -> None:
    compared = {"vectors": 7, "mismatches": 2}
    content = {
        "model": "m", "point": "p", "trees": 6, "cuts": 9, "depth": 2, "input_bits": 6,
        "score_bits": 8, "emulations": {"cpp": compared}, "vhdl": {"latency": 8},
    }  # fmt: skip
    found = {metric.name: metric for metric in trees_numbers.metrics([content])}
    assert found["m.p.conifer.cpp.mismatches"].value == 2
    assert found["m.p.conifer.latency"].value == 8
    assert {metric.uncertainty_kind for metric in found.values()} == {"count"}
    (table,) = trees_numbers.tables([content])
    assert table.rows[0][4:] == ["C++ emulation: 2 of 7", "8", None, None, None]
