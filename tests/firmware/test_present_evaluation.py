"""Evaluation of firmware: accuracies and areas that are known, paired errors, bad input."""

import json

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import norm

from fullchain.errors import InputError
from fullchain.firmware import evaluate, fixed_network, performance, stimuli, trigger_jets
from fullchain.firmware.evaluation_settings import EvaluationSettings
from fullchain.firmware.judged_model import Emulated, anomaly_jets, class_jets, judged_model
from fullchain.firmware.performance import Truth, judge_anomalies, judge_classes
from fullchain.firmware.stimuli import EXTREME, JET, RANDOM, Stimuli
from fullchain.firmware.trigger_jets import SCALARS, TriggerJets
from fullchain.step import Given

CLASSES = ("q", "g", "W", "Z", "t")
SEED = 7
SETTINGS = EvaluationSettings(bootstraps=60)


def symbols(right, sizes, seed=1):
    """Give targets and logits of jets that show the symbol of their class with chance `right`.

    Any other symbol is as likely as the next; the logits are those of the likelihood ratio.
    """
    random = np.random.default_rng(seed)
    target = np.repeat(np.arange(len(sizes)), sizes)
    wrong = (target + random.integers(1, len(sizes), len(target))) % len(sizes)
    shown = np.where(random.random(len(target)) < right, target, wrong)
    other = (1 - right) / (len(sizes) - 1)
    logits = np.log(np.where(shown[:, None] == np.arange(len(sizes)), right, other))
    return target, logits


def truth_of(target, classes=CLASSES):
    return Truth(target, np.arange(len(target)), classes)


def test_numbers_of_symbols_are_those_that_probability_says():
    right, other = 0.7, 0.075
    target, logits = symbols(right, (4000, 2000, 1000, 6000, 3000))
    found = judge_classes(logits, truth_of(target), (0.5,), 60, SEED).measured()
    area = right * (1 - other) + 0.5 * (right * other + (1 - right) * (1 - other))
    for name, exact in [
        ("balanced_accuracy", right),
        ("accuracy", right),
        ("recall.W", right),
        ("auc.macro", area),
        ("auc.W", area),
        ("rejection.W.0.5", 1 / other),
    ]:
        value, error = found[name]
        assert error > 0
        assert abs(value - exact) < 4 * error, name
    # The smallest class has the largest error of its recall, the binomial one.
    assert found["recall.W"][1] == pytest.approx(np.sqrt(0.7 * 0.3 / 1000), rel=0.35)
    balanced = np.sqrt(np.mean([0.21 / n for n in (4000, 2000, 1000, 6000, 3000)]) / 5)
    assert found["balanced_accuracy"][1] == pytest.approx(balanced, rel=0.35)


def test_classes_count_the_same_in_the_balanced_accuracy_whatever_their_sizes():
    target = np.repeat([0, 1], [900, 100])
    logits = np.tile([1.0, 0.0], (1000, 1))
    found = judge_classes(logits, truth_of(target, ("a", "b")), (0.5,), 20, SEED).measured()
    assert found["accuracy"][0] == pytest.approx(0.9)
    assert found["balanced_accuracy"] == pytest.approx([0.5, 0.0])
    assert found["auc.a"] == pytest.approx([0.5, 0.0])


def test_a_class_is_judged_against_an_even_mixture_of_the_others():
    random = np.random.default_rng(2)
    sizes = (3000, 9000, 300)
    target = np.repeat([0, 1, 2], sizes)
    logits = np.zeros((len(target), 3))
    logits[:, 0] = random.normal(np.array([1.0, 0.0, -1.0])[target])
    found = judge_classes(logits, truth_of(target, ("a", "b", "c")), (0.5,), 60, SEED).measured()
    exact = 0.5 * (norm.cdf(1 / np.sqrt(2)) + norm.cdf(2 / np.sqrt(2)))
    value, error = found["auc.a"]
    assert abs(value - exact) < 4 * error
    # Mixed as they come, the larger class would weigh thirty times the other one.
    assert abs(value - norm.cdf(1 / np.sqrt(2))) > 8 * error


