"""A user's own workspace or datacard: taken in unchanged, or refused with the reason."""

import copy
import json

import numpy as np
import pyhf
import pytest

from fullchain.errors import InputError
from fullchain.inference import adopt, datacard
from fullchain.inference.combine_reader import read_card
from fullchain.inference.likelihood import load_model
from fullchain.step import Given


def _normfactor(name="mu"):
    return {"name": name, "type": "normfactor", "data": None}


JES = {"hi_data": [55.0, 60.0], "lo_data": [46.0, 61.0]}
BACKGROUND = {
    "name": "b",
    "data": [50.0, 60.0],
    "modifiers": [
        {"name": "jes", "type": "histosys", "data": JES},
        {"name": "xsec", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}},
        {"name": "stat", "type": "staterror", "data": [3.0, 3.0]},
        {"name": "theory", "type": "normsys", "data": {"hi": 1.1, "lo": 1.05}},
    ],
}
SIGNAL = {"name": "s", "data": [5.0, 8.0], "modifiers": [_normfactor()]}


def _measurement(name, poi="mu"):
    return {"name": name, "config": {"poi": poi, "parameters": []}}


def _workspace(*samples):
    return {
        "channels": [{"name": "sr", "samples": list(samples)}],
        "observations": [{"name": "sr", "data": [52.0, 70.0]}],
        "measurements": [_measurement("m"), _measurement("other")],
        "version": "1.0.0",
    }


FULL = _workspace(BACKGROUND, SIGNAL)


def _patchset(base):
    def patch(mass, scale):
        signal = {**SIGNAL, "data": [scale * x for x in SIGNAL["data"]]}
        return {
            "metadata": {"name": f"m{mass}", "values": [mass]},
            "patch": [{"op": "add", "path": "/channels/0/samples/0", "value": signal}],
        }

    return {
        "metadata": {
            "references": {"hepdata": "ins1234567"},
            "digests": {"sha256": pyhf.utils.digest(base, algorithm="sha256")},
            "labels": ["mass"],
            "description": "signals",
        },
        "patches": [patch(500, 2.0), patch(800, 1.0), patch(1000, 0.5)],
        "version": "1.0.0",
    }


class Adopted:
    def __init__(self, folder):
        self.folder = folder

    def __call__(
        self, content, patches=None, files=(), name="mine", source="mine.json", **settings
    ):
        path = self.folder / source
        if content is not None:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        if patches is not None:
            (self.folder / "patches.json").write_text(json.dumps(patches))
            settings["patchset"] = "patches.json"
        values = {"path": source, "luminosity": 36.0, **settings}
        adopt.main(
            source=path,
            patches=None if patches is None else self.folder / "patches.json",
            files=list(files),
            name=name,
            workspace_json=self.folder / "workspace.json",
            report=self.folder / "model.json",
            patchset=self.folder / "patchset.json",
            settings=Given({"inference": {"workspaces": {name: values}}}),
        )
        return tuple(
            json.loads((self.folder / f"{one}.json").read_text())
            for one in ("workspace", "model", "patchset")
        )


@pytest.fixture
def adopted(tmp_path):
    return Adopted(tmp_path)


def test_a_workspace_is_taken_in_with_one_measurement(adopted):
    workspace, report, patchset = adopted(
        FULL,
        measurement="other",
        edges={"sr": (0.0, 100.0, 500.0)},
        observables={"sr": {"name": "m_jj", "unit": "GeV"}},
        groups={"theory": "theory"},
        cross_sections_pb={"mine": 0.3},
    )
    assert workspace == {**FULL, "measurements": [FULL["measurements"][1]]}
    assert report["edges"] == {"sr": [0.0, 100.0, 500.0]}
    assert report["observable"] == {"sr": {"name": "m_jj", "unit": "GeV"}}
    assert report["luminosity"] == 36.0
    assert report["blind"] is False
    assert report["signals"] == ["s"]
    assert report["groups"] == {
        "jes": "detector",
        "xsec": "normalisation",
        "theory": "theory",
        "stat[0]": "MC statistics",
        "stat[1]": "MC statistics",
    }
    assert report["hypotheses"] == [
        {
            "name": "mine",
            "patch": None,
            "mass": None,
            "cross_section_pb": 0.3,
            "samples": ["s"],
            "notes": [],
        }
    ]
    assert [(n["systematic"], n["action"]) for n in report["notes"]] == [("theory", "same side")]
    pyhf.PatchSet(patchset).verify(pyhf.Workspace(workspace))


