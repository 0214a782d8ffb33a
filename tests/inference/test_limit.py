"""The steps `limit` and `toys` on small workspaces."""

import json

import pyhf
import pytest

from fullchain.errors import InputError
from fullchain.inference import limit, toys
from fullchain.step import Given

LIMITS = {"scan_points": 4, "toys": 60, "toy_points": [0.9, 1.2], "toy_hypotheses": "first"}
TOYS = {"goodness": 80, "coverage": 120}


def _workspace(signal=(12.0, 11.0)):
    made = pyhf.simplemodels.uncorrelated_background(list(signal), [50.0, 52.0], [3.0, 7.0])
    return dict(pyhf.Workspace.build(made, [51.0, 48.0, *made.config.auxdata]))


def _patchset(workspace, name="heavy", data=(6.0, 2.0)):
    return {
        "metadata": {
            "references": {"hepdata": "ins1234567"},
            "description": "masses",
            "digests": {"sha256": pyhf.utils.digest(workspace)},
            "labels": ["mass"],
        },
        "patches": [
            {
                "metadata": {"name": name, "values": [2000]},
                "patch": [
                    {"op": "replace", "path": "/channels/0/samples/0/data", "value": list(data)}
                ],
            }
        ],
        "version": "1.0.0",
    }


HYPOTHESES = [
    {"name": "light", "patch": None, "mass": 1000.0, "cross_section_pb": 2.0, "samples": ["s"]},
    {"name": "heavy", "patch": "heavy", "mass": 2000.0, "cross_section_pb": 0.5, "samples": ["s"]},
]


@pytest.fixture
def run(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    def go(step="limit", patchset=None, about=None, workspace=None, **changes):
        common = {
            "workspace": write("workspace.json", workspace or _workspace()),
            "report": write("model.json", about or {}),
            "analysis": "search",
        }
        given = Given(
            {
                "seed": 3,
                "inference": {
                    "limits": LIMITS | (changes if step == "limit" else {}),
                    "toys": TOYS | (changes if step == "toys" else {}),
                },
            }
        )
        out = tmp_path / f"{step}.json"
        if step == "limit":
            patches = [] if patchset is None else [write("patchset.json", patchset)]
            limit.main(**common, patchset=patches, limits=out, settings=given)
        else:
            toys.main(**common, toys=out, settings=given)
        return json.loads(out.read_text())

    return go


def test_limits_of_every_hypothesis(run):
    found = run(patchset=_patchset(_workspace()), about={"hypotheses": HYPOTHESES})
    light, heavy = found["hypotheses"]
    assert (found["poi"], found["level"]) == ("mu", 0.95)
    assert light["observed"] == pytest.approx(1.01157, rel=1e-3)
    assert light["expected"][2] == pytest.approx(1.06235, rel=1e-3)
    assert (heavy["name"], heavy["mass"], heavy["cross_section_pb"]) == ("heavy", 2000.0, 0.5)
    assert heavy["observed"] > 2 * light["observed"]
    assert light["toys"]["failed"] == 0 and light["toys"]["fits"] == 60 * 2 * 4
    assert heavy["toys"] is None
    scan = light["cls_scan"]
    assert len(scan["mu"]) == len(scan["observed"]) == 4 and len(scan["expected"][0]) == 5
    assert light["discovery"] == 0.0 and light["discovery_expected"] > 1


def test_the_same_seed_gives_the_same_limits(run):
    assert run() == run()
    assert run()["hypotheses"][0]["name"] == "signal"


def test_a_blind_analysis_has_no_observed_limit(run):
    found = run(about={"blind": True})["hypotheses"][0]
    assert found["observed"] is None and found["cls_scan"]["observed"] is None
    assert found["discovery"] is None and found["best_fit"] is None
    assert found["toys"]["observed"] is None and found["toys"]["points"][0]["cls"] is None
    other = _workspace()
    other["observations"][0]["data"] = [90.0, 10.0]
    assert run(about={"blind": True}, workspace=other)["hypotheses"][0] == found
    assert run("toys", about={"blind": True})["goodness"] is None


def test_a_missing_patch_is_named(run):
    with pytest.raises(InputError, match="hypothesis heavy: the patchset has no such patch"):
        run(about={"hypotheses": HYPOTHESES})
    with pytest.raises(InputError, match=r"heavy.*it has other"):
        run(patchset=_patchset(_workspace(), "other"), about={"hypotheses": HYPOTHESES})


def test_a_patchset_of_another_workspace_is_refused(run):
    patches = _patchset(_workspace((1.0, 1.0)))
    with pytest.raises(InputError, match="belongs to another workspace"):
        run(patchset=patches, about={"hypotheses": HYPOTHESES})


def test_toys_of_an_analysis(run):
    found = run("toys")
    goodness, coverage, pull = found["goodness"], found["coverage"], found["pull"]
    assert len(goodness["toys"]) == 80 and 0 < goodness["p_value"] <= 1
    assert coverage["toys"] == 120 and found["failed"] == 0
    assert coverage["fraction"] == pytest.approx(coverage["covered"] / 120)
    assert abs(pull["mean"]) < 5 * pull["mean_uncertainty"] + 0.2
    assert len(pull["values"]) == len(pull["fitted"]) == len(pull["uncertainties"])


@pytest.mark.parametrize(
    "changes", [{"truth": "best_fit"}, {"nuisances": "drawn"}, {"coverage": 0}, {"goodness": 0}]
)
def test_choices_of_toys(run, changes):
    found = run("toys", **changes)
    assert (found["coverage"] is None) == (changes.get("coverage") == 0)
    assert (found["goodness"] is None) == (changes.get("goodness") == 0)