def test_differences_have_the_errors_of_what_is_not_shared():
    target, logits = symbols(0.7, (2000,) * 5)
    truth = truth_of(target)
    same = judge_classes(logits, truth, (0.5,), 40, SEED)
    again = judge_classes(logits.copy(), truth, (0.5,), 40, SEED)
    assert all(pair == [0.0, 0.0] for pair in again.minus(same).values())
    spoilt = logits.copy()
    spoilt[:50] = np.roll(logits[:50], 1, axis=1)
    difference, error = judge_classes(spoilt, truth, (0.5,), 40, SEED).minus(same)[
        "balanced_accuracy"
    ]
    assert difference < 0
    assert 0 < error < 0.5 * same.measured()["balanced_accuracy"][1]


def test_jets_of_one_event_are_drawn_together():
    target, logits = symbols(0.7, (1000,) * 5)
    twice = np.tile(target, 2), np.tile(logits, (2, 1))
    together = Truth(twice[0], np.tile(np.arange(len(target)), 2), CLASSES)
    apart = truth_of(twice[0])
    errors = [
        judge_classes(twice[1], truth, (0.5,), 100, SEED).measured()["balanced_accuracy"][1]
        for truth in (together, apart)
    ]
    assert errors[0] / errors[1] == pytest.approx(np.sqrt(2), rel=0.2)


def test_log_odds_stay_apart_where_probabilities_do_not():
    logits = np.array([[100.0, 0.0, 0.0], [101.0, 0.0, 0.0]])
    odds = performance.log_odds(logits)
    assert odds[:, 0] == pytest.approx([100 - np.log(2), 101 - np.log(2)])
    assert performance.ties(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])) == 1


def test_a_rejection_without_background_is_not_known():
    target = np.repeat([0, 1], 50)
    logits = np.stack([1.0 - target, target.astype(float)], axis=1)
    found = judge_classes(logits, truth_of(target, ("a", "b")), (0.5,), 10, SEED).measured()
    assert found["rejection.a.0.5"] == [None, None]
    assert found["auc.a"] == [1.0, 0.0]


def test_confusions_count_jets_and_sum_to_one():
    target, logits = symbols(0.7, (500, 400, 300, 200, 100))
    numbers, parts, errors = performance.confusion(logits, truth_of(target), 30, SEED)
    assert numbers.sum(axis=1).tolist() == [500, 400, 300, 200, 100]
    assert parts.sum(axis=1) == pytest.approx(np.ones(5))
    assert np.diag(parts) == pytest.approx(np.diag(numbers) / numbers.sum(axis=1))
    assert errors[4, 4] > errors[0, 0] > 0


def test_anomalies_are_judged_against_all_background_jets():
    random = np.random.default_rng(3)
    target = np.repeat([0, 1, 2], [6000, 3000, 3000])
    scores = random.normal(np.array([0.0, 1.0, 2.0])[target])
    truth = truth_of(target, ("background", "W", "zprime"))
    found = judge_anomalies(scores, truth, (0.5,), 60, SEED).measured()
    for name, shift in (("W", 1.0), ("zprime", 2.0)):
        value, error = found[f"auc.{name}"]
        assert abs(value - norm.cdf(shift / np.sqrt(2))) < 4 * error
        value, error = found[f"rejection.{name}.0.5"]
        assert abs(value - 1 / norm.sf(shift)) < 4 * error


def test_too_few_jets_are_named():
    with pytest.raises(InputError, match="no jets of class Z"):
        truth_of(np.array([0, 1, 2, 4]))
    with pytest.raises(InputError, match="replicas"):
        judge_classes(np.eye(5), truth_of(np.arange(5)), (0.5,), 4, 3)


@pytest.mark.parametrize("wrong", [(0.0,), (0.5, 0.5), (1.2,)])
def test_efficiencies_that_are_none_are_refused(wrong):
    with pytest.raises(ValidationError, match="efficiencies must lie"):
        EvaluationSettings(efficiencies=wrong)


def vectors_of(target, logits, sample=None, more=20):
    outputs = np.concatenate([logits, np.zeros((more, logits.shape[1]))])
    origin = np.repeat([JET, RANDOM, EXTREME], [len(logits), more - 5, 5]).astype(np.int8)
    number = np.arange(len(target))
    columns = {
        "target": target,
        "sample": np.zeros(len(target), int) if sample is None else sample,
        "run": number * 0,
        "luminosityBlock": number * 0,
        "event": number,
    }
    return Stimuli(np.zeros((len(outputs), 3)), outputs, origin, columns, ("qcd", "zprime"))


