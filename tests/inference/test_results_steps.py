"""The steps fit, impacts and scan on files: what they write, and what blind hides."""

import json
import math

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.inference import fit, impacts, scan
from fullchain.inference.results_settings import ResultsSettings
from fullchain.step import Given

OBSERVED = (150.0, 90.0, 80.0)


class Results:
    """A workspace in a folder, with the steps on it."""

    def __init__(self, folder, specification, **about):
        self.folder = folder
        report = {
            "luminosity": 0.1,
            "blind": False,
            "data": {"kind": "pseudo", "mu": 1.5},
            "observable": {"region": {"name": "mass", "unit": "GeV"}},
            "edges": {"region": [0.0, 1.0, 2.0, 4.0]},
            **about,
        }
        folder.mkdir(exist_ok=True)
        (folder / "workspace.json").write_text(json.dumps(specification))
        (folder / "model.json").write_text(json.dumps(report))

    def run(self, step, output, **changes):
        settings = ResultsSettings(**changes).model_dump(mode="json")
        path = self.folder / f"{output}.json"
        step.main(
            workspace=self.folder / "workspace.json",
            report=self.folder / "model.json",
            analysis="search",
            settings=Given({"inference": {"results": settings}}),
            **{output: path},
        )
        return json.loads(path.read_text())


