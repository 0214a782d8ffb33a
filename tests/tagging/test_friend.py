"""Friend trees: no row is lost, whatever the number of rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from fullchain.errors import InputError
from fullchain.step import Given
from fullchain.tagging import export_friend
from fullchain.tagging.friend import write_friend
from fullchain.tagging.score_files import ScoreWriter, named_columns


def table(events: list[int], variations: tuple[str, ...] = ("nominal",)) -> dict[str, Any]:
    """One row per entry of `events` and variation; several entries are several jets."""
    rows = [(event, events[:k].count(event)) for k, event in enumerate(events)]
    columns = {
        "run": np.ones(len(rows) * len(variations), dtype=np.uint32),
        "luminosityBlock": np.full(len(rows) * len(variations), 7, dtype=np.uint32),
        "event": np.repeat([event for event, _ in rows], len(variations)).astype(np.uint64),
        "jet": np.repeat([jet for _, jet in rows], len(variations)).astype(np.int32),
        "variation": np.array(list(variations) * len(rows), dtype=str),
    }
    generator = np.random.default_rng(1)
    columns["score"] = generator.uniform(size=len(rows) * len(variations)).astype(np.float32)
    return columns


def identity(events: list[int]) -> dict[str, Any]:
    return {
        "run": np.ones(len(events), dtype=np.uint32),
        "luminosityBlock": np.full(len(events), 7, dtype=np.uint32),
        "event": np.array(events, dtype=np.uint64),
    }


@pytest.mark.parametrize("rows", [0, 1, 2, 11, 4097])
def test_one_entry_per_jet(tmp_path: Path, rows: int) -> None:
    jets = table(list(range(rows)), ("jes_up", "nominal")[: 1 + rows % 2])
    write_friend(tmp_path / "friend.root", "pfn", jets, ["score"], None)
    with uproot.open(tmp_path / "friend.root") as file:
        found = file["Jets"].arrays(library="np")
        names = str(file["variations"]).split("\n")
    assert len(found["score"]) == len(jets["score"])
    for name in ("run", "luminosityBlock", "event", "jet", "score"):
        np.testing.assert_array_equal(found[name], jets[name])
        assert found[name].dtype == jets[name].dtype
    assert [names[k] for k in found["variation"]] == jets["variation"].tolist()


@pytest.mark.parametrize(
    ("events", "jets"),
    [
        ([], []),
        ([5], []),
        ([5], [5]),
        ([9, 5, 7], [5, 5]),
        ([9, 5, 7, 3], [3, 9, 9, 9]),
        (list(range(11)), [1, 4, 4, 10]),
        (list(range(11))[::-1], list(range(11))),
    ],
)
def test_one_entry_per_event(tmp_path: Path, events: list[int], jets: list[int]) -> None:
    columns = table(jets, ("jes_up", "nominal"))
    write_friend(tmp_path / "friend.root", "pfn", columns, ["score"], identity(events))
    with uproot.open(tmp_path / "friend.root") as file:
        assert file["Jets"].num_entries == 2 * len(jets)
        tree = file["Events"]
        found = {one.name: one.array(library="ak").to_list() for one in tree.branches}
    assert found["event"] == events
    assert found["npfn"] == [jets.count(event) for event in events]
    nominal = columns["variation"] == "nominal"
    for place, event in enumerate(events):
        mine = nominal & (columns["event"] == event)
        assert found["pfn_score"][place] == columns["score"][mine].tolist()
        assert found["pfn_jet"][place] == columns["jet"][mine].tolist()


def test_scores_of_other_events_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "friend.root"
    with pytest.raises(InputError, match=r"no event for the jet of .* \(1, 7, 6\)"):
        write_friend(path, "pfn", table([5, 6]), ["score"], identity([5, 7]))
    with pytest.raises(InputError, match=r"\(1, 7, 5\) stands twice"):
        write_friend(path, "pfn", table([5]), ["score"], identity([5, 5]))
    assert not path.exists()


@pytest.mark.parametrize("rows", [0, 11])
def test_the_step_goes_from_scores_to_trees(tmp_path: Path, rows: int) -> None:
    classes, jets = ["t", "W", "q"], table([3] * rows)
    probabilities = np.full((2, rows, 3), 1 / 3)
    with ScoreWriter(tmp_path / "tt.parquet", classes, 2) as writer:
        fixed = {"fold": np.zeros(rows), "split": np.full(rows, "test")}
        writer.write({**jets, **named_columns(probabilities, classes), **fixed})
    for part, events in enumerate(([1, 2], [3])):
        with uproot.recreate(tmp_path / f"{part}.root") as file:
            file["Events"] = identity(events)
    export_friend.main(
        scores=tmp_path / "tt.parquet",
        ntuples=[tmp_path / "0.root", tmp_path / "1.root"],
        tagger="five",
        friend=tmp_path / "friend.root",
        settings=Given({}),
    )
    with uproot.open(tmp_path / "friend.root") as file:
        assert file["Jets"].num_entries == rows
        assert file["Events"]["nfive"].array().tolist() == [0, 0, rows]
        branches = [branch.name for branch in file["Events"].branches]
    own = [f"score_{name}" for name in classes]
    seeds = [f"seed{k}_{name}" for k in range(2) for name in own]
    listed = {name for name in branches if name.startswith("five_")}
    assert listed == {f"five_{name}" for name in ("jet", "score", *own, *seeds)}