def test_patches_become_hypotheses_of_the_first(adopted):
    base = _workspace(BACKGROUND)
    given = _patchset(base)
    workspace, report, patchset = adopted(base, given)
    assert [(h["name"], h["patch"], h["mass"]) for h in report["hypotheses"]] == [
        ("m500", None, 500.0),
        ("m800", "m800", 800.0),
        ("m1000", "m1000", 1000.0),
    ]
    theirs, ours = pyhf.PatchSet(given), pyhf.PatchSet(patchset)
    assert patchset["metadata"]["references"]["hepdata"] == "ins1234567"
    for name in ("m500", "m800", "m1000"):
        expected = dict(theirs.apply(pyhf.Workspace(base), name))
        expected["measurements"] = expected["measurements"][:1]
        assert dict(ours.apply(pyhf.Workspace(workspace), name)) == expected


def test_the_data_of_a_blind_workspace_are_not_used(adopted):
    workspace, report, _ = adopted(FULL, blind=True)
    assert workspace["observations"][0]["data"] == pytest.approx([55.0, 68.0])
    assert report["blind"] is True


def _changed(change):
    content = copy.deepcopy(FULL)
    change(content)
    return content


def _sample(content, index=0):
    return content["channels"][0]["samples"][index]


def _second_region(content):
    factor = {"name": "free", "type": "shapefactor", "data": None}
    _sample(content)["modifiers"].append(factor)
    other = {"name": "b", "data": [1.0, 2.0, 3.0], "modifiers": [factor]}
    content["channels"].append({"name": "cr", "samples": [other]})
    content["observations"].append({"name": "cr", "data": [1.0, 2.0, 3.0]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("version"), "does not follow pyhf's schema.*version"),
        (
            lambda c: c["observations"][0].update(name="x"),
            "region sr: the workspace has no observation",
        ),
        (lambda c: c["observations"][0]["data"].append(1.0), "region sr, data: 3 bins"),
        (
            lambda c: c["observations"][0].__setitem__("data", [1.0, float("nan")]),
            "region sr, data: bin 1 holds nan",
        ),
        (lambda c: _sample(c)["data"].append(1.0), "region sr, sample b, jes up: 2 bins, but"),
        (lambda c: _sample(c, 1)["data"].append(1.0), "region sr, sample s: 3 bins, but"),
        (
            lambda c: _sample(c).__setitem__("data", [-1.0, 2.0]),
            "region sr, sample b: bin 0 holds -1; .*workspaces.mine.on_negative",
        ),
        (
            lambda c: _sample(c)["modifiers"][0]["data"]["lo_data"].__setitem__(1, float("nan")),
            "region sr, sample b, jes down: bin 1 holds nan",
        ),
        (
            lambda c: _sample(c)["modifiers"][1]["data"].__setitem__("lo", 0.0),
            "region sr, sample b, xsec: the factor lo is 0",
        ),
        (
            lambda c: _sample(c)["modifiers"].append(_sample(c)["modifiers"][0]),
            "sample b: it has the histosys 'jes' twice",
        ),
        (
            lambda c: c["channels"][0]["samples"].pop(),
            "measurement 'm': its parameter of interest 'mu' changes no sample",
        ),
        (_second_region, "shapefactor 'free': region sr has 2 bins, region cr has 3"),
        (
            lambda c: (_sample(c).update(data=[0.0, 60.0]), _sample(c, 1).update(data=[0.0, 8.0])),
            "region sr: no events are expected in bin 0, and 52 are observed",
        ),
        (
            lambda c: _sample(c)["modifiers"].append(
                {"name": "lumi", "type": "lumi", "data": None}
            ),
            "pyhf cannot make a model of it",
        ),
    ],
)
def test_what_cannot_be_fitted_is_named(adopted, change, message):
    with pytest.raises(InputError, match=message):
        adopted(_changed(change))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"measurement": "n"}, "workspaces.mine.measurement: 'n'"),
        ({"edges": {"sr": (0.0, 1.0)}}, "workspaces.mine.edges.sr: 1 bins, but the region has 2"),
        ({"edges": {"sx": (0.0, 1.0)}}, "region 'sx' is unknown; known are 'sr'"),
        ({"groups": {"jet": "detector"}}, "groups: no parameter is called 'jet'"),
        ({"cross_sections_pb": {"other": 1.0}}, "the one signal has the name of the workspace"),
    ],
)
def test_settings_that_do_not_fit_the_workspace(adopted, settings, message):
    with pytest.raises(InputError, match=message):
        adopted(FULL, **settings)


