"""Scores are read some rows at a time, beside their jets."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from fullchain.errors import InputError
from fullchain.parquet_check import Rows
from fullchain.tagging import score_files
from fullchain.tagging.score_files import ScoreWriter, read_scores, stream_scored

BATCH = 4


@pytest.fixture
def jets(write_jets, toy) -> Path:
    return write_jets(toy(3, 13, signal=True, variations=("nominal", "jes_up")), "batches")


@pytest.fixture
def scores(jets: Path, tmp_path: Path) -> Path:
    """Scores of these jets, in groups of 10 rows."""
    table = pyarrow.parquet.read_table(jets)
    identity = ("run", "luminosityBlock", "event", "variation", "jet")
    columns: dict[str, Any] = {name: np.array(table[name].to_pylist()) for name in identity}
    number = len(table)
    columns |= {"score": np.linspace(0, 1, number, dtype=np.float32), "fold": np.zeros(number)}
    columns["split"] = np.resize(["train", "test"], number)
    path = tmp_path / "scores.parquet"
    with ScoreWriter(path, ["top", "qcd"], 1) as writer:
        for first in range(0, number, 10):
            writer.write({name: one[first : first + 10] for name, one in columns.items()})
    return path


def test_no_more_rows_are_read_than_a_batch_and_what_is_asked_for(scores, monkeypatch):
    for owner, name in ((pyarrow.parquet.ParquetFile, "read"), (pyarrow.parquet, "read_table")):
        monkeypatch.setattr(owner, name, lambda *_, **__: pytest.fail("a whole file is read"))
    rows = Rows(scores, ["score", "split"], BATCH, "file of scores")
    found = []
    while len(taken := rows.take(3)["score"]):
        found += taken.to_pylist()
        assert rows._left.num_rows < BATCH
    assert found == np.linspace(0, 1, rows.number, dtype=np.float32).tolist()


def test_jets_and_scores_come_together_whatever_the_batches(jets, scores, monkeypatch):
    whole = read_scores(scores)
    monkeypatch.setattr(score_files, "BATCH", BATCH)
    batches = list(stream_scored([jets], scores, ["pt"]))
    for name in ("event", "score", "split"):
        together = np.concatenate([batch[name] for batch in batches])
        np.testing.assert_array_equal(together, whole[name])


def test_more_or_fewer_scores_than_jets_are_named(jets, scores):
    number = len(read_scores(scores)["score"])
    with pytest.raises(InputError, match="more jets than scores"):
        list(stream_scored([jets, jets], scores, ["pt"]))
    with pytest.raises(InputError, match=f"{number} scores for 0 jets"):
        list(stream_scored([], scores, ["pt"]))


def test_damaged_scores_are_named(jets, scores):
    content = bytearray(scores.read_bytes())
    content[40:400] = b"\xff" * 360  # data of the first columns; the footer is whole
    scores.write_bytes(content)
    for read in (read_scores, lambda path: list(stream_scored([jets], path, ["pt"]))):
        with pytest.raises(InputError, match=r"scores\.parquet: not a file of scores, or damaged"):
            read(scores)


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("score", pyarrow.nulls(26, pyarrow.float32()), "'score' has 26 missing values"),
        ("score", pyarrow.array(["0.5"] * 26), "column score is of type string"),
        ("split", pyarrow.array([0.5] * 26), "column split is of type double"),
    ],
)
def test_columns_that_are_not_scores_are_named(scores, name, column, message):
    table = pyarrow.parquet.read_table(scores)
    assert len(table) == 26
    place = table.column_names.index(name)
    pyarrow.parquet.write_table(table.set_column(place, name, column), scores)
    with pytest.raises(InputError, match=rf"scores\.parquet: .*{message}"):
        read_scores(scores)
