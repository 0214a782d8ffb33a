"""Figures, numbers, tables and the HEPData record of two small analyses with real fits."""

import json
import shutil
import socket
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import yaml

from fullchain.errors import InputError
from fullchain.hepdata_submission import validate
from fullchain.inference import figure_names, plot, publish, tabulate, wording
from fullchain.inference.analysis_settings import Analysis
from fullchain.inference.collected import collect
from fullchain.inference.likelihood import load_model
from fullchain.inference.likelihood_figures import crossings
from fullchain.inference.parameter_figures import chosen_for_matrix
from fullchain.inference.presentation_settings import FigureSettings
from fullchain.inference.region_figures import leading, ratio_range
from fullchain.inference.settings import InferenceSettings
from fullchain.laid_out_figures import title_of
from fullchain.metrics import read_metrics
from fullchain.paper.tables import metrics_table, stage_table
from fullchain.stage_tables import Number, read_tables

KINDS = ("fit", "workspace", "model", "impacts", "scans", "limits", "toys")


def change(path, function):
    content = json.loads(path.read_text())
    function(content)
    path.write_text(json.dumps(content))


def hide(content):
    del content["data"]
    content["blind"] = True


def empty(content):
    del content["data"], content["asimov"]


@pytest.fixture
def copy(presented, tmp_path):
    """A copy of the files, to be spoilt."""
    shutil.copytree(presented, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def blinded(copy):
    """The measurement as a blind analysis would have left it."""
    change(copy / "ttbar/fit.json", hide)
    change(copy / "ttbar/impacts.json", lambda content: content.update(dataset="asimov"))
    return copy


def of(files, root, kinds=KINDS):
    return {kind: files(kind, root) for kind in kinds}


@pytest.fixture(scope="module")
def drawn(presented, files, given, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    plot.main(**of(files, presented), index=folder / "index.json", settings=given)
    return folder


@pytest.fixture(scope="module")
def tables(presented, files, given, tmp_path_factory):
    """Metrics by name and tables by name."""
    folder = tmp_path_factory.mktemp("tables")
    _tabulate(files, presented, given, folder)
    return _read(folder)


def _tabulate(files, root, given, folder):
    kinds = [kind for kind in KINDS if kind != "scans"]
    tabulate.main(
        **of(files, root, kinds),
        metrics=folder / "metrics.json",
        listed=folder / "tables.json",
        settings=given,
    )


def _read(folder):
    found = read_metrics(folder / "metrics.json")[1]
    return (
        {metric.name: metric for metric in found},
        {table.name: table for table in read_tables(folder / "tables.json")[1]},
    )


def test_figures_of_all_analyses_are_drawn(drawn):
    entries = json.loads((drawn / "index.json").read_text())
    region = ("prefit", "postfit", "templates")
    result = ("pulls", "correlations", "ranking", "groups", "scans")
    assert {entry["name"] for entry in entries} == {
        *(f"{kind}_ttbar_{name}" for kind in region for name in ("pass", "fail")),
        *(f"{kind}_zprime_signal" for kind in region),
        *(f"{kind}_{name}" for kind in result for name in ("ttbar", "zprime")),
        "limits_zprime",
        "cls_zprime",
        "goodness_ttbar",
        "toys_ttbar",
    }
    for entry in entries:
        assert entry["stage"] == "inference"
        assert "0.1/fb at 13.6 TeV" in entry["caption"]
        assert "pseudo-data" in entry["caption"]
        assert (drawn / f"{entry['name']}.png").stat().st_size > 5000
        assert (drawn / f"{entry['name']}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_a_blind_analysis_shows_no_data(blinded, files, given, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("fullchain.drawing.points", lambda *a, **k: seen.append(k["label"]))
    monkeypatch.setattr("fullchain.drawing.ratio_points", lambda *a, **k: seen.append("ratio"))
    shutil.rmtree(blinded / "zprime")
    plot.main(**of(files, blinded), index=tmp_path / "index.json", settings=given)
    assert not seen
    captions = {
        one["name"]: one["caption"] for one in json.loads((tmp_path / "index.json").read_text())
    }
    assert "goodness_ttbar" not in captions
    assert "The data are hidden." in captions["postfit_ttbar_pass"]
    assert all("blind" in caption for caption in captions.values())
    assert not any("Observed" in caption for caption in captions.values())


def test_numbers_of_a_blind_analysis_are_expectations(blinded, files, given, tmp_path):
    _tabulate(files, blinded, given, tmp_path)
    metrics, tables = _read(tmp_path)
    assert "ttbar.mu" not in metrics
    assert {"ttbar.mu_expected", "ttbar.significance_expected"} <= set(metrics)
    assert "ttbar.goodness_p_value" not in metrics
    assert tables["inference_results"].rows[0][1] == "blind"
    assert all(row[3] is None for row in tables["yields_ttbar"].rows)


@pytest.mark.slow
def test_regions_of_an_adopted_workspace_share_figures(copy, files, given, tmp_path):
    shutil.rmtree(copy / "zprime")
    (copy / "ttbar").rename(copy / "mine")
    for kind in ("fit", "impacts", "scans", "toys"):
        change(copy / f"mine/{kind}.json", lambda content: content.update(analysis="mine"))
    contour = {
        "dataset": "data",
        "parameters": ["mu", "jes"],
        "best": [1.0, 0.0],
        "x": [0.5, 1.0, 1.5],
        "y": [-2.0, 0.0, 2.0],
        "twice_delta_nll": [[8.0, 4.0, 8.0], [4.0, 0.0, 4.0], [8.0, 4.0, 8.0]],
    }
    change(copy / "mine/scans.json", lambda content: content["contours"].append(contour))
    plot.main(**of(files, copy), adopted=["mine"], index=tmp_path / "index.json", settings=given)
    names = {one["name"] for one in json.loads((tmp_path / "index.json").read_text())}
    assert {"prefit_mine", "postfit_mine", "contours_mine"} <= names
    assert not any(name.startswith("templates") for name in names)
    with pytest.raises(InputError, match="no analysis 'yours' among the fits"):
        plot.main(**of(files, copy), adopted=["yours"], index=tmp_path / "x.json", settings=given)


class Has:
    """Settings with given fields."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


def test_names_of_the_figures_are_known_beforehand(drawn):
    """Those of the settings are those that are drawn."""
    region = {"signal": {}}
    analyses = {
        "ttbar": Analysis(),
        "zprime": Analysis(selection={"regions": region}),
    }
    results = Has(scan=Has(contours=[]))
    settings = Has(analyses=analyses, results=results, limits=Has(), toys=None)
    names = set(figure_names.names(settings))
    entries = {one["name"] for one in json.loads((drawn / "index.json").read_text())}
    only_drawn = {"goodness_ttbar", "toys_ttbar"}
    assert names - entries == {"limits_ttbar", "cls_ttbar"}
    assert entries - names == only_drawn
    settings.toys = Has(goodness=10, coverage=10)
    settings.workspaces = {"mine": Has(blind=True)}
    names = set(figure_names.names(settings))
    assert only_drawn <= names
    assert {"prefit_mine", "pulls_mine", "toys_mine"} <= names
    assert "goodness_mine" not in names
    assert figure_names.names(InferenceSettings())[0] == "prefit_ttbar_pass"


def test_names_are_read_without_matplotlib():
    code = (
        "import sys, fullchain.inference.figure_names, fullchain.inference.tabulate;"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_numbers_are_those_of_the_files(presented, tables):
    metrics, _ = tables
    fit = json.loads((presented / "ttbar/fit.json").read_text())
    row = next(one for one in fit["data"]["parameters"] if one["name"] == "mu")
    assert metrics["ttbar.mu"].value == row["value"]
    assert metrics["ttbar.mu"].uncertainty == row["uncertainty"]
    assert metrics["ttbar.mu"].uncertainty_kind == "Hessian of the likelihood"
    down, up = row["minos"]
    assert metrics["ttbar.mu_minos"].uncertainty == pytest.approx((up - down) / 2)
    assert metrics["ttbar.significance"].value == fit["data"]["discovery"]["significance"]
    toys = json.loads((presented / "ttbar/toys.json").read_text())
    assert metrics["ttbar.coverage"].value == 100 * toys["coverage"]["fraction"]
    assert metrics["ttbar.pull_width"].uncertainty == toys["pull"]["width_uncertainty"]
    total = fit["data"]["regions"]["pass"]["postfit"]["samples"]["total"]
    assert metrics["ttbar.yield.pass.total"].uncertainty == total["sum_uncertainty"]
    limits = json.loads((presented / "zprime/limits.json").read_text())
    first = limits["hypotheses"][0]
    expected = metrics["zprime.limit.zprime_1500.expected"]
    assert expected.value == first["expected"][2]
    assert expected.uncertainty == (first["expected"][3] - first["expected"][1]) / 2
    observed = metrics["zprime.limit.zprime_1500.observed"]
    assert (observed.value, observed.limit) == (first["observed"], "upper")
    assert f"{first['observed'] * 30:.3g} pb" in observed.note


def test_limits_by_toys_are_beside_the_asymptotic_ones(copy, files, given, tmp_path):
    share = {"value": 0.7, "error": 0.05}

    def add(content):
        content["hypotheses"][0]["toys"] = {
            "toys": 100,
            "observed": share,
            "expected": [None, None, share, None, None],
            "points": [{"mu": 0.5, "cls": share, "expected": [share] * 5}],
        }

    change(copy / "zprime/limits.json", add)
    _tabulate(files, copy, given, tmp_path)
    metrics, _ = _read(tmp_path)
    for kind in ("expected", "observed"):
        found = metrics[f"zprime.limit.zprime_1500.{kind}_toys"]
        assert (found.value, found.uncertainty) == (0.7, 0.05)


def test_tables_have_what_a_paper_prints(tables):
    metrics, found = tables
    assert set(found) == {
        "inference_results",
        *(
            f"{kind}_{name}"
            for kind in ("yields", "impacts", "groups")
            for name in ("ttbar", "zprime")
        ),
        "limits_zprime",
    }
    yields = found["yields_ttbar"]
    assert [row[0] for row in yields.rows][-1] == "pass, total"
    assert isinstance(yields.rows[-1][3], Number)
    assert len(found["limits_zprime"].rows) == 3
    latex = [stage_table(table) for table in found.values()]
    assert all(r"\toprule" in text and r"\bottomrule" in text for text in latex)
    # Rounded as the uncertainty allows, by the rule of the PDG.
    assert r"ttbar & $1.03 \pm 0.08$ &" in latex[0]
    assert r"$< " in metrics_table(list(metrics.values()))


@pytest.fixture(scope="module")
def submission(presented, given, tmp_path_factory):
    return _publish(presented, given, tmp_path_factory.mktemp("published"))


def _publish(root, given, target, name="ttbar"):
    folder = root / name
    publish.main(
        fit=folder / "fit.json",
        workspace=folder / "workspace.json",
        model=folder / "model.json",
        impacts=[folder / "impacts.json"],
        limits=[path for path in [folder / "limits.json"] if path.exists()],
        analysis=name,
        submission=target / "hepdata.tar.gz",
        listing=target / "hepdata/submission.yaml",
        settings=given,
    )
    return target


def test_the_submission_is_valid_without_a_network(submission, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the validator asks the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    files = {path.name: path.read_bytes() for path in (submission / "hepdata").iterdir()}
    validate(files)
    assert {"fail_prefit.yaml", "pass_postfit.yaml", "correlations.yaml"} <= set(files)
    with tarfile.open(submission / "hepdata.tar.gz") as tar:
        assert {name.split("/")[1] for name in tar.getnames()} == set(files)


def test_the_record_has_the_likelihood_and_says_what_it_is(submission, presented):
    head, *documents = yaml.safe_load_all((submission / "hepdata/submission.yaml").read_text())
    (resource,) = head["additional_resources"]
    assert resource["type"] == "HistFactory"
    attached = submission / "hepdata" / resource["location"]
    assert attached.read_bytes() == (presented / "ttbar/workspace.json").read_bytes()
    load_model(json.loads(attached.read_text()))
    assert "no measurement" in head["comment"]
    assert all("pseudo-data" in one["description"] for one in documents)


def test_the_record_has_the_numbers_of_the_fit(submission, presented):
    fit = json.loads((presented / "ttbar/fit.json").read_text())["data"]
    content = yaml.safe_load((submission / "hepdata/pass_postfit.yaml").read_text())
    by_name = {one["header"]["name"]: one["values"] for one in content["dependent_variables"]}
    region = fit["regions"]["pass"]
    total = region["postfit"]["samples"]["total"]
    values = [entry["value"] for entry in by_name["Events, total"]]
    errors = [entry["errors"][0]["symerror"] for entry in by_name["Events, total"]]
    np.testing.assert_allclose(values, total["values"], rtol=1e-7)
    np.testing.assert_allclose(errors, total["uncertainties"], rtol=1e-7)
    assert [entry["value"] for entry in by_name["Data"]] == region["observed"]
    matrix = yaml.safe_load((submission / "hepdata/correlations.yaml").read_text())
    found = [entry["value"] for entry in matrix["dependent_variables"][0]["values"]]
    np.testing.assert_allclose(found, np.ravel(fit["correlation"]), rtol=1e-6, atol=1e-12)


def test_limits_are_published_against_mass(presented, given, tmp_path):
    values = {**given.values["inference"]}
    values["publication"] = {"zprime": values["publication"]["ttbar"]}
    settings = type(given)({"inference": values})
    _publish(presented, settings, tmp_path, "zprime")
    content = yaml.safe_load((tmp_path / "hepdata/limits.yaml").read_text())
    (axis,) = content["independent_variables"]
    assert [entry["value"] for entry in axis["values"]] == [1500.0, 2000.0, 2500.0]
    names = [one["header"]["name"] for one in content["dependent_variables"]]
    assert names == [
        "Limit on mu, observed",
        "Limit on mu, expected",
        "Limit on the cross section, observed",
        "Limit on the cross section, expected",
    ]
    labels = [error["label"] for error in content["dependent_variables"][1]["values"][0]["errors"]]
    assert labels == ["1 sigma", "2 sigma"]


def test_equal_input_gives_equal_bytes(submission, presented, given, tmp_path):
    again = _publish(presented, given, tmp_path)
    for name in ("hepdata.tar.gz", "hepdata/submission.yaml"):
        assert (again / name).read_bytes() == (submission / name).read_bytes()


def test_the_record_of_a_blind_analysis_has_no_data(blinded, given, tmp_path):
    _publish(blinded, given, tmp_path)
    content = yaml.safe_load((tmp_path / "hepdata/pass_postfit.yaml").read_text())
    assert "Data" not in [one["header"]["name"] for one in content["dependent_variables"]]
    head = next(yaml.safe_load_all((tmp_path / "hepdata/submission.yaml").read_text()))
    assert "expected results" in head["comment"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "ttbar/workspace.json").unlink(), "but no --workspace"),
        (
            lambda root: change(root / "ttbar/fit.json", lambda c: c.update(analysis="other")),
            "written for the analysis 'other', but it lies in the folder of 'ttbar'",
        ),
        (lambda root: change(root / "ttbar/fit.json", hide), "impacts on the data.* is blind"),
        (
            lambda root: change(
                root / "zprime/fit.json", lambda c: (c.pop("data"), c.pop("asimov"))
            ),
            "no fit of data nor of the expectation",
        ),
        (lambda root: (root / "ttbar/toys.json").write_text("{"), "not numbers of the stage"),
    ],
)
def test_files_that_do_not_fit_are_named(copy, files, spoil, message):
    spoil(copy)
    with pytest.raises(InputError, match=message):
        collect(**of(files, copy))


def test_two_files_of_one_analysis_are_refused(presented, files):
    given = of(files, presented)
    given["fit"] = [*given["fit"], given["fit"][0]]
    with pytest.raises(InputError, match=r"--fit: both .* are of the analysis ttbar"):
        collect(**given)


def test_a_likelihood_of_another_fit_is_not_published(copy, given, tmp_path):
    shutil.copy(copy / "zprime/workspace.json", copy / "ttbar/workspace.json")
    with pytest.raises(InputError, match="its parameters are not those of the fit"):
        _publish(copy, given, tmp_path)
    with pytest.raises(InputError, match="called submission"):
        publish.main(
            fit=copy / "ttbar/fit.json",
            workspace=copy / "ttbar/workspace.json",
            model=copy / "ttbar/model.json",
            analysis="ttbar",
            submission=tmp_path / "a.tar.gz",
            listing=tmp_path / "list.yaml",
            settings=given,
        )


def test_the_leading_parameters_are_chosen():
    matrix = np.eye(4)
    matrix[1, 2] = matrix[2, 1] = 0.5
    names = ["mu", "a", "b", "c"]
    chosen = FigureSettings(smallest_correlation=0.2)
    assert chosen_for_matrix(names, matrix, "mu", chosen) == [0, 1, 2]
    chosen = FigureSettings(smallest_correlation=0.2, most_parameters=2)
    assert chosen_for_matrix(names, matrix, "mu", chosen) == [0, 1]
    rows = [
        {"name": "a", "refit": {"up": 0.1, "down": -0.3}, "covariance": None},
        {"name": "b", "refit": None, "covariance": {"up": -0.2, "down": 0.2}},
        {"name": "c", "refit": {"up": None, "down": None}, "covariance": {"up": 1, "down": -1}},
    ]
    found = wording.ranked({"parameters": rows}, 2)
    assert [row["name"] for row in found] == ["c", "a"]


def test_many_variations_leave_the_largest():
    modifiers = [
        {"name": f"s{i}", "type": "normsys", "data": {"hi": 1 + 0.01 * i, "lo": 1 - 0.01 * i}}
        for i in range(15)
    ]
    sample = {"name": "tt", "data": [1.0, 2.0], "modifiers": modifiers}
    assert leading([sample]) == [f"s{i}" for i in range(5, 15)]


def test_ranges_and_crossings():
    points = np.linspace(-3, 3, 61)
    found = crossings(points, points**2, 1.0)
    assert found == pytest.approx([-1.0, 1.0], abs=0.01)
    low, high = ratio_range(np.array([110.0]), np.array([100.0]), np.array([5.0]))
    assert high - 1 == pytest.approx(1 - low)
    assert ratio_range(None, np.array([100.0, 0.0]), np.array([20.0, 0.0])) == (0.77, 1.23)


def test_captions_give_titles():
    assert title_of("Ratio, as learned: curves. More.") == "Ratio, as learned"
    assert title_of("All of it") == "All of it"
