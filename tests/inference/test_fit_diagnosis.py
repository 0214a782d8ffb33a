"""Fits that fail say why, and leave no file behind."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.inference import fit, fit_diagnosis, fitting, impacts, minimum, scan
from fullchain.inference import histfactory as hf
from fullchain.step import Given

SETTINGS = {"inference": {"results": {"fit": {}, "impacts": {}, "scan": {}}}}


def _free(name):
    return {"name": name, "type": "normfactor", "data": None}


def _at_limit(small):
    norm = [hf.log_normal("norm", 0.1)]
    return small.specification([30.0, 0.0], [100.0, 100.0], [101.0, 1000.0], modifiers=norm)


def _singular(small):
    free = [_free("one"), _free("other")]
    return small.specification([10.0, 1.0], [50.0, 80.0], [60.0, 81.0], modifiers=free)


def _idle(small):
    nothing = [_free("free"), hf.normsys("norm", 1.1, 0.9)]
    made = small.specification([10.0, 1.0], [50.0, 80.0], [60.0, 81.0], modifiers=nothing[1:])
    made["channels"][0]["samples"].append(
        {"name": "empty", "data": [0.0, 0.0], "modifiers": nothing[:1]}
    )
    return made


def _nothing_expected(small):
    return small.specification([10.0, 0.0], [50.0, 0.0], [60.0, 3.0])


def _not_a_number(small):
    return small.specification([10.0, float("nan")], [50.0, 40.0], [60.0, 3.0])


def _data_not_a_number(small):
    return small.specification([10.0, 5.0], [50.0, 40.0], [60.0, float("nan")])


def _negative_data(small):
    return small.specification([10.0, 5.0], [50.0, 40.0], [60.0, -1.0])


def _negative_at_the_minimum(small):
    """Much less than the background in one bin, and nothing in another to hold the signal."""
    return small.specification([1.0, 10.0], [100.0, 10.0], [60.0, 0.0])


FAILURES = {
    "at_limit": (
        _at_limit,
        r"fit to data: nuisance parameters end at their limit: norm = 5 in \[-5, 5\] "
        r"\(acts on b in region\)",
    ),
    "singular": (
        _singular,
        r"the Hessian is not positive: no curvature .* along (one|other) \(acts on b in region\), "
        r"(one|other) \(acts on b in region\); the data do not tell these parameters apart",
    ),
    "idle": (_idle, r"the likelihood does not depend on free \(changes nothing\)"),
    "nothing_expected": (
        _nothing_expected,
        "region region, bin 1: 3 events are observed where none are expected",
    ),
    "not_a_number": (_not_a_number, "region region, bin 1: the expected yield of s is not"),
    "data_not_a_number": (_data_not_a_number, "region region, bin 1: the data are nan"),
    "negative_data": (_negative_data, "region region, bin 1: the data are -1"),
    "negative_expectation": (
        _negative_at_the_minimum,
        r"fit to data ends where no event is expected, or less than none: region region, bin 1 "
        r"\(expected -\d.*, observed 0; negative: s\)",
    ),
}


def _write(folder, specification, **about):
    regions = {one["name"]: one for one in specification["observations"]}
    report = {
        "luminosity": 1.0,
        "blind": False,
        "data": {"kind": "sample", "sample": "run"},
        "observable": {name: {"name": "mass", "unit": "GeV"} for name in regions},
        "edges": {name: list(range(len(one["data"]) + 1)) for name, one in regions.items()},
        **about,
    }
    (folder / "workspace.json").write_text(json.dumps(specification))
    (folder / "model.json").write_text(json.dumps(report))
    return {
        "workspace": folder / "workspace.json",
        "report": folder / "model.json",
        "analysis": "search",
        "settings": Given(SETTINGS),
    }


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_named_and_leaves_nothing(small, tmp_path, name):
    make, message = FAILURES[name]
    common = _write(tmp_path, make(small))
    for step, output in ((fit, "fit_json"), (impacts, "impacts_json"), (scan, "scans_json")):
        with pytest.raises(InputError, match=message) as caught:
            step.main(**common, **{output: tmp_path / "output.json"})
        assert "workspace.json" in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "workspace.json"]


def test_a_failed_fit_exits_with_an_error(small, tmp_path):
    common = _write(tmp_path, _singular(small))
    command = [sys.executable, "-m", "fullchain", "inference", "fit", "--analysis", "search"]
    command += ["--workspace", str(common["workspace"]), "--report", str(common["report"])]
    command += ["--fit-json", str(tmp_path / "fit.json"), "--settings", json.dumps(SETTINGS)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "the Hessian is not positive" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "fit.json").exists()


def test_a_nuisance_at_its_limit_can_be_reported(small, tmp_path):
    common = _write(tmp_path, _at_limit(small))
    common["settings"] = Given(
        {"inference": {"results": {"fit": {"at_limit": "report", "minos": "none"}}}}
    )
    fit.main(**common, fit_json=tmp_path / "fit.json")
    found = json.loads((tmp_path / "fit.json").read_text())["data"]
    assert found["at_limit"] == ["norm"]
    assert {one["name"]: one["at_limit"] for one in found["parameters"]} == {
        "mu": False,
        "norm": True,
    }


def test_a_report_that_does_not_say_whether_it_is_blind_is_refused(small, tmp_path):
    common = _write(tmp_path, small.rich_specification(), blind=None)
    with pytest.raises(InputError, match=r"model.json: it does not say whether the analysis is"):
        fit.main(**common, fit_json=tmp_path / "fit.json")


def test_negative_curvature_is_named(small):
    model, _ = small.rich()
    free = np.array([0, 2, 3])
    curvature = np.diag([1.0, 4.0, 9.0])
    curvature[1, 2] = curvature[2, 1] = -7.0
    complaint = fit_diagnosis.not_positive(model, curvature, free, model.init.numpy(), "the fit")
    words = str(complaint)
    assert "negative curvature (eigenvalue -0.17)" in words
    assert "the point is not a minimum" in words
    assert model.names[2] in words
    assert model.names[3] in words
    assert model.names[0] not in words.replace("normalisation", "")
    good = np.diag([1.0, 1e-12, 1e12])
    assert fit_diagnosis.not_positive(model, good, free, model.init.numpy(), "the fit") is None


def test_second_derivatives_that_are_no_numbers_are_named(small):
    model, _ = small.rich()
    curvature = np.diag([1.0, np.nan])
    free = np.array([model.index("mu"), model.index("scale")])
    complaint = fit_diagnosis.not_positive(model, curvature, free, model.init.numpy(), "the fit")
    assert "are not numbers, for scale (acts on b in region)" in str(complaint)


def test_no_convergence_names_where_it_is_steep(small, monkeypatch):
    """A minimiser that stops at the start."""

    def lazy(model, data, *, start=None, fixed=None):
        values = model.init.expand(len(data), -1).clone()
        nothing = torch.zeros(len(data), dtype=torch.bool)
        height = -2 * model.log_probability(values, data)
        return minimum.Minima(values, height, nothing, height, values < -1e9)

    monkeypatch.setattr(minimum, "minimise", lazy)
    model, data = small.rich(observed=(100.0, 60.0, 400.0))
    with pytest.raises(
        InputError, match="the fit does not converge; it is steepest along"
    ) as found:
        fitting.fit(model, data)
    assert "mu (acts on s in region)" in str(found.value)


def test_a_likelihood_that_is_no_number_is_named(small):
    side = [{"name": "side", "type": "shapesys", "data": [10.0, 5.0]}]
    model, data = small.model([10.0, 5.0], [50.0, 60.0], [60.0, 65.0], modifiers=side)
    values = model.init.numpy().copy()
    values[model.index("side[1]")] = -0.5
    words = str(fit_diagnosis.no_number(model, values, data, "the fit"))
    assert "that are not positive: side[1] (acts on b in region)" in words
    values[model.index("mu")] = np.nan
    words = str(fit_diagnosis.no_number(model, values, data, "the fit"))
    assert "the yields are not: region region, bin 0 (s), region region, bin 1 (s)" in words


def test_a_fit_that_cannot_move_from_a_bad_value_is_named(small):
    """Poisson constraint held where its likelihood is not a number."""
    side = [{"name": "side", "type": "shapesys", "data": [10.0, 5.0]}]
    model, data = small.model([10.0, 5.0], [50.0, 60.0], [60.0, 65.0], modifiers=side)
    with pytest.raises(InputError, match="the likelihood is not a number"):
        minimum.minimum(model, data, fixed={model.index("side[1]"): -0.5})


def test_places_are_counted_in_their_region(small):
    specification = small.rich_specification()
    other = json.loads(json.dumps(specification["channels"][0]))
    other["name"] = "second"
    for sample in other["samples"]:
        for modifier in sample["modifiers"]:
            if modifier["type"] == "staterror":
                modifier["name"] = "simulation_second"
    specification["channels"].append(other)
    specification["observations"].append({"name": "second", "data": [1.0, 2.0, 3.0]})
    model, _ = small.of(specification)
    assert fit_diagnosis.place(model, 0) == "region region, bin 0"
    assert fit_diagnosis.place(model, 4) == "region second, bin 1"
    reach = fit_diagnosis.reach(model, model.index("simulation_second[0]"), model.init.numpy())
    assert reach == "acts on b in second"


def test_minima_of_the_same_kind_can_be_replaced():
    """The tests above rely on the fields of Minima."""
    assert [one.name for one in dataclasses.fields(minimum.Minima)] == [
        "values", "twice_nll", "converged", "distance", "at_limit",
    ]  # fmt: skip
