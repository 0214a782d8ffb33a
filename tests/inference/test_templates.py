"""The step templates on events of two jets: what is counted, weighted, left out, and refused."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fullchain.errors import InputError
from fullchain.inference import jet_tables, templates
from fullchain.inference.analysis_settings import Analysis
from fullchain.inference.template_file import read_templates
from fullchain.seeds import stream
from fullchain.step import Given

SAMPLES = ("zprime", "zprime_1500", "qcd", "run2024")
MASSES = {"zprime": 1260.0, "zprime_1500": 1290.0, "qcd": 1200.0, "run2024": 1200.0}
EVENTS = 400
VARIATIONS = ("nominal", "jes_up")

DIJET = {"jets": "dijet", "observable": "dijet_mass", "edges": (1000.0, 1250.0, 2000.0)}
REGIONS = {
    "two": {**DIJET, "tagged": (2,)},
    "rest": {**DIJET, "tagged": (0, 1)},
}


def rows_of(sample: str, part: int) -> dict[str, np.ndarray]:
    """Two back-to-back jets of each event; every fifth event has lost the second."""
    random = stream(7, sample, part)
    pieces = []
    for variation in VARIATIONS:
        scale = 1.02 if variation == "jes_up" else 1.0
        pt = scale * random.normal(MASSES[sample] / 2, 8.0, (EVENTS, 2))
        event = np.repeat(part * EVENTS + np.arange(EVENTS), 2)
        jet = np.tile([0, 1], EVENTS)
        factor = 1.0 + 0.1 * (event % 3 - 1)
        columns = {
            "run": np.ones(2 * EVENTS, np.uint32),
            # The numbers of events begin anew in each block.
            "luminosityBlock": (1 + event // 100).astype(np.uint32),
            "event": (event % 100).astype(np.uint64),
            "variation": np.full(2 * EVENTS, variation),
            "jet": jet.astype(np.int32),
            "weight": 1.0 + (event % 2),
            "w_isr_up": factor if sample == "qcd" else np.ones(2 * EVENTS),
            "w_isr_down": 2.0 - factor if sample == "qcd" else np.ones(2 * EVENTS),
            "pt": -np.sort(-pt, axis=1).ravel(),
            "eta": random.normal(0.0, 0.1, 2 * EVENTS),
            "phi": np.where(jet == 0, 0.0, np.pi),
            "mass": np.full(2 * EVENTS, 10.0),
            "msoftdrop": np.full(2 * EVENTS, 10.0),
            "label": np.zeros(2 * EVENTS, np.int8),
            "score": random.uniform(0.0, 1.0, 2 * EVENTS),
            "split": np.array(["train", "validation", "test", "test"])[event % 4],
        }
        kept = (jet == 0) | (event % 5 != 0)
        pieces.append({name: column[kept] for name, column in columns.items()})
    return {name: np.concatenate([one[name] for one in pieces]) for name in pieces[0]}


class Files:
    """Jets, scores and manifests in a folder, and the step on them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, sample: str, parts: int = 2, **changes: Any) -> None:
        pieces = [rows_of(sample, part) for part in range(parts)]
        for part, rows in enumerate(pieces):
            for name, change in changes.items():
                rows[name] = change(rows[name])
            path = self.root / "jets" / sample / f"{part:04d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            jets = {n: c for n, c in rows.items() if n not in ("score", "split")}
            pq.write_table(pa.table(jets), path)
        names = ("run", "luminosityBlock", "event", "variation", "jet", "score", "split")
        path = self.scores(sample)
        path.parent.mkdir(exist_ok=True)
        scores = pa.table({n: np.concatenate([one[n] for one in pieces]) for n in names})
        # In groups, as taggers write them.
        pq.write_table(scores, path, row_group_size=1000)
        path = self.root / "ntuples" / f"{sample}.json"
        path.parent.mkdir(exist_ok=True)
        content = {"events": 1000, "sum_of_weights": 1500.0, "cross_section_pb": 1.0}
        path.write_text(json.dumps({"sample": sample, **content}))

    def scores(self, sample: str) -> Path:
        return self.root / "scores" / f"{sample}.parquet"

    def fill(self, samples: tuple[str, ...] = SAMPLES[:3], **changes: Any) -> dict[str, Any]:
        chosen: dict[str, Any] = {
            "samples": {
                "zprime": {"ntuples": ["zprime"], "role": "signal"},
                "qcd": {"ntuples": ["qcd"]},
            },
            "hypotheses": {"heavy": {"ntuples": ["zprime_1500"], "mass": 1500.0}},
            "systematics": {},
            "selection": {"working_point": {"efficiency": 0.4}, "regions": REGIONS},
            **changes,
        }
        classes = {"top": {"samples": ["tt"]}, "qcd": {"samples": ["qcd"]}}
        templates.main(
            jets=[path for one in samples for path in (self.root / "jets" / one).glob("*")],
            scores=[self.scores(one) for one in samples],
            manifests=sorted((self.root / "ntuples").glob("*.json")),
            analysis="search",
            templates=self.root / "templates.root",
            summary=self.root / "templates.json",
            settings=Given(
                {
                    "inference": {
                        "analyses": {"search": Analysis(**chosen).model_dump(mode="json")}
                    },
                    "tagging": {"taggers": {"bdt": {"classes": classes}}},
                }
            ),
        )
        return dict(json.loads((self.root / "templates.json").read_text()))

    def templates(self) -> Any:
        return read_templates(self.root / "templates.root")[0]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    for sample in SAMPLES:
        made.write(sample)
    return made


