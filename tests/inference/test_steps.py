"""The steps on files: yields, what is refused, and that equal input gives equal bytes."""

import json
import shutil

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from fullchain.errors import InputError
from fullchain.inference.analysis_settings import Analysis
from fullchain.inference.template_file import read_templates


def _yield(specification, region, sample):
    channel = next(one for one in specification["channels"] if one["name"] == region)
    return sum(next(one["data"] for one in channel["samples"] if one["name"] == sample))


def _leading_in_window(rows):
    return (rows["variation"] == "nominal") & (rows["pt"] >= 500) & (rows["pt"] < 700)


def test_templates_conserve_the_weights_of_the_jets(analysis):
    """Regions together hold the weight in the window, scaled for the training split."""
    templates, _ = read_templates(analysis.out / "templates.root")
    for sample, trained_on in (("qcd", True), ("wjet", False)):
        filled = sum(
            templates[region, sample, "nominal"].values.sum() for region in ("pass", "fail")
        )
        tables = sorted((analysis.root / "jets" / sample).glob("*.parquet"))
        columns = ["event", "variation", "pt", "weight"]
        rows = {
            name: np.concatenate([pq.read_table(path)[name].to_numpy() for path in tables])
            for name in columns
        }
        inside = _leading_in_window(rows)
        kept = rows["event"] % 4 != 0 if trained_on else np.ones_like(inside)
        nominal = rows["variation"] == "nominal"
        scale = rows["weight"][nominal].sum() / rows["weight"][nominal & kept].sum()
        expected = scale * rows["weight"][inside & kept].sum() / (0.5 * 3000)
        assert filled == pytest.approx(expected, rel=1e-12)


def test_templates_hold_all_variations_and_no_weight_that_is_absent(analysis):
    templates, _ = read_templates(analysis.out / "templates.root")
    of_tt = {variation for _, sample, variation in templates if sample == "tt"}
    assert "shift_jes_up" in of_tt
    assert "shift_track_efficiency_down" in of_tt
    assert "weight_isr_up" in of_tt
    summary = json.loads((analysis.out / "templates.json").read_text())
    assert summary["samples"]["wjet"]["absent"] == [
        "weight_fsr_down", "weight_fsr_up", "weight_isr_down", "weight_isr_up",
    ]  # fmt: skip
    assert ("pass", "wjet", "weight_isr_up") not in templates
    mass = {"name": "msoftdrop", "unit": "GeV"}
    assert summary["observable"] == {"pass": mass, "fail": mass}


def test_the_score_cut_holds_on_jets_it_was_not_set_on(analysis):
    found = json.loads((analysis.out / "templates.json").read_text())["working_point"]
    target = found["target_efficiency"]
    assert 0 < found["validation"]["efficiency"] <= target
    test = found["test"]
    both = np.hypot(test["uncertainty"], found["validation"]["uncertainty"])
    assert abs(test["efficiency"] - target) < 4 * both


def test_templates_have_variances_of_weighted_events(analysis):
    with uproot.open(analysis.out / "templates.root") as file:
        histogram = file["fail/wjet/nominal"]
        # All jets have the weight 0.5 / 1500: the variance is weight times sum.
        assert histogram.variances() == pytest.approx(histogram.values() / 3000)


@pytest.fixture(scope="module")
def one_per_fb(analysis):
    """The expectation for a luminosity of 1/fb."""
    return analysis.build("one_per_fb", data={"kind": "asimov"}, luminosity={"value": 1.0})


@settings(max_examples=8, deadline=None)
@given(factor=st.floats(0.01, 100.0))
def test_luminosity_scales_all_yields(analysis, one_per_fb, factor):
    one = one_per_fb
    other = analysis.build("scaled", data={"kind": "asimov"}, luminosity={"value": factor})
    for region in ("pass", "fail"):
        for sample in ("zprime", "tt", "qcd", "wjet"):
            assert _yield(other, region, sample) == pytest.approx(
                factor * _yield(one, region, sample)
            )
    for before, after in zip(one["observations"], other["observations"], strict=True):
        assert after["data"] == pytest.approx(factor * np.array(before["data"]))


def test_yields_are_cross_section_times_luminosity_times_efficiency(analysis):
    """The cross section is that of the manifest, or that of the settings in its place."""
    templates, _ = read_templates(analysis.out / "templates.root")
    specification = analysis.build("yields", luminosity={"value": 2.0})
    for sample, cross_section in (("tt", 1.5), ("zprime", 50.0)):
        efficiency = templates["pass", sample, "nominal"].values.sum()
        expected = cross_section * 1000 * 2.0 * efficiency
        assert _yield(specification, "pass", sample) == pytest.approx(expected)
    samples = Analysis().model_dump(mode="json")["samples"]
    samples["tt"]["cross_section_pb"] = 3.0
    other = analysis.build("yields", luminosity={"value": 2.0}, samples=samples)
    assert _yield(other, "pass", "tt") == pytest.approx(2 * _yield(specification, "pass", "tt"))
    for sample in ("zprime", "qcd", "wjet"):
        assert _yield(other, "pass", sample) == _yield(specification, "pass", sample)


