"""Events, scores and normalisation of triggers."""

import json

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.firmware.trigger_events import (
    Generated,
    events,
    level1_pt,
    normalise,
    read_generated,
)
from fullchain.firmware.trigger_jets import SCALARS, Labelled, TriggerJets
from fullchain.firmware.trigger_scores import anomaly, class_numbers, of_classes
from fullchain.firmware.trigger_settings import TriggerSettings


def jets_of(event, *, weight=None, candidates=None, names=("pt", "pt_share")):
    number = len(event)
    scalars = {name: np.zeros(number, dtype=kind) for name, kind in SCALARS.items()}
    scalars["event"] = np.array(event, dtype=np.uint64)
    scalars["weight"] = np.ones(number) if weight is None else np.array(weight)
    if candidates is None:
        candidates = np.zeros((number, 1, len(names)))
    return TriggerJets(
        np.zeros((number, 1), dtype=np.float32),
        np.asarray(candidates, dtype=np.float32),
        scalars,
        ("x",),
        tuple(names),
    )


def labelled(event, sample, samples, **more):
    number = len(event)
    return Labelled(
        jets_of(event, **more),
        np.zeros(number, dtype=np.intp),
        np.full(number, "test"),
        np.array(sample, dtype=np.intp),
        samples,
    )


def test_events_have_the_largest_score_and_the_weight_of_their_jets():
    # Event 7 of both samples: not the same one.
    jets = labelled([7, 7, 3, 7], [0, 0, 0, 1], ("qcd", "tt"), weight=[2.0, 2.0, 3.0, 5.0])
    found = events(jets)
    assert len(found) == 3
    largest = found.largest(np.array([1.0, 4.0, -2.0, -1.0]))
    assert sorted(zip(largest, found.weight, found.sample, strict=True)) == [
        (-2.0, 3.0, 0), (-1.0, 5.0, 1), (4.0, 2.0, 0),
    ]  # fmt: skip
    assert largest[found.of(("tt",), "signal")].tolist() == [-1.0]


def test_a_sample_without_events_is_named():
    found = events(labelled([1], [0], ("qcd",)))
    with pytest.raises(InputError, match=r"firmware.trigger.signals.X.*sample zprime.*qcd"):
        found.of(("zprime",), "firmware.trigger.signals.X")


def test_level1_pt_is_that_of_all_candidates():
    # Two candidates are written of a jet with 400 GeV in all; the second jet has none.
    candidates = [[[100.0, 0.25], [80.0, 0.2]], [[0.0, 0.0], [0.0, 0.0]]]
    assert level1_pt(jets_of([1, 2], candidates=candidates)).tolist() == [400.0, 0.0]
    # Shares in single precision do not make different values of equal ones.
    share = np.float32(61.25 / 611.5)
    jets = jets_of([1], candidates=[[[61.25, share]]])
    assert level1_pt(jets).tolist() == [611.5]


def test_level1_pt_without_shares_is_a_vector_sum():
    candidates = [[[30.0, 0.0], [40.0, np.pi / 2]]]
    found = level1_pt(jets_of([1], candidates=candidates, names=("pt", "dphi")))
    assert found == pytest.approx([50.0])
    with pytest.raises(InputError, match=r"pt and pt_share.*firmware.inputs.quantities"):
        level1_pt(jets_of([1], candidates=[[[1.0]]], names=("pt",)))


def test_rate_is_cross_section_times_luminosity_times_acceptance():
    # 1000 pb at 2e34: 20 Hz; 100 of the 400 generated events have a jet: 5 Hz, of which the test
    # part has two events with weights 1 and 3.
    found = events(labelled([1, 2], [0, 0], ("qcd",), weight=[1.0, 3.0]))
    chosen = found.of(("qcd",), "")
    result = normalise(chosen, found, {"qcd": 100.0}, {"qcd": Generated(1000.0, 400.0)}, 2e34)
    assert result.rate == pytest.approx(5.0)
    assert sorted(result.weight) == pytest.approx([1.25, 3.75])


