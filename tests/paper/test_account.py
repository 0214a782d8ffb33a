"""What every step read is what the step before it wrote."""

import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fullchain.accounting import Account
from fullchain.dag.closure import code
from fullchain.errors import InputError
from fullchain.paper import account
from fullchain.pileup.weight_file import weight_writer
from fullchain.step import Given

EVENTS = {"0000": 100, "0001": 60}
SELECTED = {"0000": 70, "0001": 40}
NOMINAL = {"0000": 90, "0001": 50}
SHIFTED = {"0000": 80, "0001": 45}
ALL_JETS = sum(NOMINAL.values()) + sum(SHIFTED.values())


def write_json(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_rows(path: Path, rows: int, about=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"event": np.arange(rows)})
    metadata = {"about": json.dumps(about)} if about else None
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def write_no_weights(path: Path, whole: bool) -> None:
    """A file of weights without a row."""
    with weight_writer(path, "puppi", "tt", whole=whole):
        pass


class Run:
    """The files of a run with two parts of one sample, as the steps leave them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "paper/accounts.json"
        self.asked = {"kind": "generated", "events": 160}
        self.given: dict[str, list[Path]] = {
            "manifests": [write_json(folder / "ntuples/tt/manifest.json", self.manifest())],
            "weights": [
                write_rows(folder / f"pileup/weights/puppi/tt/{part}.parquet", events)
                for part, events in EVENTS.items()
            ],
            "jets": [
                write_json(folder / f"jets/tt/{part}.json", self.jets(part)) for part in EVENTS
            ],
            "histograms": [self.accounts("jets/accounts.json", Account(ALL_JETS, ALL_JETS))],
            "trainings": [
                self.accounts(
                    "tagging/pfn/fold0_seed0/history.json",
                    Account(140, 90, {"outside the selection": 30, "for tests only": 20}),
                )
            ],
            "scores": [write_rows(folder / "tagging/pfn/scores/tt.parquet", ALL_JETS)],
            "templates": [
                self.accounts(
                    "inference/ttbar/templates.json",
                    Account(110, 50, {"trained on": 40, "in no region": 20}, 220.0),
                )
            ],
            "unfolding": [
                write_json(
                    folder / f"unfolding/events/tt/{part}.json",
                    {
                        "sample": "tt",
                        "part": part,
                        "files": [{"path": "a.root", "events_read": events}],
                        "rows": events - 5,
                    },
                )
                for part, events in EVENTS.items()
            ],
            "pairs": [self.pair(140, 100)],
            "trigger": [self.trigger(part, jets) for part, jets in NOMINAL.items()],
        }

    def manifest(self, **changes):
        parts = [
            {
                "part": part,
                "events": events,
                "files": [
                    {
                        "path": f"{part}.root",
                        "status": "ok",
                        "events": events,
                        "entries": events + 3,
                        "sum_of_event_weights": 2.0 * events,
                        "reason": None,
                    },
                    {"path": "bad.root", "status": "skipped", "events": 0, "reason": "no tree"},
                ],
            }
            for part, events in EVENTS.items()
        ]
        return {"sample": "tt", "layout": "pfnano", "events": 160, "parts": parts, **changes}

    def jets(self, part: str, lost: int = 0):
        everything, chosen = EVENTS[part] - lost, SELECTED[part]
        flow = {
            "all": {"events": everything, "sum_of_weights": 2.0 * everything},
            "identified central jet": {"events": chosen + 5, "sum_of_weights": 2.0 * chosen + 10},
            "jet in the pT window": {"events": chosen, "sum_of_weights": 2.0 * chosen},
        }
        return {
            "sample": "tt",
            "part": part,
            "files": [{"path": "a.root", "events_read": EVENTS[part] - lost}],
            "jets": {"nominal": NOMINAL[part], "jes_up": SHIFTED[part]},
            "cutflow": {"nominal": flow, "jes_up": flow},
        }

    def accounts(self, path: str, one: Account) -> Path:
        return write_json(self.folder / path, {"accounts": {"tt": one.as_dict()}})

    def pair(self, nominal: int, rows: int, counted: int | None = None) -> Path:
        one = Account(nominal, counted or rows, {"of another label": nominal - (counted or rows)})
        about = {"sample": "tops", "pairs": {"sample": "tt"}, "account": one.as_dict()}
        return write_rows(self.folder / "unfolding/events/tops/0000.parquet", rows, about)

    def trigger(self, part: str, jets: int) -> Path:
        path = self.folder / f"firmware/inputs/tt/{part}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["features"] = np.zeros((jets, 2))
        return path

    def account(self, **changes):
        settings = Given({"ntuples": {"samples": {"tt": self.asked}}})
        account.main(**{**self.given, **changes}, accounts=self.out, settings=settings)
        return json.loads(self.out.read_text())

    def fails(self, *words: str, **changes) -> None:
        with pytest.raises(InputError) as problem:
            self.account(**changes)
        for word in words:
            assert word in str(problem.value)
        assert not self.out.exists()


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "results/small")


def test_a_run_that_lost_nothing_passes(run):
    content = run.account()
    rows = {(row["step"], row["what"]): row for row in content["samples"]}
    assert [row["step"] for row in content["samples"]] == [
        "ntuples",
        "pileup weights, puppi",
        "jets cluster",
        "jets histograms",
        "tagging train, pfn fold0_seed0",
        "tagging scores, pfn",
        "inference templates, ttbar",
        "unfolding select",
        "unfolding pair, tops",
        "firmware observe",
    ]
    assert rows["ntuples", "events"]["rejected"] == {"more than max_events": 6}
    assert rows["ntuples", "events"]["sum_written"] == 320.0
    jets = rows["jets cluster", "events"]
    assert (jets["read"], jets["written"]) == (160, 110)
    assert jets["rejected"] == {"no identified central jet": 40, "no jet in the pT window": 10}
    assert (jets["sum_read"], jets["sum_written"]) == (320.0, 220.0)
    assert content["files_skipped"] == {"tt": {"no tree": 2}}
    assert {row["part"] for row in content["parts"]} == set(EVENTS)
    for row in content["samples"] + content["parts"]:
        assert row["read"] == row["written"] + sum(row["rejected"].values())


def test_stages_that_are_off_are_not_asked_for(run):
    kept = {"manifests": run.given["manifests"], "jets": run.given["jets"]}
    run.given = kept
    assert {row["step"] for row in run.account()["samples"]} == {"ntuples", "jets cluster"}


def test_events_lost_before_the_jets_are_named(run):
    write_json(run.given["jets"][1], run.jets("0001", lost=1))
    run.fails(
        "jets/tt/0001.json", "jets cluster read 59 events of sample tt, part 0001", "wrote 60"
    )


def test_events_lost_within_a_step_are_named(run):
    content = run.jets("0000")
    content["cutflow"]["jes_up"] = json.loads(json.dumps(content["cutflow"]["jes_up"]))
    content["cutflow"]["jes_up"]["all"]["events"] = 99
    write_json(run.given["jets"][0], content)
    run.fails("sample tt, part 0000", "100 events were read, but 99 treated", "jes_up")


def test_a_part_that_nobody_read_is_named(run):
    run.fails("sample tt, part 0001", "jets cluster", "1 of 2 parts", jets=run.given["jets"][:1])


def test_a_part_given_twice_is_named(run):
    jets = run.given["jets"]
    run.fails("jets cluster, sample tt, part 0000 is given twice", jets=[jets[0], jets[0], jets[1]])


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (
            "weights",
            lambda run: write_rows(run.given["weights"][0], 99),
            ["puppi read 99 events of sample tt, part 0000", "wrote 100"],
        ),
        (
            "histograms",
            lambda run: run.accounts("jets/accounts.json", Account(264, 264)),
            ["jets histograms read 264 jets of sample tt", "wrote 265", "0000.json and 1 more"],
        ),
        (
            "histograms",
            lambda run: run.accounts("jets/accounts.json", Account(265, 264)),
            ["jets histograms, sample tt: 265 read, 264 written: 1 lost"],
        ),
        (
            "trainings",
            lambda run: run.accounts("tagging/pfn/fold0_seed0/history.json", Account(139, 139)),
            ["tagging train, pfn fold0_seed0 read 139 nominal jets", "wrote 140"],
        ),
        (
            "scores",
            lambda run: write_rows(run.given["scores"][0], 266),
            ["tagging scores, pfn read 266 jets of sample tt", "wrote 265"],
        ),
        (
            "templates",
            lambda run: run.accounts("inference/ttbar/templates.json", Account(109, 109)),
            [
                "inference templates, ttbar read 109 events with jets",
                "wrote 110",
                "equal numbers (run, luminosity block, event)",
            ],
        ),
        (
            "pairs",
            lambda run: run.pair(138, 100),
            ["unfolding pair, tops read 138 nominal jets of sample tt", "wrote 140"],
        ),
        (
            "pairs",
            lambda run: run.pair(140, 100, counted=101),
            ["unfolding pair, tops wrote 101 rows, 100 are there"],
        ),
        (
            "trigger",
            lambda run: run.trigger("0001", 49),
            ["firmware observe read 49 nominal jets of sample tt, part 0001", "wrote 50"],
        ),
    ],
)
def test_what_is_lost_in_any_stage_is_named(run, name, change, words):
    path = change(run)
    run.fails(str(path), *words)
    assert path in run.given[name]


def test_fewer_events_than_were_asked_for_are_named(run):
    run.asked["events"] = 200
    run.fails("sample tt: 200 events were asked for, 160 are there")


def test_an_ingested_sample_has_as_many_events_as_its_files(run):
    run.asked = {"kind": "ingested", "files": ["a.root"]}
    assert run.account()["samples"][0]["written"] == 160


@pytest.mark.parametrize("wrong", [{"events": 159}, {"parts": None}])
def test_a_manifest_that_does_not_agree_is_named(run, wrong):
    path = write_json(run.given["manifests"][0], run.manifest(**wrong))
    run.fails(str(path))


def test_no_weights_are_computed_for_jets_alone(run):
    for path in run.given["weights"]:
        write_no_weights(path, whole=False)
    (row,) = [row for row in run.account()["samples"] if row["step"].startswith("pileup")]
    assert row["rejected"] == {"has the candidates of its jets only": 160}


def test_what_reads_numbers_imports_no_reader_of_events():
    packages = json.loads(code("paper.account"))["packages"]
    assert "pyarrow" in packages
    assert packages.keys().isdisjoint({"awkward", "coffea", "uproot"})


def test_weights_of_whole_events_must_be_there(run):
    write_no_weights(run.given["weights"][1], whole=True)
    run.fails("read 0 events of sample tt, part 0001", "wrote 60")


def test_entries_of_ntuples_that_are_jets(run):
    scores = write_rows(run.folder / "tagging/mlp/scores/tt.parquet", 160)
    rows = run.account(scores_of_ntuples=[scores])["samples"]
    assert [row["what"] for row in rows if row["step"] == "tagging scores, mlp"] == ["events"]
    write_rows(scores, 159)
    run.out.unlink()
    run.fails("read 159 events", "wrote 160", scores_of_ntuples=[scores])


def test_a_sample_without_manifest_is_named(run):
    other = write_rows(run.folder / "tagging/pfn/scores/qcd.parquet", 3)
    run.fails("read jets of sample qcd", scores=[other])


@pytest.mark.parametrize("name", ["manifests", "weights", "jets", "scores", "pairs", "trigger"])
def test_a_file_that_is_none_is_named(run, name):
    path = run.given[name][0]
    path.write_bytes(b"nothing")
    run.fails(str(path))
