"""Variations into modifiers: yields and shapes, smoothing, symmetry, pruning, what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fullchain.errors import InputError
from fullchain.inference import variations
from fullchain.inference.histfactory import Template
from fullchain.inference.systematic_settings import Model
from fullchain.inference.variations import Place, Variation

EDGES = np.array([0.0, 50.0, 100.0, 200.0])
PLACE = Place("pass", "tt", EDGES, "inference.analyses.search")
NOMINAL = np.array([10.0, 20.0, 30.0])
KEEP_ALL = {
    "prune_normalisation": 0.0,
    "prune_shape": 0.0,
    "prune_shape_p_value": 1.0,
    "symmetrise": "mirror",
}


def _template(values, relative=0.01):
    values = np.array(values, dtype=float)
    return Template(values, (relative * values) ** 2)


def _variation(up, down, name="jes", **options):
    sides = (None if side is None else _template(side) for side in (up, down))
    return Variation(name, *sides, **options)


def _modifiers(variation, settings=None, nominal=NOMINAL, relative=0.01):
    given_settings = Model(**{**KEEP_ALL, **(settings or {})})
    return variations.modifiers_of_variation(
        variation, _template(nominal, relative), PLACE, given_settings
    )


def _decisions(notes):
    return [(note.part, note.action) for note in notes]


@given(
    hnp.arrays(float, 3, elements=st.floats(0.5, 100.0)),
    hnp.arrays(float, 3, elements=st.floats(0.5, 100.0)),
)
def test_yield_and_shape_together_give_the_variation_back(nominal, varied):
    ratio, shape = variations.split(nominal, varied)
    assert shape.sum() == pytest.approx(nominal.sum())
    assert ratio * shape == pytest.approx(varied)


def test_two_sides_become_normsys_and_histosys_of_one_name():
    up, down = NOMINAL * [1.2, 1.1, 1.0], NOMINAL * [0.9, 0.95, 1.0]
    modifiers, notes = _modifiers(_variation(up, down))
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
    modifiers, notes = _modifiers(_variation(**sides))
    norm, shape = (one["data"] for one in modifiers)
    assert norm["hi"] * norm["lo"] == pytest.approx(1.0)
    assert np.array(shape["hi_data"]) + shape["lo_data"] == pytest.approx(2 * NOMINAL)
    given_side = ("hi", "hi_data") if side == "up" else ("lo", "lo_data")
    assert norm[given_side[0]] * np.array(shape[given_side[1]]) == pytest.approx(varied)
    assert _decisions(notes) == [("normalisation", "mirrored"), ("shape", "mirrored")]
    assert notes[0].numbers[f"given_{side}"] == pytest.approx(varied.sum() / 60 - 1)


def test_small_changes_are_pruned_and_noted_with_numbers():
    up, down = NOMINAL * 1.01, NOMINAL * 0.99
    modifiers, notes = _modifiers(_variation(up, down), {"prune_shape": 0.005})
    assert [one["type"] for one in modifiers] == ["normsys"]
    assert _decisions(notes) == [("shape", "pruned")]
    both = {"prune_normalisation": 0.02, "prune_shape": 0.005}
    modifiers, notes = _modifiers(_variation(up, down), both)
    assert modifiers == []
    assert _decisions(notes) == [("normalisation", "pruned"), ("shape", "pruned")]
    assert notes[0].numbers == pytest.approx({"largest": 0.01, "threshold": 0.02})


def test_a_change_within_the_error_of_an_alternative_sample_is_pruned():
    """A change by 10 % of a bin with an error of 20 % is nothing, with one of 1 % it is much."""
    varied = NOMINAL * [1.1, 0.95, 1.0]
    settings = {"prune_shape_p_value": 0.32}
    modifiers, notes = _modifiers(_variation(varied, None), settings, relative=0.2)
    assert [one["type"] for one in modifiers] == ["normsys"]
    pruned = next(note for note in notes if note.action == "pruned")
    assert pruned.part == "shape"
    assert pruned.numbers["p_value"] > 0.32
    modifiers, _ = _modifiers(_variation(varied, None), settings, relative=0.01)
    assert [one["type"] for one in modifiers] == ["normsys", "histosys"]
    settings = {"prune_normalisation_p_value": 0.32}
    modifiers, _ = _modifiers(_variation(varied, None), settings, relative=0.2)
    assert [one["type"] for one in modifiers] == ["histosys"]


def test_a_weight_is_not_pruned_by_significance():
    varied = NOMINAL * [1.1, 0.95, 1.0]
    settings = {"prune_shape_p_value": 0.32}
    modifiers, _ = _modifiers(_variation(varied, None, events="same"), settings, relative=0.2)
    assert [one["type"] for one in modifiers] == ["normsys", "histosys"]


def test_noise_is_smoothed_away_and_a_significant_shape_is_not():
    nominal = np.full(8, 100.0)
    place = Place("pass", "tt", np.arange(9.0), "inference.analyses.search")
    spike = nominal + np.array([0, 0, 0, 20, 0, 0, 0, -20.0])
    for relative, action in ((0.1, "smoothed"), (0.01, "not smoothed")):
        modifiers, notes = variations.modifiers_of_variation(
            Variation("tune", _template(spike, relative), None, smoothing="353qh"),
            _template(nominal, relative),
            place,
            Model(**KEEP_ALL),
        )
        assert ("shape", action) in _decisions(notes)
        shape = next(one["data"]["hi_data"] for one in modifiers if one["type"] == "histosys")
        expected = spike if action == "not smoothed" else nominal
        assert shape[3] == pytest.approx(expected[3], rel=0.02)
    numbers = next(note.numbers for note in notes if note.action == "not smoothed")
    assert numbers["p_value"] < 0.01
    assert numbers["up_before"] == pytest.approx(0.2)


def test_two_bins_are_not_smoothed():
    place = Place("pass", "tt", np.arange(3.0), "inference.analyses.search")
    _, notes = variations.modifiers_of_variation(
        Variation("tune", _template([12.0, 8.0]), None, smoothing="353qh"),
        _template([10.0, 10.0]),
        place,
        Model(**KEEP_ALL),
    )
    assert ("shape", "too few bins to smooth") in _decisions(notes)


def test_yield_alone_for_normsys():
    up, down = NOMINAL * [1.2, 1.1, 1.0], NOMINAL * [0.9, 0.95, 1.0]
    modifiers, _ = _modifiers(_variation(up, down, shape=False))
    assert [one["type"] for one in modifiers] == ["normsys"]


def test_both_sides_in_one_direction_are_noted_or_an_error():
    variation = _variation(NOMINAL * 1.2, NOMINAL * 1.1)
    _, notes = _modifiers(variation)
    assert _decisions(notes) == [("normalisation", "same side")]
    assert notes[0].numbers["given_up"] == pytest.approx(0.2)
    message = r"region pass, sample tt, jes: up and down change the normalisation the same way, by "
    with pytest.raises(InputError, match=message + r"20 % and 10 %.*analyses.search.systematics"):
        _modifiers(variation, {"on_same_side": "error"})
    shape = _variation(NOMINAL * [1.2, 0.9, 1.0], NOMINAL * [1.1, 0.95, 1.0])
    message = r"jes: up and down change the shape the same way, .* \(most in bin 0 \[0, 50\)\)"
    with pytest.raises(InputError, match=message):
        _modifiers(shape, {"on_same_side": "error"})


def test_a_variation_that_changes_nothing_gives_no_modifier():
    modifiers, notes = _modifiers(_variation(NOMINAL.copy(), NOMINAL.copy()))
    assert modifiers == []
    assert _decisions(notes) == [("systematic", "no effect")]
    modifiers, notes = _modifiers(_variation(NOMINAL * 1.1, NOMINAL.copy()))
    assert modifiers[0]["data"]["lo"] == pytest.approx(1.0)
    assert ("down", "no effect") in _decisions(notes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([10.0, -1.0, 5.0], r"tt, jes up: bin 1 \[50, 100\) holds -1.*search.model.on_negative"),
        ([10.0, np.nan, 5.0], r"tt, jes up: bin 1 \[50, 100\) holds nan"),
        ([10.0, np.inf, 5.0], r"tt, jes up: bin 1 \[50, 100\) holds inf"),
        ([10.0, 5.0], "tt, jes up: 2 bins, but the region has 3"),
        ([0.0, 0.0, 0.0], "tt: no jet is left in jes up"),
    ],
)
def test_bad_variations_name_region_sample_and_bin(values, message):
    with pytest.raises(InputError, match="region pass, sample " + message):
        _modifiers(_variation(values, NOMINAL))


def test_negative_bins_can_be_clipped_at_the_same_yield():
    modifiers, notes = _modifiers(_variation([12.0, 30.0, -2.0], NOMINAL), {"on_negative": "clip"})
    shape = next(one["data"] for one in modifiers if one["type"] == "histosys")
    assert shape["hi_data"][2] == 0.0
    assert modifiers[0]["data"]["hi"] == pytest.approx(40 / 60)
    assert notes[0].action == "clipped"
    assert notes[0].numbers == {"bin": 2, "value": -2.0, "bins": 1}
    with pytest.raises(InputError, match="yield of the whole region is not positive"):
        _modifiers(_variation([1.0, 1.0, -5.0], NOMINAL), {"on_negative": "clip"})


def test_no_side_at_all_is_an_error():
    with pytest.raises(InputError, match="region pass, sample tt: there is no template of jes"):
        _modifiers(_variation(None, None))


def test_an_empty_variation_can_be_dropped():
    modifiers, notes = _modifiers(_variation(np.zeros(3), NOMINAL), {"on_empty": "drop"})
    assert modifiers == []
    assert _decisions(notes) == [("up", "dropped")]
