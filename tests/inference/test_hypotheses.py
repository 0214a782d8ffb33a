"""Signal hypotheses: each patched workspace is the model that is built for it alone."""

import json

import cabinetry
import numpy as np
import pyhf
import pytest

from fullchain.errors import InputError
from fullchain.inference.likelihood import load_model
from fullchain.inference.patches import difference
from fullchain.inference.workspace import main
from fullchain.step import Given

HYPOTHESES = {
    "first": {"ntuples": ["zprime"], "mass": 1000.0, "cross_section_pb": 50.0},
    # Other samples serve as resonances: one with shower weights, one without.
    "second": {"ntuples": ["tt_a14"], "mass": 1500.0},
    "third": {"ntuples": ["qcd_a14"], "mass": 2000.0, "cross_section_pb": 0.5},
}
LINES = {
    "lumi": {"kind": "lumi"},
    "mc": {"kind": "staterror"},
    "jes": {"kind": "histosys", "shift": "jes"},
    "jer": {"kind": "histosys", "shift": "jer"},
    "tt_rate": {"kind": "normsys", "value": 0.1, "samples": ["tt"], "group": "theory"},
    "isr": {"kind": "histosys", "weight": "isr", "samples": ["tt"], "regions": ["fail"]},
}
DATA = {"kind": "asimov", "mu": 0.0}


@pytest.fixture(scope="module")
def built(analysis):
    base = analysis.build("hypotheses", systematics=LINES, hypotheses=HYPOTHESES, data=DATA)
    patches = json.loads((analysis.out / "hypotheses_patchset.json").read_text())
    return base, patches, analysis.report("hypotheses")


def test_the_patchset_follows_the_schema_and_knows_its_workspace(built):
    base, patches, report = built
    patchset = pyhf.PatchSet(patches)
    patchset.verify(pyhf.Workspace(base))
    assert patchset.labels == ["mass", "name"]
    assert patchset[(1500.0, "second")].name == "second"
    assert [(h["name"], h["patch"], h["mass"]) for h in report["hypotheses"]] == [
        ("first", None, 1000.0),
        ("second", "second", 1500.0),
        ("third", "third", 2000.0),
    ]
    # The second takes the cross section of its manifest.
    assert [h["cross_section_pb"] for h in report["hypotheses"]] == [50.0, 1.6, 0.5]
    assert [h["samples"] for h in report["hypotheses"]] == [["zprime"], ["tt_a14"], ["qcd_a14"]]


@pytest.mark.parametrize("name", list(HYPOTHESES))
def test_a_patched_workspace_is_the_one_built_for_the_hypothesis(analysis, built, name):
    base, patches, _ = built
    alone = analysis.build(
        "alone", systematics=LINES, hypotheses={name: HYPOTHESES[name]}, data=DATA
    )
    patched = dict(pyhf.PatchSet(patches).apply(pyhf.Workspace(base), name))
    assert patched == alone
    model, data = load_model(patched)
    other, other_data = load_model(alone)
    assert model.config.par_names == other.config.par_names
    point = np.array(model.config.suggested_init()) + 0.05
    assert model.logpdf(point, data) == other.logpdf(point, other_data)


def test_limited_simulation_is_that_of_the_samples_of_the_hypothesis(built):
    """The width of each bin comes from all samples together, the signal of the patch included."""
    base, patches, _ = built
    for name in HYPOTHESES:
        patched = pyhf.PatchSet(patches).apply(pyhf.Workspace(base), name)
        model, _ = load_model(patched)
        for channel in patched["channels"]:
            variance = total = 0.0
            for sample in channel["samples"]:
                total += np.array(sample["data"])
                (errors,) = (m["data"] for m in sample["modifiers"] if m["type"] == "staterror")
                variance += np.array(errors) ** 2
            widths = model.config.param_set(f"mc_{channel['name']}").sigmas
            assert widths == pytest.approx(np.sqrt(variance) / total)


def test_a_patch_replaces_the_signal_and_nothing_else(built):
    base, patches, _ = built
    assert patches["patches"][0]["patch"] == []
    for patch in patches["patches"][1:]:
        assert {one["op"] for one in patch["patch"]} == {"replace"}
        assert {one["value"]["name"] for one in patch["patch"]} == {"zprime"}
        assert len(patch["patch"]) == len(base["channels"])


def test_one_hypothesis_alone_gives_a_patchset_too(analysis):
    base = analysis.build("alone", systematics=LINES)
    patches = json.loads((analysis.out / "alone_patchset.json").read_text())
    assert dict(pyhf.PatchSet(patches).apply(pyhf.Workspace(base), "zprime")) == base
    report = analysis.report("alone")
    assert report["hypotheses"][0]["mass"] is None
    assert report["hypotheses"][0]["cross_section_pb"] == 50.0


def test_cabinetry_reads_workspace_and_patched_workspace(analysis, built):
    base, patches, _ = built
    for specification in (base, dict(pyhf.PatchSet(patches).apply(pyhf.Workspace(base), "third"))):
        model, data = cabinetry.model_utils.model_and_data(specification)
        assert model.config.poi_name == "mu"
        assert len(data) == sum(len(one["data"]) for one in base["observations"]) + len(
            model.config.auxdata
        )


def test_groups_name_every_nuisance_parameter_once(built):
    base, _, report = built
    model, _ = load_model(base)
    assert set(report["groups"]) == set(model.config.par_names) - {"mu"}
    groups = report["groups"]
    assert groups["lumi"] == "luminosity"
    assert groups["jes"] == "detector"
    assert groups["tt_rate"] == "theory"
    assert groups["isr"] == "theory"
    assert groups["mc_pass[0]"] == "MC statistics"


def test_lines_act_in_their_regions_only(built):
    base, _, _ = built
    where = {
        channel["name"]
        for channel in base["channels"]
        for sample in channel["samples"]
        for modifier in sample["modifiers"]
        if modifier["name"] == "isr"
    }
    assert where == {"fail"}


SIMPLE = {
    "channels": [
        {"name": "a", "samples": [{"name": n, "data": [1.0], "modifiers": []} for n in "sxy"]}
    ],
    "observations": [{"name": "a", "data": [3.0]}],
    "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
    "version": "1.0.0",
}


@pytest.mark.parametrize("names", ["sxy", "sy", "xy", "zsxy", "sxzy", "z", "yxs", "yq", ""])
def test_any_change_of_samples_is_a_patch(names):
    import jsonpatch

    other = json.loads(json.dumps(SIMPLE))
    other["channels"][0]["samples"] = [{"name": n, "data": [2.0], "modifiers": []} for n in names]
    other["measurements"][0]["config"]["poi"] = "strength"
    assert jsonpatch.apply_patch(SIMPLE, difference(SIMPLE, other)) == other


def test_a_hypothesis_without_jets_is_named(analysis):
    given = analysis.given(hypotheses={"none": {"ntuples": ["qcd_cp5"], "mass": 1.0}})
    with pytest.raises(InputError, match="no template of sample 'qcd_cp5'"):
        main(
            analysis="search",
            templates=analysis.out / "templates.root",
            summary=analysis.out / "templates.json",
            workspace_json=analysis.out / "x.json",
            report=analysis.out / "y.json",
            patchset=analysis.out / "z.json",
            settings=Given(given.values),
        )
