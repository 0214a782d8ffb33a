"""Control histograms, the numbers beside them, and the figures drawn from them."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.jets import cluster, figures, histograms, plot
from fullchain.jets.observables import (
    bootstrap,
    observables,
    weighted_mean,
    weighted_median,
    weighted_width,
)
from fullchain.jets.settings import JetsSettings
from fullchain.metrics import read_metrics
from fullchain.step import Given

SETTINGS = JetsSettings.model_validate(
    {
        "measurement": {"pt_min": 500, "pt_max": 700, "min_jets": 5, "replicas": 50},
        "figures": {
            "shifted": {"qcd": -2},
            "alternatives": {"qcd_a14": "qcd", "absent": "qcd"},
            "lund": {"qcd": 0},
        },
    }
)
GIVEN = Given({"seed": 5, "jets": SETTINGS.model_dump(mode="json")})


@pytest.fixture(scope="module")
def jets(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Tables of two samples with the same jets."""
    folder = tmp_path_factory.mktemp("jets")
    paths = []
    for sample in ("qcd", "qcd_a14"):
        path = folder / sample / "0000.parquet"
        cluster.main(manifest=toy, jets=path, summary=path.with_suffix(".json"), settings=GIVEN)
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def filled(jets: list[Path]) -> Path:
    folder = jets[0].parents[1]
    histograms.main(
        jets=jets,
        histograms=folder / "histograms.root",
        metrics=folder / "metrics.json",
        accounts=folder / "accounts.json",
        settings=GIVEN,
    )
    return folder


def test_histograms_hold_the_jets(jets, filled):
    table = pq.read_table(jets[0], filters=[("variation", "==", "nominal")])
    weight = table["weight"].to_numpy()
    with uproot.open(filled / "histograms.root") as file:
        for observable in observables(500, 700):
            stored = file[f"qcd/nominal/all/{observable.name}"]
            np.testing.assert_allclose(stored.axis().edges(), observable.edges)
            if observable.name == "response":
                continue
            values = table[observable.name].to_numpy()
            known = np.isfinite(values)
            expected, _ = np.histogram(values[known], observable.edges, weights=weight[known])
            np.testing.assert_allclose(stored.values(), expected, rtol=1e-6)
            errors, _ = np.histogram(values[known], observable.edges, weights=weight[known] ** 2)
            np.testing.assert_allclose(stored.variances(), errors, rtol=1e-6)
        branchings = sum(len(row) for row in table["lund"].to_pylist())
        plane = file["qcd/nominal/all/lund"].values(flow=True).sum()
        assert plane > 0.9 * weight.mean() * branchings
        assert file["qcd/nominal/all/jets"].values()[0] == pytest.approx(weight.sum())


def test_metrics_are_the_same_for_the_same_jets_and_repeat(jets, filled, tmp_path):
    stage, metrics = read_metrics(filled / "metrics.json")
    assert stage == "jets"
    values = {m.name: m for m in metrics}
    for name, metric in values.items():
        assert metric.uncertainty > 0 and metric.published is None
        if name.startswith("qcd."):
            assert values[name.replace("qcd.", "qcd_a14.")].value == metric.value
    assert values["qcd.gluon.response_median"].value == pytest.approx(1, abs=0.1)
    again = tmp_path / "metrics.json"
    where = {"histograms": tmp_path / "h.root", "accounts": tmp_path / "a.json"}
    histograms.main(jets=jets, metrics=again, settings=GIVEN, **where)
    assert again.read_bytes() == (filled / "metrics.json").read_bytes()


def test_figures_are_those_the_workflow_expects(filled, tmp_path, monkeypatch):
    for kind in ("SHAPES", "SHIFTED", "ALTERNATIVE"):
        # one observable of each kind is enough: drawing is slow
        monkeypatch.setattr(figures, kind, ("mass",))
    index = tmp_path / "index.json"
    plot.main(histograms=filled / "histograms.root", index=index, settings=GIVEN)
    drawn = [entry["name"] for entry in json.loads(index.read_text())]
    samples, shifts = ["qcd", "qcd_a14"], sorted(SETTINGS.shifts)
    assert sorted(drawn) == sorted(figures.names(SETTINGS.figures, samples, shifts))
    assert {"lund_qcd", "shape_mass", "shifts_qcd_mass", "qcd_a14_mass"} == set(drawn)
    for name in drawn:
        assert (tmp_path / f"{name}.pdf").stat().st_size > 1000
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


