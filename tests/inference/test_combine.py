"""Datacards of Combine: what is written is read back as the same model, or refused by name."""

import copy
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from fullchain.errors import InputError
from fullchain.inference import datacard
from fullchain.inference.combine_reader import files_of, read_card
from fullchain.inference.combine_writer import write_card
from fullchain.inference.likelihood import load_model
from fullchain.seeds import stream
from fullchain.step import Given

EDGES = {"pass": [0.0, 105.0, 145.0, 205.0], "fail": [0.0, 20.0, 40.0]}


def _histosys(name, up, down):
    return {"name": name, "type": "histosys", "data": {"hi_data": up, "lo_data": down}}


def _normsys(name, up, down):
    return {"name": name, "type": "normsys", "data": {"hi": up, "lo": down}}


def _simple(name, kind, data=None):
    return {"name": name, "type": kind, "data": data}


def _specification():
    """All supported modifiers, in two regions."""
    signal = [
        _simple("mu", "normfactor"),
        _simple("lumi", "lumi"),
        _normsys("jes", 1.05, 0.96),
        _histosys("jes", [4.0, 7.0, 7.0], [6.0, 5.0, 7.0]),
        _simple("mc_pass", "staterror", [0.5, 0.4, 0.3]),
    ]
    background = [
        _normsys("theory", 1.2, 1 / 1.2),
        # A yield alone, of a parameter that moves the shape elsewhere.
        _normsys("jes", 1.1, 0.93),
        _simple("mc_pass", "staterror", [3.0, 2.0, 4.0]),
    ]
    control = [
        _normsys("theory", 1.3, 0.8),
        _simple("free", "normfactor"),
        _simple("lumi", "lumi"),
        _histosys("fsr", [95.0, 205.0], [110.0, 190.0]),
    ]
    return {
        "channels": [
            {
                "name": "pass",
                "samples": [
                    {"name": "zprime", "data": [5.0, 6.0, 7.0], "modifiers": signal},
                    {"name": "qcd", "data": [50.0, 60.0, 70.0], "modifiers": background},
                ],
            },
            {
                "name": "fail",
                "samples": [{"name": "qcd", "data": [100.0, 200.0], "modifiers": control}],
            },
        ],
        "observations": [
            {"name": "pass", "data": [54.0, 67.0, 80.0]},
            {"name": "fail", "data": [102.0, 195.0]},
        ],
        "measurements": [
            {
                "name": "fit",
                "config": {
                    "poi": "mu",
                    "parameters": [
                        {"name": "mu", "inits": [1.0], "bounds": [[-5.0, 5.0]]},
                        {
                            "name": "lumi",
                            "auxdata": [1.0],
                            "sigmas": [0.014],
                            "inits": [1.0],
                            "bounds": [[0.93, 1.07]],
                        },
                        {"name": "free", "inits": [1.1], "bounds": [[0.2, 3.0]]},
                    ],
                },
            }
        ],
        "version": "1.0.0",
    }


def _write(folder: Path, specification, edges=None, groups=None) -> Path:
    text, histograms = write_card(specification, edges or EDGES, "shapes.root", groups)
    (folder / "card.txt").write_text(text)
    with uproot.recreate(folder / "shapes.root") as root:
        for path, histogram in histograms.items():
            root[path] = histogram
    return folder / "card.txt"


def _same_likelihood(first, second, points=20):
    """Equal log-likelihood at random parameters, by name."""
    one, data = load_model(first)
    two, other_data = load_model(second)
    assert set(one.config.par_names) == set(two.config.par_names)
    order = [one.config.par_names.index(name) for name in two.config.par_names]
    random = stream(4, "datacard")
    low, high = np.transpose(one.config.suggested_bounds())
    for _ in range(points):
        point = np.array(one.config.suggested_init()) + random.normal(0, 0.3, len(order))
        point = np.clip(point, np.maximum(low, -2), np.minimum(high, 2))
        expected = float(one.logpdf(point, data)[0])
        assert float(two.logpdf(point[order], other_data)[0]) == pytest.approx(expected, rel=1e-9)
    bounds = dict(zip(one.config.par_names, one.config.suggested_bounds(), strict=True))
    for name, limits in zip(two.config.par_names, two.config.suggested_bounds(), strict=True):
        assert limits == pytest.approx(bounds[name], rel=1e-6)
    inits = dict(zip(one.config.par_names, one.config.suggested_init(), strict=True))
    for name, init in zip(two.config.par_names, two.config.suggested_init(), strict=True):
        assert init == inits[name]


def test_round_trip_of_all_supported_modifiers(tmp_path):
    specification = _specification()
    groups = {"jes": "detector", "fsr": "theory", "theory": "theory", "mc_pass[0]": "MC statistics"}
    card = _write(tmp_path, specification, groups=groups)
    found, edges, read_groups = read_card(card)
    _same_likelihood(specification, found)
    assert {region: bins.tolist() for region, bins in edges.items()} == EDGES
    assert read_groups == {"jes": "detector", "fsr": "theory", "theory": "theory"}
    assert files_of(card) == [tmp_path / "shapes.root"]


