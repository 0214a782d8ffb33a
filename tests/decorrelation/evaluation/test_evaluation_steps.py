"""The steps evaluate, tabulate and plot on toys, and what they refuse."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet
import pytest
from matplotlib.figure import Figure

from fullchain.decorrelation import (
    evaluate,
    figures,
    fit_figures,
    frontier_figures,
    looks,
    plot,
    published,
    shape_figures,
    tabulate,
)
from fullchain.decorrelation.settings import DecorrelationSettings
from fullchain.errors import InputError
from fullchain.metrics import Metric, read_metrics
from fullchain.plotting import FigureSet, figure_set
from fullchain.step import Given

Values = dict[str, Any]
Toys = Any


def run(
    toys: Toys, values: Values, path: Path, classifier: str = "", variant: str = ""
) -> dict[str, Any]:
    evaluate.main(
        jets=list(toys.jets.values()),
        samples=list(toys.jets),
        scores=list(toys.scores.values()),
        manifests=toys.manifests,
        tagger="w",
        classifier=classifier,
        variant=variant,
        performance=path,
        settings=Given(values),
    )
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("decorrelation")


@pytest.fixture(scope="module")
def measured(folder: Path, toys: Callable[..., Toys], values: Values) -> dict[str, dict[str, Any]]:
    """Measurements of a tagger that sculpts, and of classifiers that do so less or not at all."""
    several = copy.deepcopy(values)
    several["decorrelation"]["classifiers"]["disco"]["seeds"] = 2
    cases = (
        ("w", "", 3.0, 1, values),
        ("disco_1", "disco", 1.0, 2, several),
        ("disco_10", "disco", 0.0, 2, several),
        ("mode_5", "mode", 0.0, 1, values),
    )
    return {
        name: run(
            toys(folder / name, sculpting=sculpting, seeds=seeds),
            given,
            folder / f"{name}.json",
            classifier,
            name if classifier else "",
        )
        for name, classifier, sculpting, seeds, given in cases
    }


def main_point(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return next(one for one in entries if one["signal_efficiency"] == 0.5)


def test_sculpting_is_seen_and_costs_precision(measured: dict[str, dict[str, Any]]) -> None:
    tagger, flat = measured["w"], measured["mode_5"]
    assert tagger["name"] == "w" and tagger["classifier"] is None and tagger["seeds"] is None
    one, other = (main_point(both["sculpting"]["msoftdrop"]) for both in (tagger, flat))
    assert one["jsd"]["value"] > 2 * other["jsd"]["value"] and one["p_value"] < 0.02
    assert one["corrected"]["value"] > 5 * abs(other["corrected"]["value"])
    assert one["flatness"]["p_value"] < 1e-6 < other["flatness"]["p_value"]
    assert other["inverse_corrected"]["is_limit"] == (other["p_value"] > 0.05)
    fits = [main_point(both["mass_fit"]["points"]) for both in (tagger, flat)]
    biases = [entry["orders"][0]["bias"]["value"] for entry in fits]
    assert biases[0] > 0.1 and abs(biases[1]) < 0.3 * biases[0]
    assert fits[0]["orders"][0]["toys"]["pull"]["value"] > 3.0
    assert fits[1]["orders"][0]["total"]["value"] < fits[0]["orders"][0]["total"]["value"]
    assert fits[1]["order"] <= fits[0]["order"]


def test_yields_are_cross_section_times_luminosity(measured: dict[str, dict[str, Any]]) -> None:
    fit = measured["mode_5"]["mass_fit"]
    # All generated jets are in the window, and the test part stands for all of them.
    assert fit["luminosity"] == 1.0
    assert fit["expected"]["signal"] == pytest.approx(1000.0, rel=1e-3)
    assert fit["expected"]["background"] == pytest.approx(15000.0, rel=1e-3)
    entry = main_point(fit["points"])
    assert entry["expected"]["signal"] == pytest.approx(500.0, rel=0.01)


def test_spread_over_seeds(measured: dict[str, dict[str, Any]]) -> None:
    seeds = measured["disco_1"]["seeds"]
    assert seeds["number"] == 2
    rejection = main_point(seeds["rejection"])
    assert len(rejection["values"]) == 2 and rejection["deviation"] > 0
    assert main_point(seeds["jsd"]["msoftdrop"])["deviation"] > 0
    fit = main_point(measured["disco_1"]["mass_fit"]["points"])
    assert fit["seeds"]["mu_uncertainty"]["mean"] > 0
    assert main_point(measured["w"]["mass_fit"]["points"])["seeds"] is None


def test_same_numbers_again(
    measured: dict[str, dict[str, Any]], folder: Path, toys: Callable[..., Toys], values: Values
) -> None:
    run(toys(folder / "again", sculpting=0.0), values, folder / "again.json", "mode", "mode_5")
    assert (folder / "again.json").read_bytes() == (folder / "mode_5.json").read_bytes()


def test_table(measured: dict[str, dict[str, Any]], folder: Path) -> None:
    paths = [folder / f"{name}.json" for name in measured]
    tabulate.main(performance=paths, metrics=folder / "metrics.json", settings=Given({}))
    stage, rows = read_metrics(folder / "metrics.json")
    found = {row.name: row for row in rows}
    assert stage == "decorrelation"
    assert found["w.rejection_50"].published == 27.2
    assert found["w.msoftdrop.inverse_jsd_50"].published == 3.8
    assert "other data set" in (found["w.rejection_50"].note or "")
    assert found["mode_5.rejection_50"].published is None
    assert found["mode_5.msoftdrop.inverse_jsd_gain_50"].value > 2.0
    assert 0 < found["mode_5.rejection_kept_50"].value < 1.0
    assert found["w.fit.spurious_pull_50_flat"].uncertainty > 0
    assert "disco_1.rejection_50_single" in found


def rows_of(folder: Path, *performance: dict[str, Any]) -> dict[str, Metric]:
    """Metrics by name of some measurements."""
    paths = []
    for number, one in enumerate(performance):
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(json.dumps(one))
    tabulate.main(performance=paths, metrics=folder / "metrics.json", settings=Given({}))
    return {row.name: row for row in read_metrics(folder / "metrics.json")[1]}


def test_a_spurious_signal_has_the_error_of_toys_and_of_the_events(
    measured: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    found = rows_of(tmp_path, measured["w"])
    flat = main_point(measured["w"]["mass_fit"]["points"])["orders"][0]
    for quantity, expected in (("mu", "bias"), ("pull", "pull")):
        row = found[f"w.fit.spurious_{quantity}_50_flat"]
        of_toys, of_events = flat["toys"][quantity]["deviation"], flat[expected]["deviation"]
        assert row.uncertainty == pytest.approx(np.hypot(of_toys, of_events))
        assert row.uncertainty > 1.5 * of_toys
        assert f"{of_toys:.2g} of the mean of the toys, {of_events:.2g} of" in (row.note or "")
        assert row.uncertainty_kind == "toys and bootstrap"


def test_the_gain_is_given_without_the_floor_too(
    measured: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    tagger, better = copy.deepcopy(measured["w"]), copy.deepcopy(measured["disco_1"])
    name = "disco_1.msoftdrop.inverse_jsd_corrected_gain_50"
    one, other = (main_point(both["sculpting"]["msoftdrop"]) for both in (better, tagger))
    value = {"value": 20.0, "uncertainty": 3.0, "low": 17.4, "high": 23.5, "is_limit": False}
    one["inverse_corrected"] = value
    other["inverse_corrected"] = {**value, "value": 2.0, "uncertainty": 0.2}
    row = rows_of(tmp_path, tagger, better)[name]
    assert row.value == pytest.approx(10.0) and row.limit is None
    assert row.uncertainty == pytest.approx(10.0 * np.hypot(0.15, 0.1))
    one["inverse_corrected"] = {**value, "high": None, "is_limit": True}
    row = rows_of(tmp_path, tagger, better)[name]
    assert (row.value, row.uncertainty, row.limit) == (pytest.approx(10.0), 0.0, "lower")
    other["inverse_corrected"] = {**value, "high": None, "is_limit": True}
    found = rows_of(tmp_path, tagger, better)
    assert name not in found and "disco_1.msoftdrop.inverse_jsd_gain_50" in found


def test_a_fit_that_does_not_describe_the_background_is_marked(
    folder: Path,
    toys: Callable[..., Toys],
    values: Values,
    drawn: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = copy.deepcopy(values)
    held["decorrelation"]["evaluation"]["mass_fit"]["order"] = 0
    found = run(toys(folder / "held", sculpting=3.0), held, folder / "held.json")
    said = capsys.readouterr().err
    assert "warning: w, mass fit at 50 % signal: a transfer factor of order 0 does not" in said
    rows = rows_of(folder / "held", found)
    for quantity in ("mu_uncertainty", "significance", "total", "spurious_mu", "spurious_pull"):
        row = rows[f"w.fit.{quantity}_50"]
        assert tabulate.UNDESCRIBED in row.label
        assert "order 0 does not describe the expected background" in (row.note or "")
    figures_of = figure_set(folder / "held/index.json", "held")
    fit_figures.draw(figures_of, "w", [found])
    fit_figures.draw_fit(figures_of, found)
    for name in ("strength_w", "fit_w"):
        assert "w at 50 % signal: a transfer factor of order 0 does not" in drawn[name]


def test_a_fit_that_describes_the_background_is_not_marked(
    measured: dict[str, dict[str, Any]], tmp_path: Path, drawn: dict[str, str]
) -> None:
    assert main_point(measured["mode_5"]["mass_fit"]["points"])["orders"][0]["describes"]
    rows = rows_of(tmp_path, measured["mode_5"])
    row = rows["mode_5.fit.mu_uncertainty_50"]
    assert tabulate.UNDESCRIBED not in row.label and "does not" not in (row.note or "")
    fit_figures.draw_fit(figure_set(tmp_path / "index.json", "plain"), measured["mode_5"])
    assert "does not describe the expected background." in drawn["fit_mode_5"]
    assert "a transfer factor of order" not in drawn["fit_mode_5"].split("(!)")[1]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Captions by name of figures; only those that start with `frontier` reach the disk."""
    save, captions = FigureSet.save, {}

    def light(self: FigureSet, fig: Figure, name: str, title: str, caption: str) -> None:
        assert name not in captions and title and caption
        captions[name] = caption
        if name.startswith("frontier"):
            save(self, fig, name, title, caption)
        plt.close(fig)

    monkeypatch.setattr(FigureSet, "save", light)
    return captions