def test_samples_are_added_by_their_rates():
    found = events(labelled([1, 2, 3], [0, 1, 1], ("low", "high")))
    chosen = found.of(("low", "high"), "")
    generated = {"low": Generated(1000.0, 10.0), "high": Generated(10.0, 10.0)}
    result = normalise(chosen, found, {"low": 10.0, "high": 10.0}, generated, 1e34)
    assert result.rate == pytest.approx(10.1)
    assert sorted(result.weight) == pytest.approx([0.05, 0.05, 10.0])
    with pytest.raises(InputError, match=r"cross section of high"):
        normalise(chosen, found, {}, {"low": generated["low"]}, 1e34)


def test_without_cross_section_weights_stay_and_no_rate_is_given():
    found = events(labelled([1, 2], [0, 0], ("qcd",), weight=[1.0, 3.0]))
    result = normalise(found.of(("qcd",), ""), found, {"qcd": 4.0}, {}, 2e34)
    assert result.rate is None
    assert sorted(result.weight) == [1.0, 3.0]


def test_more_weight_than_was_generated_is_an_error():
    found = events(labelled([1], [0], ("qcd",)))
    with pytest.raises(InputError, match=r"sample qcd.*all its parts"):
        normalise(np.array([0]), found, {"qcd": 500.0}, {"qcd": Generated(1.0, 400.0)}, 2e34)


def test_manifests_of_parts_are_put_together(tmp_path):
    contents = [
        {"sample": "qcd", "sum_of_weights": 100.0, "cross_section_pb": 10.0},
        {"sample": "qcd", "sum_of_weights": 300.0, "cross_section_pb": 14.0},
        {"sample": "data", "sum_of_weights": 5.0, "cross_section_pb": None},
    ]
    paths = [tmp_path / f"{number}.json" for number in range(3)]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(json.dumps(content))
    assert read_generated(paths) == {"qcd": Generated(13.0, 400.0)}
    with pytest.raises(InputError, match="no such manifest"):
        read_generated([tmp_path / "nothing.json"])
    paths[0].write_text('{"sample": "qcd"}')
    with pytest.raises(InputError, match=r"0.json: not a manifest.*cross_section_pb"):
        read_generated(paths)


def test_score_of_classes():
    logits = np.log(np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]]))
    assert of_classes(logits, [1, 3], "log_odds") == pytest.approx(np.log([0.6 / 0.4, 0.2 / 0.8]))
    # Large logits do not overflow, and the smallest of odds are told apart.
    large = np.array([[800.0, -800.0], [-900.0, 900.0]])
    assert of_classes(large, [0], "log_odds").tolist() == [1600.0, -1800.0]
    fixed = np.array([[1.25, -0.5, 3.0], [0.25, 2.0, -1.0]])
    assert of_classes(fixed, [0, 1], "margin").tolist() == [-1.75, 3.0]


def test_names_of_classes_are_checked():
    classes = ("q", "g", "t")
    assert class_numbers(("t", "q"), classes, "x") == [2, 0]
    with pytest.raises(InputError, match=r"triggers.x: b is none of the classes q, g, t"):
        class_numbers(("b",), classes, "x")
    with pytest.raises(InputError, match=r"triggers.x: takes all classes"):
        class_numbers(classes, classes, "x")


def test_anomaly_score_is_the_output_or_a_sum_of_squares():
    inputs = np.array([[1.0, 2.0], [0.0, -1.0]])
    for score in ("latent", "reconstruction"):
        assert anomaly(np.array([[0.5], [2.0]]), inputs, score).tolist() == [0.5, 2.0]
    assert anomaly(inputs, inputs, "latent").tolist() == [5.0, 1.0]
    shifted = inputs + np.array([[0.5, -0.25]])
    assert anomaly(shifted, inputs, "reconstruction").tolist() == [0.3125, 0.3125]
    with pytest.raises(InputError, match="3 outputs for 2 inputs"):
        anomaly(np.zeros((2, 3)), inputs, "reconstruction")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"fractions": [0.1, 1.0]}, "between 0 and 1"),
        ({"fractions": [], "rates": []}, "no threshold"),
        ({"rates": [-1.0]}, "positive"),
        ({"turn_on_edges": [500, 500]}, "rise"),
        ({"triggers": {"pt": ["t"]}}, "jet pT"),
        ({"triggers": {"none": []}}, "no classes"),
        ({"background": ["tt"]}, "background too"),
    ],
)
def test_settings_that_make_no_sense(given, words):
    with pytest.raises(ValueError, match=words):
        TriggerSettings.model_validate(given)