def test_an_equal_emulation_differs_by_exactly_nothing_and_another_one_is_judged_itself():
    target, logits = symbols(0.7, (400,) * 5)
    logits = np.round(logits * 16) / 16
    vectors = vectors_of(target, logits)
    beyond, off = vectors.outputs.copy(), vectors.outputs.copy()
    beyond[-1] += 1.0
    off[:100] = np.roll(off[:100], 1, axis=1)
    emulated = Emulated(vectors, {"hls4ml": vectors.outputs, "other": beyond, "off": off})
    jets = class_jets(vectors.columns, CLASSES)
    found = judged_model(logits, {"p": emulated}, jets, "classes", SETTINGS, SEED)
    emulations = found["points"]["p"]["emulations"]
    assert emulations["hls4ml"]["equal"] and emulations["hls4ml"]["vectors"] == 2020
    assert emulations["other"]["mismatches"] == 1 and not emulations["other"]["equal"]
    for name in ("hls4ml", "other"):
        assert set(map(tuple, emulations[name]["minus_quantised"].values())) == {(0.0, 0.0)}
    assert emulations["off"]["by_origin"]["jets"]["mismatches"] == 100
    assert emulations["off"]["minus_quantised"]["balanced_accuracy"][0] < 0
    assert found["points"]["p"]["quantised"]["minus_float"]["auc.macro"] == [0.0, 0.0]
    json.dumps(found, allow_nan=False)
    with pytest.raises(InputError, match=r"short of p: outputs of 1999 vectors"):
        short = Emulated(vectors, {"short": vectors.outputs[:1999]})
        judged_model(logits, {"p": short}, jets, "classes", SETTINGS, SEED)


def test_signals_are_classes_and_samples_without_a_class():
    target = np.array([0, 1, 2, 3, 4, -1, -1])
    sample = np.array([0, 0, 0, 0, 0, 0, 1])
    columns = vectors_of(target, np.zeros((7, 1)), sample).columns
    jets = anomaly_jets(columns, ("qcd", "zprime"), CLASSES, SETTINGS)
    assert jets.counts == {"background": 2, "W": 1, "Z": 1, "t": 1, "zprime": 1}
    assert jets.kept.tolist() == [0, 1, 2, 3, 4, 6]
    for change, words in [
        ({"signals": ("H",)}, "H cannot be a signal"),
        ({"background": ("b",)}, "b is no class"),
    ]:
        with pytest.raises(InputError, match=words):
            wrong = EvaluationSettings(**change)
            anomaly_jets(columns, ("qcd", "zprime"), CLASSES, wrong)


def trigger_file(path, sample, label, number, seed):
    random = np.random.default_rng(seed)
    scalars = {name: np.ones(number, dtype=kind) for name, kind in SCALARS.items()}
    scalars["event"] = np.arange(number, dtype=np.uint64)
    scalars["row"] = np.arange(number)
    scalars["label"] = np.array(label)[np.arange(number) % len(label)].astype(np.int8)
    features = random.normal(size=(number, 4)).astype(np.float32)
    features[:, 0] += scalars["label"]
    candidates = np.zeros((number, 1, 1), dtype=np.float32)
    names = tuple(f"x{index}" for index in range(4))
    jets = TriggerJets(features, candidates, scalars, names, ("pt",))
    trigger_jets.write(path, jets, sample)


GIVEN = {
    "seed": 3,
    "firmware": {
        "classes": {
            "q": {"samples": ["qcd"], "labels": ["light"]},
            "g": {"samples": ["qcd"], "labels": ["gluon"]},
            "t": {"samples": ["tt"], "labels": ["top"]},
        },
        "split": {"validation": 0.2, "test": 0.4},
        "stimuli": {"random": 200, "extreme": 10},
        "evaluation": {"bootstraps": 20},
        "models": {"small": {"kind": "network"}},
    },
}