def test_figures(
    measured: dict[str, dict[str, Any]], folder: Path, values: Values, drawn: dict[str, str]
) -> None:
    paths = [folder / f"{name}.json" for name in measured]
    plot.main(performance=paths, index=folder / "figures/index.json", settings=Given({}))
    chosen = DecorrelationSettings.model_validate(values["decorrelation"])
    assert sorted(drawn) == sorted(figures.names(chosen))
    (entry,) = json.loads((folder / "figures/index.json").read_text())
    assert entry["name"] == "frontier_w_msoftdrop"
    assert (folder / "figures/frontier_w_msoftdrop.pdf").stat().st_size > 5000
    assert "base 2, 50 bins" in drawn["frontier_w_msoftdrop"]
    assert published.SOURCE in drawn["frontier_w_msoftdrop"]


def test_figures_of_fits_say_that_too_few_jets_pass(
    measured: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = copy.deepcopy(measured["mode_5"])
    for point in empty["mass_fit"]["points"]:
        point["orders"] = None
    said: dict[str, list[str]] = {}
    save = FigureSet.save

    def noted(self: FigureSet, fig: Figure, name: str, *words: str) -> None:
        said[name] = [text.get_text() for ax in fig.axes for text in ax.texts]
        save(self, fig, name, *words)

    monkeypatch.setattr(FigureSet, "save", noted)
    drawn = figure_set(tmp_path / "index.json", "decorrelation")
    fit_figures.draw(drawn, "w", [empty])
    fit_figures.draw_fit(drawn, empty)
    assert set(said) == {"strength_w", "spurious_w", "fit_mode_5"}
    assert all("too few simulated jets pass" in texts for texts in said.values())


def test_published_points_are_of_the_same_task_and_strength(
    measured: dict[str, dict[str, Any]],
) -> None:
    mode = {**measured["mode_5"], "method": {"kind": "mode", "order": 0}, "strength": 300.0}
    point = tabulate.beside(mode)
    assert point is not None and point.rejection == 7.9
    assert tabulate.beside({**mode, "strength": 30.0}) is None
    top = {"top": {"labels": ["top"]}, "qcd": {"labels": ["light"]}}
    assert published.points({**mode, "classes": top}) == ()
    assert published.points({**mode, "mass_bins": 25}) == ()


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ({"kind": "disco"}, "x (DisCo)"),
        ({"kind": "mode", "order": 2}, "x (MoDe[2])"),
        ({"kind": "boosting", "loss": "uboost"}, "x (uBoost)"),
        ({"kind": "boosting", "loss": "flatness"}, "x (flatness loss)"),
        ({"kind": "flow"}, "x (conditional flow)"),
    ],
)
def test_names_of_methods(method: Values, name: str) -> None:
    one = {"classifier": "x", "tagger": "w", "source": None, "method": method}
    assert looks.method_name(one) == name
    unconstrained = {"classifier": None, "tagger": "w", "method": None}
    assert looks.method_name(unconstrained) == "w, unconstrained"