def test_events_enter_once_with_their_weight(files):
    summary = files.fill()
    templates_ = files.templates()
    # Of 800 events, 160 have one jet. Weights are 1 and 2, one half each.
    assert sum(summary["samples"]["zprime"]["events_selected"].values()) == 640
    assert summary["samples"]["zprime"]["without_second_jet"] == {"two": 160, "rest": 160}
    both = [templates_[region, "zprime", "nominal"] for region in ("two", "rest")]
    assert sum(one.values.sum() for one in both) == pytest.approx(640 * 1.5 / 1500)
    assert sum(one.variances.sum() for one in both) == pytest.approx(640 * 2.5 / 1500**2)
    assert summary["observable"]["two"] == {"name": "dijet_mass", "unit": "GeV"}


def test_every_event_is_accounted_for(files):
    accounts = files.fill()["accounts"]
    assert list(accounts) == ["zprime", "zprime_1500", "qcd"]
    for sample, one in accounts.items():
        assert one["read"] == one["written"] + sum(one["rejected"].values()), sample
    assert accounts["zprime"]["read"] == 800
    assert accounts["zprime"]["written"] == 640
    assert accounts["zprime"]["rejected"] == {"trained on": 0, "in no region": 160}
    assert accounts["zprime"]["sum_read"] == pytest.approx(800 * 1.5)


@pytest.mark.parametrize(
    ("rows", "words"), [(lambda n: range(1, n), "2 lost"), (lambda n: [0, *range(n)], "2 too many")]
)
def test_an_event_that_is_lost_or_filled_twice_is_seen(files, monkeypatch, rows, words):
    """One of each part of the first sample, between the choice of events and the histogram."""
    fill = templates._Filled._fill

    def wrong(self, name, region, events, variation):
        if name == "two":
            events = events.where(np.array(list(rows(len(events.first)))))
        fill(self, name, region, events, variation)

    monkeypatch.setattr(templates._Filled, "_fill", wrong)
    with pytest.raises(InputError, match=rf"templates of sample zprime: .*: {words}"):
        files.fill()


def test_hypotheses_are_filled_beside_the_signal(files):
    summary = files.fill()
    assert set(summary["samples"]) == {"zprime", "zprime_1500", "qcd"}
    light, heavy = (
        sum(files.templates()[region, one, "nominal"].values for region in ("two", "rest"))
        for one in ("zprime", "zprime_1500")
    )
    assert heavy[1] / heavy.sum() > light[1] / light.sum()


def test_events_of_the_training_are_left_out_and_the_others_scaled(files):
    # Of a decorrelated variant, the rule passes the tagger that it was made of.
    summary = files.fill(tagger="disco_30")["samples"]["qcd"]
    assert sum(summary["events_selected"].values()) == 480, "three of four splits are not training"
    # The first of four splits trains: its weights are all one, the mean is 1.5.
    assert summary["kept_fraction"] == pytest.approx(1 - 200 / 1200)
    assert summary["without_second_jet"]["two"] == 120
    assert files.templates()["two", "qcd", "weight_isr_up"].values.sum() > 0
    assert ("two", "zprime", "weight_isr_up") not in files.templates()