@pytest.fixture(name="files")
def files_fixture(tmp_path, random_network, monkeypatch):
    """Jets, a network of random weights, its vectors and two emulations; float is the network."""
    from fullchain.firmware import stimulate

    trigger_file(tmp_path / "qcd.h5", "qcd", [0, 1], 400, 1)
    trigger_file(tmp_path / "tt.h5", "tt", [5], 300, 2)
    jets = [tmp_path / "qcd.h5", tmp_path / "tt.h5"]
    network = random_network((4, 6, 3))
    fixed_network.write(tmp_path / "network.json", network, {})
    stimulate.main(
        network=tmp_path / "network.json",
        jets=jets,
        model="small",
        vectors=tmp_path / "stimuli.h5",
        settings=Given(GIVEN),
    )
    made = stimuli.read(tmp_path / "stimuli.h5")
    stimuli.write_outputs(tmp_path / "hls4ml.h5", made.outputs, "hls4ml")
    stimuli.write_outputs(tmp_path / "verilator.h5", made.outputs, "verilator")

    def same_as_quantised(kind, trained, given):
        assert kind in ("network", "anomaly")
        return network.evaluate(given.inputs_of(network.inputs, 0))

    monkeypatch.setattr(evaluate, "float_scores", same_as_quantised)
    return tmp_path


def run(folder, settings=GIVEN, **changes):
    arguments = {
        "model": "small",
        "trained": folder / "float.pt",
        "jets": [folder / "qcd.h5", folder / "tt.h5"],
        "points": ["p"],
        "networks": [folder / "network.json"],
        "stimuli": [folder / "stimuli.h5"],
        "outputs": [folder / "hls4ml.h5", folder / "verilator.h5"],
        "evaluation": folder / "evaluation.json",
        **changes,
    }
    evaluate.main(**arguments, settings=Given(settings))
    return json.loads(arguments["evaluation"].read_text())


def test_the_step_judges_all_of_a_model(files):
    found = run(files)
    assert found["model"] == "small" and found["classes"] == ["q", "g", "t"]
    point = found["points"]["p"]
    assert set(point["emulations"]) == {"hls4ml", "verilator"}
    assert point["quantised"]["minus_float"]["balanced_accuracy"] == [0.0, 0.0]
    assert point["emulations"]["verilator"]["mismatches"] == 0
    assert point["quantised"]["ties"] > 0
    first = (files / "evaluation.json").read_bytes()
    run(files)
    assert (files / "evaluation.json").read_bytes() == first


def test_files_that_do_not_belong_together_are_named(files, random_network, monkeypatch):
    made = stimuli.read(files / "stimuli.h5").columns["target"]
    with pytest.raises(InputError, match=r"stimuli.h5: vectors of other jets .*\(\d+ jets, not"):
        run(files, settings={**GIVEN, "seed": 4})
    fixed_network.write(files / "other.json", random_network((4, 6, 3), seed=9), {})
    with pytest.raises(InputError, match=r"other.json: the test vectors are of another network"):
        run(files, networks=[files / "other.json"])
    with pytest.raises(InputError, match=r"model small: 2 points, but 1 files of vectors"):
        run(files, points=["p", "r"])
    with pytest.raises(InputError, match=r"unknown; the points are p"):
        run(files, outputs_of=["p", "r"])
    with pytest.raises(InputError, match=r"hls4ml.h5: a second file of hls4ml for the point p"):
        run(files, outputs=[files / "hls4ml.h5"] * 2)
    both = {"points": ["p", "r"], "networks": [], "stimuli": [files / "stimuli.h5"] * 2}
    with pytest.raises(InputError, match=r"1 files of outputs for 2 points"):
        run(files, outputs=[files / "hls4ml.h5"], **both)
    found = run(files, outputs=[files / "hls4ml.h5"], outputs_of=["r"], **both)
    assert found["points"]["p"]["emulations"] == {}
    monkeypatch.setattr(evaluate, "float_scores", lambda *_: np.zeros((len(made), 4)))
    with pytest.raises(InputError, match="model small, float: 4 outputs for the classes q, g, t"):
        run(files)


def test_an_unknown_kind_of_model_is_named(tmp_path):
    from fullchain.firmware.float_scores import float_scores

    with pytest.raises(InputError, match="kind 'tree': there are network, anomaly, auto"):
        float_scores("tree", tmp_path / "float.pt", None)
