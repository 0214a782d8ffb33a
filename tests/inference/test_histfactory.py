"""Variations into modifiers: yields and shapes, mirroring, pruning, and what is refused."""

import numpy as np
import pyhf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fullchain.errors import InputError
from fullchain.inference import histfactory as hf

EDGES = np.array([0.0, 50.0, 100.0, 200.0])
NOMINAL = np.array([10.0, 20.0, 30.0])
POSITIVE = hnp.arrays(float, 3, elements=st.floats(0.5, 100.0))


def _modifiers(variation, nominal=NOMINAL, thresholds=None, **options):
    thresholds = thresholds or hf.Thresholds()
    return hf.modifiers_of_variation(variation, nominal, EDGES, thresholds, "pass", "tt", **options)


def _template(values, relative=0.1):
    values = np.array(values, dtype=float)
    return hf.Template(values, (relative * values) ** 2)


@given(POSITIVE, POSITIVE)
def test_yield_and_shape_together_give_the_variation_back(nominal, varied):
    ratio, shape = hf.split(nominal, varied)
    assert shape.sum() == pytest.approx(nominal.sum())
    assert ratio * shape == pytest.approx(varied)


@given(POSITIVE, POSITIVE)
def test_mirrored_shape_keeps_the_yield_and_stays_positive(nominal, varied):
    _, shape = hf.split(nominal, varied)
    reflected, clipped = hf.mirror_shape(nominal, shape)
    assert reflected.sum() == pytest.approx(nominal.sum())
    assert reflected.min() >= 0
    if not clipped:
        assert 0.5 * (reflected + shape) == pytest.approx(nominal)


def test_two_sides_become_normsys_and_histosys_of_one_name():
    up, down = NOMINAL * [1.2, 1.1, 1.0], NOMINAL * [0.9, 0.95, 1.0]
    modifiers, notes = _modifiers(hf.Variation("jes", up, down))
    assert [(one["name"], one["type"]) for one in modifiers] == [
        ("jes", "normsys"),
        ("jes", "histosys"),
    ]
    norm, shape = (one["data"] for one in modifiers)
    assert norm["hi"] == pytest.approx(up.sum() / 60)
    assert norm["hi"] * np.array(shape["hi_data"]) == pytest.approx(up)
    assert norm["lo"] * np.array(shape["lo_data"]) == pytest.approx(down)
    assert notes == []


@pytest.mark.parametrize("side", ["up", "down"])
def test_one_side_is_mirrored(side):
    varied = NOMINAL * [1.3, 1.2, 1.1]
    sides = {"up": None, "down": None, side: varied}
    modifiers, notes = _modifiers(hf.Variation("track_efficiency", **sides))
    norm, shape = (one["data"] for one in modifiers)
    assert norm["hi"] * norm["lo"] == pytest.approx(1.0)
    assert np.array(shape["hi_data"]) + shape["lo_data"] == pytest.approx(2 * NOMINAL)
    given_side = ("hi", "hi_data") if side == "up" else ("lo", "lo_data")
    assert norm[given_side[0]] * np.array(shape[given_side[1]]) == pytest.approx(varied)
    assert [(note.part, note.action) for note in notes] == [("normalisation", "mirrored")]


def test_a_mirrored_bin_below_zero_is_clipped_and_noted():
    modifiers, notes = _modifiers(hf.Variation("fsr", np.array([50.0, 5.0, 5.0]), None))
    assert min(modifiers[1]["data"]["lo_data"]) == 0.0
    assert ("shape", "clipped") in [(note.part, note.action) for note in notes]


def test_small_changes_are_pruned_and_noted():
    up, down = NOMINAL * 1.01, NOMINAL * 0.99
    modifiers, notes = _modifiers(hf.Variation("jer", up, down), thresholds=hf.Thresholds(0, 0.005))
    assert [one["type"] for one in modifiers] == ["normsys"]
    assert [(note.part, note.action) for note in notes] == [("shape", "pruned")]
    modifiers, notes = _modifiers(
        hf.Variation("jer", up, down), thresholds=hf.Thresholds(0.02, 0.005)
    )
    assert modifiers == []
    assert [note.part for note in notes] == ["normalisation", "shape"]
    assert notes[0].largest == pytest.approx(0.01)


def test_yield_alone_for_normsys_and_for_one_bin():
    up, down = NOMINAL * [1.2, 1.1, 1.0], NOMINAL * [0.9, 0.95, 1.0]
    modifiers, _ = _modifiers(hf.Variation("jes", up, down, shape=False))
    assert [one["type"] for one in modifiers] == ["normsys"]