def test_the_lines_are_those_of_combine(tmp_path):
    lines = _write(tmp_path, _specification()).read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith(("#", "-"))]
    found = {row[0]: row[1:] for row in rows}
    assert found["imax"][0] == "2"
    assert found["jmax"][0] == "1"
    assert found["kmax"][0] == "4"
    # asymmetric: down/up
    assert found["theory"] == ["lnN", "-", "1.2", "0.8/1.3"]
    assert found["jes"] == ["shape", "1", "1", "-"]
    assert found["fsr"] == ["shape", "-", "-", "1"]
    assert found["lumi"] == ["lnN", "1.014", "-", "1.014"]
    assert found["pass"] == ["autoMCStats", "0"]
    assert found["free"] == ["rateParam", "fail", "qcd", "1.1", "[0.2,3.0]"]
    assert ["process", "0", "1", "1"] in rows
    assert ["process", "zprime", "qcd", "qcd"] in rows
    assert any(line.startswith("# staterror: pyhf scales") for line in lines)
    with uproot.open(tmp_path / "shapes.root") as root:
        assert root["pass/data_obs"].values().tolist() == [54.0, 67.0, 80.0]
        up = root["pass/zprime_jesUp"].values()
        assert up == pytest.approx(1.05 * np.array([4.0, 7.0, 7.0]))
        assert root["pass/qcd_jesDown"].values() == pytest.approx([46.5, 55.8, 65.1])
        assert root["pass/zprime"].errors() == pytest.approx([0.5, 0.4, 0.3])


def test_a_reading_by_hand_gives_the_same_yields_at_one_standard_deviation(tmp_path):
    """Without our reader: factors from the text, templates from the file, against pyhf."""
    card = _write(tmp_path, _specification())
    rows = [line.split() for line in card.read_text().splitlines()]
    _, (_, *regions) = (row for row in rows if row[:1] == ["bin"])
    (_, *processes), _ = (row for row in rows if row[:1] == ["process"])
    model, _ = load_model(_specification())
    lines = {row[0]: row for row in rows if len(row) > 1 and row[1] in ("lnN", "shape")}
    with uproot.open(tmp_path / "shapes.root") as root:
        for (name, (_, kind, *entries)), side in itertools.product(lines.items(), (1, -1)):
            point = np.array(model.config.suggested_init())
            point[model.config.par_names.index("free")] = 1.0
            index = model.config.par_names.index(name)
            # The luminosity is a Gaussian factor here; there, down is the inverse of up.
            point[index] = 1.014**side if name == "lumi" else side
            expected = dict.fromkeys(("pass", "fail"), 0.0)
            for region, process, word in zip(regions, processes, entries, strict=True):
                values = root[f"{region}/{process}"].values()
                if kind == "shape" and word == "1":
                    suffix = "Up" if side > 0 else "Down"
                    values = root[f"{region}/{process}_{name}{suffix}"].values()
                elif word != "-":
                    down, _, up = word.rpartition("/")
                    values = values * (float(up) if side > 0 else float(down or 1 / float(up)))
                expected[region] = expected[region] + values
            found = np.asarray(model.main_model.expected_data(point))
            for region, values in expected.items():
                assert found[model.config.channel_slices[region]] == pytest.approx(values)


YIELD = st.floats(1.0, 100.0)


@settings(max_examples=12, deadline=None)
@given(
    nominal=st.lists(YIELD, min_size=3, max_size=3),
    varied=st.lists(st.floats(0.7, 1.4), min_size=6, max_size=6),
    factors=st.tuples(st.floats(0.5, 2.0), st.floats(0.5, 2.0)),
    kinds=st.sets(st.sampled_from(["normsys", "histosys", "lumi", "staterror", "normfactor"])),
)
def test_round_trip_of_random_models(tmp_path_factory, nominal, varied, factors, kinds):
    specification = _specification()
    sample = specification["channels"][0]["samples"][1]
    sample["data"] = nominal
    made = {
        "normsys": _normsys("new", *factors),
        "lumi": _simple("lumi", "lumi"),
        "staterror": _simple("mc_pass", "staterror", [0.1 * x for x in nominal]),
        "normfactor": _simple("scale", "normfactor"),
    }
    # Shapes at the nominal yield, as the stage makes them.
    total = sum(nominal)
    sides = []
    for ratios in (varied[:3], varied[3:]):
        shape = [x * r for x, r in zip(nominal, ratios, strict=True)]
        sides.append([x * total / sum(shape) for x in shape])
    made["histosys"] = _histosys("new", *sides)
    sample["modifiers"] = [made[kind] for kind in sorted(kinds)]
    folder = tmp_path_factory.mktemp("card")
    found, _, _ = read_card(_write(folder, specification))
    _same_likelihood(specification, found, points=3)