def test_shifts_are_paired_within_their_variation(files):
    files.fill()
    nominal, shifted = (
        sum(files.templates()[region, "zprime", name].values for region in ("two", "rest"))
        for name in ("nominal", "shift_jes_up")
    )
    assert nominal.sum() == pytest.approx(shifted.sum())
    assert shifted[1] > nominal[1], "a higher scale is a higher mass"


def test_a_blind_analysis_is_not_given_its_data(files):
    data = {"kind": "sample", "sample": "run2024"}
    chosen = Analysis(data=data, blind=True)
    assert "run2024" not in chosen.ntuple_samples()
    summary = files.fill(data=data, blind=True)
    assert "run2024" not in summary["samples"]
    with pytest.raises(InputError, match=r"search.blind is true, but jets of .* 'run2024'"):
        files.fill(SAMPLES, data=data, blind=True)
    summary = files.fill(SAMPLES, data=data)
    assert summary["samples"]["run2024"]["is_data"]
    counts = sum(files.templates()[one, "run2024", "nominal"].values.sum() for one in REGIONS)
    assert counts == 640, "data are counted, not weighted"


def test_regions_that_share_events_are_refused(files):
    regions = {"two": REGIONS["two"], "all": {"edges": (0.0, 100.0)}}
    with pytest.raises(InputError, match=r"regions two and all share .* events of .*zprime"):
        files.fill(selection={"working_point": {"efficiency": 0.4}, "regions": regions})


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("pt", r"jets/zprime/0000.parquet: pt is nan for jet 0 of event 1:1:3"),
        ("weight", r"jets/zprime/0000.parquet: weight is nan for jet 0 of event 1:1:3"),
        ("eta", r"jets/zprime/0000.parquet: eta is nan for jet 0 of event 1:1:3"),
        ("score", r"scores/zprime.parquet: score is nan for jet 0 of event 1:1:3"),
    ],
)
def test_a_number_that_is_none_is_named_by_file_and_jet(files, column, message):
    def spoil(values):
        values = values.astype(float)
        # Events 0 (which has one jet), 1 and 2 lie before.
        values[5] = np.nan
        return values

    files.write("zprime", **{column: spoil})
    with pytest.raises(InputError, match=message):
        files.fill()


def test_two_events_of_one_part_with_the_same_numbers_are_refused(files):
    files.write("zprime", event=lambda event: event % 50)
    with pytest.raises(InputError, match=r"jets/zprime/0000.parquet: two events have the numbers"):
        files.fill()
    with pytest.raises(InputError, match=r"1:1:0 .*set files_per_job of the sample to 1"):
        files.fill()


def test_two_parts_may_have_the_same_numbers(files):
    before = files.fill()["accounts"]
    files.write("zprime", luminosityBlock=lambda block: (block - 1) % 4 + 1)
    assert files.fill()["accounts"] == before


def test_scores_that_are_missing_or_of_others_are_named(files):
    files.scores("zprime").unlink()
    with pytest.raises(InputError, match=r"scores/zprime.parquet: no such file"):
        files.fill()
    files.scores("zprime").write_bytes(files.scores("qcd").read_bytes())
    table = pq.read_table(files.scores("qcd"))
    place = table.column_names.index("luminosityBlock")
    other = table.set_column(place, "luminosityBlock", pa.array(table["run"].to_numpy() + 8))
    pq.write_table(other, files.scores("zprime"))
    with pytest.raises(InputError, match=r"luminosityBlock 9 instead of 1\)"):
        files.fill()


def test_memory_is_that_of_one_part(files, monkeypatch):
    """Ten times the parts do not need twice the memory."""
    monkeypatch.setattr(jet_tables, "BATCH", 500)

    def peak(parts: int) -> int:
        files.write("zprime", parts)
        list(jet_tables.read_parts("zprime", paths(), files.scores("zprime")))
        tracemalloc.start()
        arrow = 0
        for _ in jet_tables.read_parts("zprime", paths(), files.scores("zprime")):
            arrow = max(arrow, pa.total_allocated_bytes())
        used = tracemalloc.get_traced_memory()[1] + arrow
        tracemalloc.stop()
        return used

    def paths() -> list[Path]:
        return sorted((files.root / "jets" / "zprime").glob("*"))

    few = peak(2)
    assert peak(20) < 2 * few