def test_the_strength_scales_the_signal_and_nothing_else(analysis):
    """Whichever process is the signal: the default one, or top pairs."""
    top = {"tt": {"ntuples": ["tt"], "role": "signal"}, "qcd": {"ntuples": ["qcd"]}}
    lines = {"mc": {"kind": "staterror"}}
    for changes, signal in (({}, "zprime"), ({"samples": top, "systematics": lines}, "tt")):
        for mu in (0.0, 1.0, 3.0):
            made = analysis.build("strength", data={"kind": "asimov", "mu": mu}, **changes)
            assert analysis.report("strength")["signals"] == [signal]
            for channel, observed in zip(made["channels"], made["observations"], strict=True):
                expected = sum(
                    (mu if one["name"] == signal else 1.0) * np.array(one["data"])
                    for one in channel["samples"]
                )
                assert observed["data"] == pytest.approx(expected)
                scaled = {
                    one["name"]
                    for one in channel["samples"]
                    for modifier in one["modifiers"]
                    if modifier["type"] == "normfactor"
                }
                assert scaled == {signal}


def test_a_process_of_two_samples_is_their_sum(analysis):
    samples = {
        "zprime": {"ntuples": ["zprime"], "role": "signal", "cross_section_pb": 50.0},
        "other": {"ntuples": ["qcd", "wjet"]},
    }
    lines = {
        "jes": {"kind": "histosys", "shift": "jes"},
        "mc": {"kind": "staterror"},
    }
    one = analysis.build("sum", systematics=lines)
    both = analysis.build("sum", samples=samples, systematics=lines)
    assert _yield(both, "fail", "other") == pytest.approx(
        _yield(one, "fail", "qcd") + _yield(one, "fail", "wjet")
    )


def test_bins_with_little_simulation_are_merged(analysis):
    coarse = analysis.build("merged", model={"largest_simulation_error": 0.16})
    report = analysis.report("merged")
    assert len(report["edges"]["fail"]) < len(report["filled_edges"]["fail"])
    for channel in coarse["channels"]:
        bins = len(report["edges"][channel["name"]]) - 1
        assert {len(one["data"]) for one in channel["samples"]} == {bins}
    fine = analysis.build("fine", model={"largest_simulation_error": 10.0})
    for region in ("pass", "fail"):
        assert _yield(coarse, region, "qcd") == pytest.approx(_yield(fine, region, "qcd"))


def test_fit_of_the_expectation_gives_it_back(analysis):
    analysis.build("asimov", data={"kind": "asimov", "mu": 1.0})
    found = analysis.fit("asimov")["data"]
    values = {one["name"]: one for one in found["parameters"]}
    assert values["mu"]["value"] == pytest.approx(1.0, abs=1e-3)
    pulls = [one["pull"] for one in found["parameters"] if one["pull"] is not None]
    assert pulls == pytest.approx([0.0] * len(pulls), abs=2e-3)
    assert found["goodness_of_fit"]["p_value"] > 0.999
    for region in found["regions"].values():
        before, after = (region[when]["samples"]["total"] for when in ("prefit", "postfit"))
        assert after["values"] == pytest.approx(before["values"], rel=1e-3)


PSEUDO_DATA = {"kind": "pseudo", "mu": 1.5}


@pytest.fixture(scope="module")
def fitted(analysis):
    """The default model with pseudo-data, fitted: files that begin with `once`."""
    analysis.build("once", data=PSEUDO_DATA)
    analysis.fit("once")
    return analysis


def test_fit_of_pseudo_data_covers_what_was_put_in(fitted):
    found = json.loads((fitted.out / "once_fit.json").read_text())["data"]
    mu = next(one for one in found["parameters"] if one["name"] == "mu")
    assert abs(mu["value"] - 1.5) < 4 * mu["uncertainty"]
    assert mu["minos"][0] < 0 < mu["minos"][1]


def test_equal_input_gives_equal_bytes(fitted):
    first = fitted.fill().read_bytes()
    summary = (fitted.out / "templates.json").read_bytes()
    assert fitted.fill().stat().st_size == len(first)
    assert (fitted.out / "templates.json").read_bytes() == summary
    fitted.build("twice", data=PSEUDO_DATA)
    fitted.fit("twice")
    for kind in ("", "_report", "_fit"):
        once, twice = (fitted.out / f"{name}{kind}.json" for name in ("once", "twice"))
        assert once.read_bytes() == twice.read_bytes()