def test_both_sides_in_one_direction_are_noted():
    _, notes = _modifiers(hf.Variation("jes", NOMINAL * 1.2, NOMINAL * 1.1))
    assert ("normalisation", "same direction") in [(note.part, note.action) for note in notes]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([10.0, -1.0, 5.0], r"tt, jes up: bin 1 \[50, 100\) holds -1"),
        ([10.0, np.nan, 5.0], r"tt, jes up: bin 1 \[50, 100\) holds nan"),
        ([10.0, 5.0], "tt, jes up: 2 bins, but the region has 3"),
        ([0.0, 0.0, 0.0], "tt: no jet is left in jes up"),
    ],
)
def test_bad_variations_name_region_sample_and_bin(values, message):
    with pytest.raises(InputError, match="region pass, sample " + message):
        _modifiers(hf.Variation("jes", np.array(values), NOMINAL))


def test_no_side_at_all_is_an_error():
    with pytest.raises(InputError, match="region pass, sample tt: there is no template of jes"):
        _modifiers(hf.Variation("jes", None, None))


def test_an_empty_variation_can_be_dropped():
    modifiers, notes = _modifiers(hf.Variation("jes", np.zeros(3), NOMINAL), drop_empty=True)
    assert modifiers == []
    assert [note.action for note in notes] == ["dropped"]


def _channel(signal, background, **options):
    samples = [
        hf.SampleInput("tt", _template(signal), modifiers=[hf.normfactor("mu")]),
        hf.SampleInput("qcd", _template(background), modifiers=[hf.log_normal("qcd", 0.2)]),
    ]
    return hf.channel("pass", samples, EDGES, hf.Thresholds(), frozenset({"tt"}), **options)


@pytest.mark.parametrize(
    ("signal", "background", "message"),
    [
        ([0, 0, 0], [1, 1, 1], "region pass, sample tt: the signal has no jet here"),
        ([1, 1, 1], [0, 0, 0], "region pass, sample qcd: no jet"),
        ([1, 0, 1], [1, 0, 1], r"region pass: no process is expected in bin 1 \[50, 100\)"),
        ([1, 1, 1], [1, -2, 1], r"region pass, sample qcd, nominal: bin 1 \[50, 100\) holds -2"),
    ],
)
def test_unusable_templates_name_region_sample_and_bin(signal, background, message):
    with pytest.raises(InputError, match=message):
        _channel(signal, background)


def test_an_empty_background_can_be_dropped_but_no_signal():
    channel, notes = _channel([1, 1, 1], [0, 0, 0], drop_empty=True)
    assert [one["name"] for one in channel["samples"]] == ["tt"]
    assert [(note.sample, note.action) for note in notes] == [("qcd", "dropped")]
    with pytest.raises(InputError, match="the signal has no jet"):
        _channel([0, 0, 0], [1, 1, 1], drop_empty=True)


def _workspace(observed):
    channel, _ = _channel([1, 2, 3], [10, 20, 30])
    for sample in channel["samples"]:
        sample["modifiers"].append(hf.lumi())
        sample["modifiers"].append(hf.staterror("mc_statistics_pass", _template(sample["data"])))
    return hf.workspace(
        [channel],
        {"pass": np.array(observed)},
        poi="mu",
        poi_range=(-5.0, 10.0),
        luminosity_uncertainty=0.014,
    )


def test_workspace_follows_the_schema_and_holds_what_was_given():
    specification = _workspace([11.0, 22.0, 33.0])
    pyhf.schema.validate(specification, "workspace.json")
    model = pyhf.Workspace(specification).model()
    assert model.config.poi_name == "mu"
    assert model.config.param_set("lumi").sigmas == [0.014]
    expected = model.main_model.expected_data(model.config.suggested_init())
    assert expected == pytest.approx([11.0, 22.0, 33.0])
    # Two samples with 10 % each add in quadrature in the bin.
    widths = [0.1 * np.hypot(s, b) / (s + b) for s, b in ((1, 10), (2, 20), (3, 30))]
    assert model.config.param_set("mc_statistics_pass").sigmas == pytest.approx(widths)


def test_data_of_another_binning_are_refused():
    with pytest.raises(InputError, match="region pass, data: 2 bins, but the samples have 3"):
        _workspace([1.0, 2.0])