@pytest.fixture(scope="module")
def results(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    groups = {"scale": "detector", "simulation": "MC statistics", "lumi": "luminosity"}
    return Results(folder, small.rich_specification(observed=OBSERVED), groups=groups)


@pytest.fixture(scope="module")
def blind(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blind")
    return Results(folder, small.rich_specification(observed=OBSERVED), blind=True)


def test_fit_writes_what_is_agreed(results):
    found = results.run(fit, "fit_json", fit={"minos": "all"})
    assert found["analysis"] == "search"
    assert found["blind"] is False
    assert found["data_kind"] == "pseudo"
    for dataset in ("data", "asimov"):
        one = found[dataset]
        assert one["poi"] == "mu"
        assert len(one["correlation"]) == len(one["parameters"])
        assert one["distance_to_minimum"] < 1e-6
        for parameter in one["parameters"]:
            down, up = parameter["minos"]
            assert down < 0 < up, parameter["name"]
            width = parameter["uncertainty"]
            assert -down == pytest.approx(width, rel=0.3)
            assert up == pytest.approx(width, rel=0.3)
            assert not parameter["fixed"]
            assert not parameter["at_limit"]
            assert (parameter["pull"] is None) == (parameter["name"] == "mu")
        region = one["regions"]["region"]
        assert region["edges"] == [0.0, 1.0, 2.0, 4.0]
        for when in ("prefit", "postfit"):
            samples = region[when]["samples"]
            assert set(samples) == {"s", "b", "total"}
            total = np.add(samples["s"]["values"], samples["b"]["values"])
            assert samples["total"]["values"] == pytest.approx(total)
            assert samples["total"]["sum"] == pytest.approx(total.sum())
            assert samples["total"]["sum_uncertainty"] > 0
    assert found["data"]["regions"]["region"]["observed"] == list(OBSERVED)
    mu = {one["name"]: one["value"] for one in found["asimov"]["parameters"]}["mu"]
    assert mu == pytest.approx(1.0, abs=1e-6)
    assert found["asimov"]["goodness_of_fit"]["chi_squared"] == pytest.approx(0.0, abs=1e-6)
    assert found["data"]["goodness_of_fit"]["degrees_of_freedom"] == 2
    tested = found["data"]["discovery"]
    assert tested["significance"] == pytest.approx(math.sqrt(tested["q0"]))


@pytest.mark.parametrize(("minos", "number"), [("none", 0), ("poi", 1)])
def test_minos_is_for_whom_it_is_asked(results, minos, number):
    found = results.run(fit, "fit_json", fit={"minos": minos})
    intervals = {one["name"]: one["minos"] for one in found["data"]["parameters"]}
    assert sum(one is not None for one in intervals.values()) == number
    assert (intervals["mu"] is not None) == (minos == "poi")


def test_a_blind_analysis_shows_the_expectation_only(blind):
    found = blind.run(fit, "fit_json")
    assert found["blind"] is True
    assert "data" not in found
    observed = found["asimov"]["regions"]["region"]["observed"]
    assert observed == found["asimov"]["regions"]["region"]["prefit"]["samples"]["total"]["values"]
    assert blind.run(impacts, "impacts_json")["dataset"] == "asimov"
    scans = blind.run(scan, "scans_json", scan={"contours": [("mu", "scale")]})
    assert {one["dataset"] for one in scans["scans"] + scans["contours"]} == {"asimov"}
    for path in blind.folder.glob("*_json.json"):
        assert "150.0" not in path.read_text()


def test_impacts_are_written_for_all_nuisances_and_groups(results):
    found = results.run(impacts, "impacts_json")
    assert found["poi"] == "mu"
    assert found["dataset"] == "data"
    names = [one["name"] for one in found["parameters"]]
    assert sorted(names) == [
        "lumi", "normalisation", "scale", "simulation[0]", "simulation[1]", "simulation[2]",
    ]  # fmt: skip
    assert set(found["groups"]) == {
        "statistical", "detector", "MC statistics", "luminosity", "normsys",
    }  # fmt: skip
    assert {one["name"]: one["group"] for one in found["parameters"]}["scale"] == "detector"
    assert found["groups"]["MC statistics"]["parameters"] == 3
    for one in found["parameters"]:
        assert set(one["refit"]) == set(one["covariance"])
        assert one["refit"]["up"] == pytest.approx(
            one["covariance"]["up"], abs=0.3 * found["total_hessian"]
        )
    total = found["total_hessian"]
    assert found["total"]["up"] == pytest.approx(total, rel=0.2)
    assert found["sum_in_quadrature"]["component"] == pytest.approx(total, rel=0.1)
    interval = results.run(fit, "fit_json")["data"]["parameters"]
    down, up = next(one["minos"] for one in interval if one["name"] == "mu")
    assert found["total"] == pytest.approx({"up": up, "down": down}, rel=1e-4)
    # What is left with everything held is less than the whole.
    assert 0 < found["groups"]["statistical"]["refit"]["up"] < found["total"]["up"]


def test_impacts_from_the_covariance_alone(results):
    found = results.run(impacts, "impacts_json", impacts={"refit": False})
    assert all(one["refit"] is None for one in found["parameters"])
    assert all(one["refit"] is None for one in found["groups"].values())
    assert found["total"] == {"up": found["total_hessian"], "down": -found["total_hessian"]}


def test_impacts_without_those_before_the_fit(results):
    found = results.run(impacts, "impacts_json", impacts={"prefit": False, "dataset": "asimov"})
    assert found["dataset"] == "asimov"
    assert all(one["refit"]["prefit_up"] is None for one in found["parameters"])


def test_scans_of_the_strength_and_of_what_is_named(results):
    chosen = {
        "parameters": ["scale", "mu"],
        "points": 7,
        "reach": 2.0,
        "contours": [("mu", "scale")],
        "contour_points": 5,
    }
    found = results.run(scan, "scans_json", scan=chosen)
    named = [(one["dataset"], one["parameter"]) for one in found["scans"]]
    assert named == [(d, p) for d in ("data", "asimov") for p in ("mu", "scale")]
    for one in found["scans"]:
        assert len(one["points"]) == len(one["twice_delta_nll"]) == 7
        assert min(one["twice_delta_nll"]) == pytest.approx(0.0, abs=1e-7)
        assert one["points"][3] == pytest.approx(one["best"])
        assert one["twice_delta_nll"][0] == pytest.approx(4.0, rel=0.5)
    joint = found["contours"][0]
    assert joint["parameters"] == ["mu", "scale"]
    assert np.shape(joint["twice_delta_nll"]) == (5, 5)
    assert joint["twice_delta_nll"][2][2] == pytest.approx(0.0, abs=1e-7)
    assert joint["levels"]["68 %"] == pytest.approx(-2 * math.log(1 - 0.6826894921), rel=1e-6)


def test_only_parameters_of_the_model_are_scanned(results):
    with pytest.raises(InputError, match=r"no parameter is called 'jes'; there are: .*scale"):
        results.run(scan, "scans_json", scan={"parameters": ["jes"]})


def test_a_fixed_parameter_is_not_scanned(small, tmp_path):
    specification = small.rich_specification()
    measured = specification["measurements"][0]["config"]["parameters"]
    measured.append({"name": "scale", "fixed": True})
    made = Results(tmp_path, specification)
    with pytest.raises(InputError, match="the model holds the parameter 'scale' fixed"):
        made.run(scan, "scans_json", scan={"contours": [("mu", "scale")]})
    found = made.run(fit, "fit_json", fit={"minos": "all"})
    fixed = next(one for one in found["data"]["parameters"] if one["name"] == "scale")
    assert fixed["fixed"]
    assert fixed["uncertainty"] == 0
    assert (fixed["pull"], fixed["constraint"], fixed["minos"]) == (None, None, None)
    names = [one["name"] for one in made.run(impacts, "impacts_json")["parameters"]]
    assert "scale" not in names


def test_equal_input_gives_equal_bytes(results):
    kept = {}
    for _ in range(2):
        for step, output in ((fit, "fit_json"), (impacts, "impacts_json"), (scan, "scans_json")):
            results.run(step, output)
            written = (results.folder / f"{output}.json").read_bytes()
            assert kept.setdefault(output, written) == written


def test_a_missing_workspace_is_named(results, tmp_path):
    (tmp_path / "model.json").write_text((results.folder / "model.json").read_text())
    with pytest.raises(InputError, match=r"workspace.json: no such file"):
        fit.main(
            workspace=tmp_path / "workspace.json",
            report=tmp_path / "model.json",
            analysis="search",
            fit_json=tmp_path / "fit.json",
            settings=Given({"inference": {"results": {"fit": {}}}}),
        )