def test_two_columns_and_no_mass_fits(
    folder: Path, toys: Callable[..., Toys], values: Values, drawn: dict[str, str]
) -> None:
    changed = copy.deepcopy(values)
    changed["decorrelation"]["against"] = ["msoftdrop", "pt"]
    changed["decorrelation"]["evaluation"]["mass_fit"] = None
    path = folder / "two.json"
    found = run(toys(folder / "two", sculpting=1.0, jets=1500), changed, path)
    assert found["mass_fit"] is None
    assert set(found["sculpting"]) == set(found["shapes"]) == {"msoftdrop", "pt"}
    assert main_point(found["sculpting"]["pt"])["flatness"]["p_value"] > 1e-4
    # A column without a window is measured over the range of the background.
    low, high = found["shapes"]["pt"]["edges"][0], found["shapes"]["pt"]["edges"][-1]
    assert 500.0 <= low < 505.0 and 695.0 < high <= 700.0
    frontier_figures.draw(figure_set(folder / "two/index.json", "two"), "w", [found])
    shape_figures.draw(figure_set(folder / "two/index.json", "two"), found)
    every = figures.names(DecorrelationSettings.model_validate(changed["decorrelation"]))
    assert set(drawn) == {name for name in every if "disco" not in name and "mode" not in name}