def draw(filled: Path, folder: Path, **chosen: dict[str, int]) -> list[str]:
    changed = {"shifted": {}, "alternatives": {}, "lund": {}, **chosen}
    given = Given({"jets": {"figures": changed, "shifts": {}}})
    index = folder / "index.json"
    plot.main(histograms=filled / "histograms.root", index=index, settings=given)
    return [entry["name"] for entry in json.loads(index.read_text())]


def test_label_that_does_not_occur_leaves_its_figure_empty(filled, tmp_path):
    assert draw(filled, tmp_path, lund={"qcd": 6}) == ["lund_qcd"]


def test_sample_that_does_not_exist_has_no_figures(filled, tmp_path):
    assert draw(filled, tmp_path, lund={"zprime": 5}) == []


def empty_window(toy: Path, folder: Path, **jets: object) -> tuple[Path, Given]:
    """Histograms of two samples of which one has no jet: the folder and the settings."""
    given = Given({"seed": 5, "jets": SETTINGS.model_dump(mode="json") | jets})
    paths = []
    for sample, window in (("qcd", {}), ("qcd_a14", {"pt_min": 5000, "pt_max": 6000})):
        selection = SETTINGS.selection.model_dump() | window
        chosen = Given({"seed": 5, "jets": given["jets"] | {"selection": selection}})
        paths.append(folder / sample / "0000.parquet")
        summary = folder / f"{sample}.json"
        cluster.main(manifest=toy, jets=paths[-1], summary=summary, settings=chosen)
    histograms.main(
        jets=paths,
        histograms=folder / "histograms.root",
        metrics=folder / "metrics.json",
        accounts=folder / "accounts.json",
        settings=given,
    )
    return folder, given


def test_a_sample_without_jets_has_all_its_figures(toy, tmp_path, monkeypatch):
    for kind in ("SHAPES", "SHIFTED", "ALTERNATIVE"):
        monkeypatch.setattr(figures, kind, ("mass",))
    chosen = {
        "shifted": {"qcd": -2, "qcd_a14": 5},
        "alternatives": {"qcd_a14": "qcd"},
        "lund": {"qcd_a14": 0},
    }
    folder, given = empty_window(toy, tmp_path, figures=chosen)
    index = tmp_path / "figures" / "index.json"
    plot.main(histograms=folder / "histograms.root", index=index, settings=given)
    drawn = {entry["name"]: entry["caption"] for entry in json.loads(index.read_text())}
    expected = figures.names(
        figures.FigureSettings(**chosen), ["qcd", "qcd_a14"], sorted(SETTINGS.shifts)
    )
    assert sorted(drawn) == sorted(expected)
    caption = drawn["shifts_qcd_a14_mass"]
    assert "No jet was selected" in caption and "track efficiency down" in caption
    assert "Not there" not in drawn["shifts_qcd_mass"]


def test_histograms_of_pt_span_the_selection_and_figures_lose_no_jet(toy, tmp_path):
    selection = SETTINGS.selection.model_dump() | {"pt_min": 450.0, "pt_max": 800.0}
    given = Given({"seed": 5, "jets": SETTINGS.model_dump(mode="json") | {"selection": selection}})
    path = tmp_path / "qcd" / "0000.parquet"
    cluster.main(manifest=toy, jets=path, summary=tmp_path / "s.json", settings=given)
    where = {"histograms": tmp_path / "h.root", "metrics": tmp_path / "m.json"}
    where["accounts"] = tmp_path / "a.json"
    histograms.main(jets=[path], settings=given, **where)
    table = pq.read_table(path, filters=[("variation", "==", "nominal")])
    assert table["pt"].to_numpy().min() < 500
    total = table["weight"].to_numpy().sum()
    with uproot.open(tmp_path / "h.root") as file:
        stored = file["qcd/nominal/all/pt"]
        assert stored.axis().edges()[[0, -1]].tolist() == [450, 800]
        assert stored.values().sum() == pytest.approx(total)
        for name in ("pt", "n_constituents", "tau21"):
            shape = plot._contents(file, "qcd/nominal/all", name, 2)
            whole = file[f"qcd/nominal/all/{name}"].values(flow=True).sum()
            assert shape.values.sum() == pytest.approx(whole)


def test_overflow_is_in_the_outermost_bins():
    assert plot._with_flow(np.array([1.0, 2, 3, 4, 5])).tolist() == [3, 3, 9]


def test_file_that_is_no_table_of_jets_is_named(tmp_path):
    path = tmp_path / "qcd" / "0000.parquet"
    path.parent.mkdir()
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"0000\.parquet"):
        histograms.main(
            jets=[path],
            histograms=tmp_path / "h.root",
            metrics=tmp_path / "m.json",
            accounts=tmp_path / "a.json",
            settings=GIVEN,
        )