def test_a_histosys_that_changes_the_yield_is_the_same_at_one_standard_deviation(tmp_path):
    """Its yield becomes a factor, so that the likelihoods differ in between."""
    specification = _specification()
    sample = specification["channels"][1]["samples"][0]
    sample["modifiers"] = [_histosys("fsr", [120.0, 210.0], [90.0, 180.0])]
    found, _, _ = read_card(_write(tmp_path, specification))
    one, two = load_model(specification)[0], load_model(found)[0]
    for value in (-1.0, 0.0, 1.0):
        expected = []
        for model in (one, two):
            point = np.array(model.config.suggested_init())
            point[model.config.par_names.index("fsr")] = value
            expected.append(model.main_model.expected_data(point))
        assert expected[0] == pytest.approx(expected[1])


def _with(change):
    specification = copy.deepcopy(_specification())
    change(specification)
    return specification


def _add(modifier, channel=1, sample=0):
    return lambda s: s["channels"][channel]["samples"][sample]["modifiers"].append(modifier)


def _set(name, **values):
    def change(specification):
        parameters = specification["measurements"][0]["config"]["parameters"]
        parameters.append({"name": name, **values})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _add(_simple("ss", "shapesys", [1.0, 2.0])),
            "region fail, sample qcd: the shapesys 'ss' has no counterpart",
        ),
        (
            _add(_simple("sf", "shapefactor")),
            "region fail, sample qcd: the shapefactor 'sf' has no counterpart",
        ),
        (
            _add(_simple("other", "staterror", [1.0, 1.0, 1.0]), channel=0),
            "region pass has the staterrors",
        ),
        (_add(_simple("mu", "normfactor")), "sample qcd: 'mu' scales it in some regions"),
        (_add(_simple("r", "normfactor")), "a parameter is called 'r'"),
        (_add(_normsys("jes:1", 1.1, 0.9)), "the normsys 'jes:1' has characters"),
        (_add(_normsys("rate", 1.1, 0.9)), "the normsys 'rate' is called like a keyword"),
        (_add(_normsys("bad", 1.1, 0.0)), "sample qcd, bad: a yield, nominal, up or down, is not"),
        (_set("jes", fixed=True), "the parameter 'jes' is fixed"),
        (_set("lumi", sigmas=[0.1], auxdata=[0.9]), "sets auxdata of 'lumi' to"),
        (_set("theory", sigmas=[2.0]), "the measurement sets sigmas of 'theory'"),
        (
            lambda s: s["channels"][1].__setitem__("name", "control region"),
            "the region 'control region' has characters",
        ),
        (
            lambda s: s["measurements"][0]["config"].__setitem__("poi", "jes"),
            "the parameter of interest 'jes' is no normfactor",
        ),
    ],
)
def test_what_a_datacard_cannot_say_is_named(change, message):
    with pytest.raises(InputError, match=message):
        write_card(_with(change), {**EDGES, "control region": EDGES["fail"]}, "shapes.root")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("shapes.root", "other.root", "other.root: not a ROOT file"),
        ("$PROCESS_$SYSTEMATIC", "$PROCESS_x$SYSTEMATIC", "no histogram pass/zprime_xjesUp in"),
        ("$CHANNEL/$PROCESS $", "w:$PROCESS $", "is no plain histogram"),
        (" $CHANNEL/$PROCESS_$SYSTEMATIC", "", "has no name for systematics"),
        ("jes shape 1 1 -", "jes shape 0.5 1 -", "a shape with the size 0.5"),
        ("rate -1 -1 -1", "rate 7 -1 -1", "the rate is 7, but its histogram holds 18"),
        ("pass autoMCStats 0", "pass autoMCStats 500", "bin 0: 327 effective events"),
    ],
)
def test_bad_shapes_are_named(tmp_path, old, new, message):
    card = _write(tmp_path, _specification())
    text = card.read_text()
    assert old in text
    card.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message):
        read_card(card)


def test_a_threshold_below_all_bins_is_the_same_as_none(tmp_path):
    card = _write(tmp_path, _specification())
    card.write_text(card.read_text().replace("autoMCStats 0", "autoMCStats 10"))
    _same_likelihood(_specification(), read_card(card)[0])


def test_the_step_writes_the_default_model_and_one_hypothesis(analysis, tmp_path):
    hypotheses = {
        "first": {"ntuples": ["zprime"], "mass": 1000.0},
        "second": {"ntuples": ["tt_a14"], "mass": 1500.0},
    }
    analysis.build("card", hypotheses=hypotheses)
    options = {
        "workspace": analysis.out / "card.json",
        "report": analysis.out / "card_report.json",
        "patchset": analysis.out / "card_patchset.json",
        "shapes": tmp_path / "datacard_shapes.root",
        "datacard": tmp_path / "datacard.txt",
        "settings": Given({}),
    }
    specification = json.loads((analysis.out / "card.json").read_text())
    datacard.main(**options)
    _same_likelihood(specification, read_card(tmp_path / "datacard.txt")[0], points=5)
    datacard.main(**options, hypothesis="second")
    other = read_card(tmp_path / "datacard.txt")[0]
    signal = other["channels"][0]["samples"][0]
    assert signal["data"] != specification["channels"][0]["samples"][0]["data"]
    with pytest.raises(InputError, match="no patch 'third'; there are first, second"):
        datacard.main(**options, hypothesis="third")