def test_recorded_data_are_counted_unweighted(analysis):
    data = {"kind": "sample", "sample": "qcd_a14"}
    analysis.out, kept = analysis.root / "recorded", analysis.out
    try:
        # Nothing else may be made of the sample.
        analysis.fill(data=data, systematics={})
        specification = analysis.build(data=data, systematics={})
        summary = json.loads((analysis.out / "templates.json").read_text())
    finally:
        analysis.out = kept
    total = sum(sum(one["data"]) for one in specification["observations"])
    assert total == pytest.approx(sum(summary["samples"]["qcd_a14"]["events_selected"].values()))
    assert summary["samples"]["qcd_a14"]["kept_fraction"] == 1.0


def test_the_score_itself_can_be_the_observable(analysis):
    region = {"observable": "score", "edges": (0.0, 0.3, 0.6, 1.0)}
    analysis.out, kept = analysis.root / "score", analysis.out
    try:
        path = analysis.fill(selection={"regions": {"all": region}})
    finally:
        analysis.out = kept
    templates, edges = read_templates(path)
    assert edges["all"].tolist() == [0.0, 0.3, 0.6, 1.0]
    top, background = (templates["all", one, "nominal"].values for one in ("tt", "qcd"))
    assert np.argmax(top) == 2
    assert np.argmax(background) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"systematics": {"isr": {"kind": "normsys", "weight": "isr", "samples": ["wjet"]}}},
            r"region pass, sample wjet: no template weight_isr_up .* one everywhere",
        ),
        (
            {"systematics": {"jms": {"kind": "histosys", "shift": "jms", "samples": ["tt"]}}},
            "region pass, sample tt: no template shift_jms_up .*it has shift_jer_down",
        ),
        (
            {"samples": {"tt": {"ntuples": ["tt_cp5"], "role": "signal"}}, "systematics": {}},
            "region pass: there is no template of sample 'tt_cp5'",
        ),
        (
            {"model": {"largest_simulation_error": 0.01}},
            "region pass: in one bin for all, limited simulation",
        ),
        (
            {"data": {"kind": "sample", "sample": "run2025"}},
            "region pass: there is no template of the data sample 'run2025'",
        ),
    ],
)
def test_what_is_missing_is_named(analysis, changes, message):
    with pytest.raises(InputError, match=message):
        analysis.build("missing", **changes)


def _copy(analysis, tmp_path):
    root = tmp_path / "copy"
    for folder in ("jets", "tagging", "ntuples"):
        shutil.copytree(analysis.root / folder, root / folder)
    return type(analysis)(root)


def _rewrite(path, change):
    pq.write_table(change(pq.read_table(path)), path)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("tagging/pfn/scores/tt.parquet", lambda t: t.slice(1), "row 0 is not the jet in row 0"),
        ("tagging/pfn/scores/tt.parquet", lambda t: t.slice(0, 17000), "ends at row 17000"),
        ("jets/tt/0001.parquet", lambda t: t.slice(0, 8000), "has 18000 rows, the 2 parts"),
        ("jets/tt/0000.parquet", lambda t: t.drop_columns("msoftdrop"), "no column msoftdrop;"),
        ("tagging/pfn/scores/tt.parquet", lambda t: t.drop_columns("split"), "no column split;"),
    ],
)
def test_files_that_do_not_fit_are_named(analysis, tmp_path, file, change, message):
    copy = _copy(analysis, tmp_path)
    _rewrite(copy.root / file, change)
    with pytest.raises(InputError, match=message) as caught:
        copy.fill()
    assert "tt" in str(caught.value)


def test_missing_files_are_named(analysis, tmp_path):
    copy = _copy(analysis, tmp_path)
    (copy.root / "tagging/pfn/scores/wjet.parquet").unlink()
    with pytest.raises(InputError, match="sample 'wjet' has jets but no scores"):
        copy.fill()
    shutil.rmtree(copy.root / "jets/wjet")
    (copy.root / "ntuples/qcd/manifest.json").unlink()
    with pytest.raises(InputError, match="sample 'qcd' has jets but no manifest"):
        copy.fill()


def test_a_file_that_is_no_parquet_is_named(analysis, tmp_path):
    copy = _copy(analysis, tmp_path)
    path = copy.root / "jets/tt/0000.parquet"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"0000.parquet: not a Parquet file"):
        copy.fill()


def test_a_sample_without_jets_outside_training_is_named(analysis, tmp_path):
    copy = _copy(analysis, tmp_path)
    path = copy.root / "tagging/pfn/scores/tt.parquet"
    _rewrite(
        path,
        lambda t: t.set_column(
            t.column_names.index("split"),
            "split",
            pc.utf8_replace_slice(t["split"], 0, 10, "train"),
        ),
    )
    with pytest.raises(
        InputError, match="sample tt: no events are left outside the training split"
    ):
        copy.fill()


def test_a_manifest_without_weights_is_named(analysis, tmp_path):
    copy = _copy(analysis, tmp_path)
    path = copy.root / "ntuples/tt/manifest.json"
    path.write_text(path.read_text().replace('"sum_of_weights": 1500.0', '"sum_of_weights": 0.0'))
    with pytest.raises(InputError, match=r"manifest.json: the sum of weights is 0.0"):
        copy.fill()