def constant(columns: Values, name: str) -> Values:
    return {**columns, "msoftdrop": np.full(len(columns["pt"]), 80.0)}


def outside(columns: Values, name: str) -> Values:
    return columns if name == "wjet" else {**columns, "msoftdrop": columns["msoftdrop"] + 300.0}


def weightless(columns: Values, name: str) -> Values:
    signs = np.where(np.arange(len(columns["pt"])) % 2 == 0, 1.0, -1.0)
    return columns if name == "wjet" else {**columns, "weight": signs}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (constant, "msoftdrop is 80 for all"),
        (outside, "no qcd jets inside the selection of the tagger .*, msoftdrop 50-300"),
        (weightless, "the weights of the qcd jets .* sum to"),
    ],
)
def test_jets_that_cannot_be_measured_are_refused(
    tmp_path: Path,
    toys: Callable[..., Toys],
    values: Values,
    change: Callable[[Values, str], Values],
    message: str,
) -> None:
    # Two jets of an event have opposite weights, so that each part of the events sums to zero.
    written = toys(tmp_path, jets=400, change=change)
    with pytest.raises(InputError, match=message):
        run(written, values, tmp_path / "performance.json")


def test_missing_seeds_cross_sections_and_variants_are_refused(
    tmp_path: Path, toys: Callable[..., Toys], values: Values
) -> None:
    written = toys(tmp_path, jets=400)
    more = copy.deepcopy(values)
    more["decorrelation"]["classifiers"]["disco"]["seeds"] = 3
    path = tmp_path / "performance.json"
    with pytest.raises(InputError, match="no column seed0_score"):
        run(written, more, path, "disco", "disco_1")
    with pytest.raises(InputError, match="variants disco_1, disco_10; there is no 'disco_3'"):
        run(written, values, path, "disco", "disco_3")
    content = json.loads(written.manifests[0].read_text())
    written.manifests[0].write_text(json.dumps({**content, "cross_section_pb": None}))
    with pytest.raises(InputError, match=r"sample wjet: the manifest has no cross section"):
        run(written, values, path)
    given = copy.deepcopy(values)
    given["decorrelation"]["evaluation"]["mass_fit"]["expected"] = {"W": 100.0, "qcd": 2000.0}
    found = run(written, given, path)
    assert found["mass_fit"]["luminosity"] is None
    assert found["mass_fit"]["expected"]["background"] == pytest.approx(2000.0)


def test_scores_of_other_jets_and_other_files_are_refused(
    tmp_path: Path, toys: Callable[..., Toys], values: Values
) -> None:
    written = toys(tmp_path, jets=400)
    table = pyarrow.parquet.read_table(written.scores["qcd"])
    pyarrow.parquet.write_table(table.slice(1), written.scores["qcd"])
    with pytest.raises(InputError, match="predict again"):
        run(written, values, tmp_path / "performance.json")
    (tmp_path / "other.json").write_text("{}")
    for step in (
        lambda: tabulate.main(
            performance=[tmp_path / "other.json"],
            metrics=tmp_path / "metrics.json",
            settings=Given({}),
        ),
        lambda: plot.main(
            performance=[tmp_path / "other.json"],
            index=tmp_path / "index.json",
            settings=Given({}),
        ),
    ):
        with pytest.raises(InputError, match=r"other\.json: not numbers of .*decorrelation"):
            step()