def test_negative_bins_can_be_noted(adopted):
    content = _changed(lambda c: _sample(c, 1).__setitem__("data", [-1.0, 8.0]))
    _, report, _ = adopted(content, on_negative="note")
    (note,) = (n for n in report["notes"] if n["action"] == "negative")
    assert (note["region"], note["sample"], note["numbers"]) == ("sr", "s", {"bin": 0, "value": -1})


def test_bad_patchsets_are_named(adopted):
    base = _workspace(BACKGROUND)
    with pytest.raises(InputError, match=r"patches: 'm501'; did you mean 'm500'\?"):
        _adopt_patches(adopted, base, ["m501"])
    with pytest.raises(InputError, match="it belongs to another workspace"):
        adopted(base, _patchset(FULL))
    spoiled = _patchset(base)
    spoiled["patches"][1]["patch"][0]["path"] = "/channels/7/samples/0"
    with pytest.raises(InputError, match="patch m800"):
        adopted(base, spoiled)
    with pytest.raises(InputError, match=r"not a JSON file"):
        adopted("channels: []")


def _adopt_patches(adopted, base, names):
    path = adopted.folder / "mine.json"
    path.write_text(json.dumps(base))
    (adopted.folder / "patches.json").write_text(json.dumps(_patchset(base)))
    values = {"path": "a.json", "luminosity": 1.0, "patchset": "p.json", "patches": names}
    adopt.main(
        source=path,
        patches=adopted.folder / "patches.json",
        name="mine",
        workspace_json=adopted.folder / "workspace.json",
        report=adopted.folder / "model.json",
        patchset=adopted.folder / "patchset.json",
        settings=Given({"inference": {"workspaces": {"mine": values}}}),
    )
    return json.loads((adopted.folder / "model.json").read_text())


def test_some_patches_alone(adopted):
    report = _adopt_patches(adopted, _workspace(BACKGROUND), ["m1000", "m500"])
    assert [h["name"] for h in report["hypotheses"]] == ["m1000", "m500"]


def test_a_datacard_is_taken_in(adopted, tmp_path):
    adopted(FULL)
    datacard.main(
        workspace=tmp_path / "workspace.json",
        report=tmp_path / "model.json",
        datacard=tmp_path / "card.txt",
        shapes=tmp_path / "shapes.root",
        settings=Given({}),
    )
    with pytest.raises(
        InputError, match=r"shapes.root; list it in inference.workspaces.mine.files"
    ):
        adopted(None, source="card.txt")
    files = [tmp_path / "shapes.root"]
    workspace, report, _ = adopted(None, source="card.txt", files=files)
    assert report["groups"]["jes"] == "detector"
    assert workspace["channels"] == read_card(tmp_path / "card.txt")[0]["channels"]
    model, data = load_model(workspace)
    assert np.asarray(data)[:2].tolist() == [52.0, 70.0]
    assert model.config.poi_name == "mu"