def test_weighted_statistics():
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 4.0])
    assert weighted_mean(values, weights) == pytest.approx(2)
    assert weighted_median(values, weights) == 2
    gauss = np.random.default_rng(1).normal(5, 2, 20_000)
    assert weighted_width(gauss, np.ones(20_000)) == pytest.approx(2, rel=0.03)


def test_bootstrap_finds_the_error_of_a_mean():
    values = np.random.default_rng(2).normal(0, 1, 400)
    ones, events = np.ones(400), np.arange(400)
    value, error = bootstrap(weighted_mean, values, ones, events, 400, 1, "test")
    assert value == pytest.approx(values.mean())
    assert error == pytest.approx(values.std() / 20, rel=0.15)
    # two copies of each jet in one event know no more than one
    twice = bootstrap(
        weighted_mean, np.repeat(values, 2), np.ones(800), np.repeat(events, 2), 400, 1, "test"
    )
    assert twice[1] == pytest.approx(error, rel=1e-6)


def test_wrong_settings_are_refused():
    for wrong in (
        {"shifts": {"nominal": {"kind": "jes", "shift": 0.1}}},
        {"selection": {"pt_min": 700, "pt_max": 500}},
        {"shifts": {"x": {"kind": "jes", "shfit": 0.1}}},
    ):
        with pytest.raises(ValidationError):
            JetsSettings.model_validate(wrong)


def test_null_leaves_a_shift_or_a_figure_out():
    chosen = JetsSettings.model_validate(
        {
            "shifts": {"jes_up": {"kind": "jes", "shift": 0.02}, "jer_up": None},
            "figures": {"lund": {"qcd": 0, "tt": None}},
        }
    )
    assert list(chosen.shifts) == ["jes_up"] and list(chosen.figures.lund) == ["qcd"]


def test_jets_are_read_a_few_at_a_time_with_the_same_result(jets, filled, tmp_path, monkeypatch):
    """Only batches are given out, and histograms and numbers are the same to the bit."""
    largest = []
    read = histograms.read_jets

    def few(path, *further):
        for table in read(path, *further):
            largest.append(len(table))
            yield table

    monkeypatch.setattr(histograms, "BATCH", 7)
    monkeypatch.setattr(histograms, "read_jets", few)
    monkeypatch.setattr(pq, "read_table", lambda *_, **__: pytest.fail("a whole file is read"))
    where = {name: tmp_path / name for name in ("metrics", "accounts")}
    histograms.main(jets=jets, histograms=tmp_path / "h.root", settings=GIVEN, **where)
    assert max(largest) <= 7 < sum(largest)
    assert where["metrics"].read_bytes() == (filled / "metrics.json").read_bytes()
    with uproot.open(tmp_path / "h.root") as found, uproot.open(filled / "histograms.root") as all:
        assert found.keys() == all.keys()
        for name in all.keys(filter_classname="TH*"):
            np.testing.assert_array_equal(
                found[name].values(flow=True), all[name].values(flow=True)
            )
            np.testing.assert_array_equal(found[name].variances(), all[name].variances())


@pytest.mark.parametrize("column", ["weight", "label", "mass"])
def test_a_missing_value_is_no_number(jets, tmp_path, column):
    """It would be filled as NaN, or as any label."""
    table = pq.read_table(jets[0])
    values = [None, *table[column].to_pylist()[1:]]
    place = table.column_names.index(column)
    damaged = table.set_column(place, column, pa.array(values, table[column].type))
    path = tmp_path / "qcd" / "0000.parquet"
    path.parent.mkdir()
    pq.write_table(damaged, path)
    where = {name: tmp_path / name for name in ("histograms", "metrics", "accounts")}
    with pytest.raises(InputError, match=rf"0000\.parquet: column '{column}' has 1 missing"):
        histograms.main(jets=[path], settings=GIVEN, **where)


def test_every_row_is_accounted_for(jets, filled, tmp_path, monkeypatch):
    accounts = json.loads((filled / "accounts.json").read_text())["accounts"]
    assert list(accounts) == ["qcd", "qcd_a14"]
    rows = pq.read_metadata(jets[0]).num_rows
    assert accounts["qcd"]["read"] == accounts["qcd"]["written"] == rows > 0
    read = histograms.read_jets
    monkeypatch.setattr(histograms, "read_jets", lambda *given: [next(read(*given)).slice(1)])
    where = {name: tmp_path / name for name in ("histograms", "metrics", "accounts")}
    with pytest.raises(InputError, match=rf"qcd: control histograms: {rows} read, .* lost"):
        histograms.main(jets=jets[:1], settings=GIVEN, **where)
    assert not where["accounts"].exists()
