"""The steps prepare and summarise on the small analysis, and what is made of their numbers."""

import json
import shutil

import numpy as np
import pytest

from fullchain import plotting
from fullchain.errors import InputError
from fullchain.inference import prepare, summarise, summary_numbers
from fullchain.inference.summaries_settings import SummariesSettings
from fullchain.inference.summary_comparison import compare
from fullchain.inference.summary_events import pair, read_events
from fullchain.inference.summary_figure_names import summary_figure_names
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables
from fullchain.step import Given

QUICK = {"batches": 2, "epochs": 3, "learning_rate": 0.01}
SETTINGS = {
    "analysis": "search",
    "features": ["msoftdrop", "pt"],
    "bins": 4,
    "layers": [8],
    "seeds": 2,
    "replicas": 10,
    "scores": [],
    "losses": {name: QUICK for name in ("cross_entropy", "inferno", "significance", "likelihood")},
}


def given(analysis, **changes):
    values = dict(analysis.given(**changes).values)
    chosen = SummariesSettings(**SETTINGS).model_dump(mode="json")
    values["inference"] = {**values["inference"], "summaries": chosen}
    return Given(values)


def run_prepare(analysis, out, **changes):
    scores = sorted((analysis.root / "tagging" / "pfn" / "scores").glob("*.parquet"))
    prepare.main(
        jets=sorted((analysis.root / "jets").glob("*/*.parquet")),
        scores=scores,
        manifests=sorted((analysis.root / "ntuples").glob("*/manifest.json")),
        analysis="search",
        events=out / "events.parquet",
        summary=out / "prepared.json",
        settings=given(analysis, **changes),
    )


@pytest.fixture(scope="module")
def prepared(analysis, tmp_path_factory):
    out = tmp_path_factory.mktemp("summaries")
    run_prepare(analysis, out)
    return out


def test_two_events_with_the_same_numbers_are_refused(analysis, tmp_path):
    for folder in ("jets", "tagging", "ntuples"):
        shutil.copytree(analysis.root / folder, tmp_path / folder)
    parts = [tmp_path / f"jets/tt/{number:04d}.parquet" for number in range(2)]
    shutil.copy(*parts)
    with pytest.raises(InputError, match=r"jets/tt: two events have the numbers 1:1:0"):
        run_prepare(type(analysis)(tmp_path), tmp_path)


@pytest.fixture(scope="module")
def contents(analysis, prepared):
    found = []
    for method in SummariesSettings(**SETTINGS).summaries():
        summarise.main(
            events=prepared / "events.parquet",
            summary=prepared / "prepared.json",
            method=method,
            numbers=prepared / f"{method}.json",
            model=prepared / f"{method}.pt",
            settings=given(analysis),
        )
        found.append(json.loads((prepared / f"{method}.json").read_text()))
    return found


def test_events_have_the_expected_yields(prepared):
    events = read_events(prepared / "events.parquet")
    summary = json.loads((prepared / "prepared.json").read_text())
    own = (events.process == "qcd") & events.member["nominal"]
    # Jets from 480 to 720 GeV, of which 500 to 700 are selected; 2000 pb at 0.1/fb
    assert events.weight[own].sum() == pytest.approx(2000.0 * 100.0 * 200 / 240, rel=0.03)
    up = (events.process == "qcd") & events.member["jes_up"]
    assert up.sum() != own.sum()
    assert summary["signals"] == ["zprime"]
    by_name = {one["name"]: one for one in summary["nuisances"]}
    assert by_name["track_efficiency"]["sides"] == ["down"]
    assert by_name["tt_tune"]["kind"] == "factor"
    assert by_name["isr"]["group"] == "theory"
    assert set(events.alternative) == {""}


def test_parts_are_those_of_the_taggers(prepared):
    events = read_events(prepared / "events.parquet")
    fractions = [np.mean(events.part == name) for name in ("train", "validation", "test")]
    assert fractions == pytest.approx([0.5, 0.15, 0.35], abs=0.03)


def test_all_summaries_are_evaluated(contents):
    compared = compare(contents)
    assert compared[0].name == "cross_entropy"
    assert {one.name for one in compared} == {
        "cross_entropy", "inferno", "significance", "likelihood", "pfn",
    }  # fmt: skip
    for one in compared:
        assert 0 < one.groups["statistical"] <= one.groups["without MC statistics"] < one.value
        assert one.error > 0


def test_numbers_can_be_written(contents, tmp_path):
    rows = summary_numbers.metrics(contents)
    write_metrics(tmp_path / "metrics.json", "inference", rows)
    write_tables(tmp_path / "tables.json", "inference", summary_numbers.tables(contents))
    names = {row.name for row in rows}
    assert "summaries.search.inferno.relative" in names
    assert "summaries.search.cross_entropy.relative" not in names


def test_figures_are_those_that_are_announced(contents, tmp_path):
    from fullchain.inference.summary_figures import figures

    drawn = figures(contents)
    assert list(drawn) == summary_figure_names(SummariesSettings(**SETTINGS))
    assert summary_figure_names(None) == []
    saved = plotting.figure_set(tmp_path / "index.json", "inference")
    for name, (fig, caption) in drawn.items():
        saved.save(fig, name, title=name, caption=caption)


def test_two_runs_give_the_same_numbers(analysis, prepared, contents, tmp_path):
    summarise.main(
        events=prepared / "events.parquet",
        summary=prepared / "prepared.json",
        method="inferno",
        numbers=tmp_path / "again.json",
        model=tmp_path / "again.pt",
        settings=given(analysis),
    )
    assert (tmp_path / "again.json").read_bytes() == (prepared / "inferno.json").read_bytes()


def test_unknown_method_is_refused(analysis, prepared, tmp_path):
    with pytest.raises(InputError, match="scores"):
        summarise.main(
            events=prepared / "events.parquet",
            summary=prepared / "prepared.json",
            method="infernal",
            numbers=tmp_path / "x.json",
            model=tmp_path / "x.pt",
            settings=given(analysis),
        )


def test_a_weight_that_is_not_there_is_named(analysis, tmp_path):
    systematics = {
        "isr": {"kind": "histosys", "weight": "isr", "samples": ["wjet"]},
    }
    with pytest.raises(InputError, match=r"wjet.*isr changes nothing"):
        run_prepare(analysis, tmp_path, systematics=systematics)


def test_the_leading_jet_of_each_variation():
    columns = {
        "run": np.ones(5, np.uint32),
        "luminosityBlock": np.ones(5, np.uint32),
        "event": np.array([7, 7, 7, 8, 9], np.uint64),
        "variation": np.array(["nominal", "nominal", "jes_up", "jes_up", "nominal"]),
        "jet": np.array([0, 1, 0, 0, 0], np.int32),
        "pt": np.array([720.0, 600.0, 610.0, 550.0, 300.0]),
    }
    first, rows = pair(columns, (500.0, 700.0))
    assert columns["event"][first].tolist() == [7, 8]
    assert rows["nominal"].tolist() == [1, -1]
    assert rows["jes_up"].tolist() == [2, 3]
