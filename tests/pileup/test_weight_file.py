"""Files of weights."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fullchain.errors import InputError
from fullchain.pileup.weight_file import (
    checked,
    covers_whole_event,
    method_and_sample,
    read_weights,
    weight_writer,
)

OFFSETS = np.array([0, 3, 3, 7])
WEIGHTS = np.array([0, 0.5, 1, 1, 0.25, 0, 1.0])


def ids(first, events=3):
    numbers = np.arange(first, first + events)
    return np.ones(events, np.uint32), np.ones(events, np.uint32), numbers.astype(np.uint64)


@pytest.fixture
def path(tmp_path):
    with weight_writer(tmp_path / "w.parquet", "puppi", "toy", whole=True) as writer:
        writer.write(0, 0, ids(1), WEIGHTS, OFFSETS)
        writer.write(0, 3, ids(4), WEIGHTS[::-1], OFFSETS)
        writer.write(1, 0, ids(7), WEIGHTS, OFFSETS)
    return tmp_path / "w.parquet"


def test_weights_come_back_however_the_events_are_cut(path):
    assert method_and_sample(path) == ("puppi", "toy")
    assert list(read_weights(path, 0, 3, ids(4), OFFSETS)) == list(WEIGHTS[::-1])
    across = read_weights(path, 0, 2, ids(3, 2), np.array([0, 4, 7]))
    assert list(across) == [*WEIGHTS[3:], *WEIGHTS[::-1][:3]]
    assert len(read_weights(path, 1, 1, ids(8, 1), np.array([0, 0]))) == 0


@pytest.mark.parametrize(
    ("file", "first", "numbers", "offsets"),
    [
        (0, 0, ids(2), OFFSETS),
        (0, 0, ids(1), np.array([0, 3, 4, 7])),
        (1, 1, ids(8), OFFSETS),
        (2, 0, ids(1), OFFSETS),
    ],
)
def test_weights_of_other_events_are_refused(path, file, first, numbers, offsets):
    with pytest.raises(InputError, match=r"w\.parquet.*other events or candidates"):
        read_weights(path, file, first, numbers, offsets)


@pytest.mark.parametrize("whole", [True, False])
def test_a_file_tells_whether_it_is_of_whole_events(tmp_path, whole):
    with weight_writer(tmp_path / "w.parquet", "puppi", "toy", whole=whole):
        pass
    assert covers_whole_event(tmp_path / "w.parquet") is whole


def test_a_file_that_does_not_tell_is_named(path):
    table = pq.read_table(path)
    metadata = {b"method": b"puppi", b"sample": b"toy"}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(InputError, match=r"w\.parquet: does not tell whether"):
        covers_whole_event(path)


def test_a_refused_file_is_closed(tmp_path, monkeypatch):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    closed = []
    close = pq.ParquetFile.close
    monkeypatch.setattr(
        pq.ParquetFile, "close", lambda *given, **also: closed.append(close(*given, **also))
    )
    with pytest.raises(InputError, match=r"x\.parquet: not a file of pile-up weights"):
        method_and_sample(tmp_path / "x.parquet")
    assert closed


@pytest.mark.parametrize("wrong", [-0.1, 1.1, np.nan, np.inf])
def test_weights_outside_0_to_1_are_refused(tmp_path, wrong):
    with pytest.raises(InputError, match=r"1 of 2 .*outside \[0, 1\]"):
        checked(np.array([0.5, wrong]), "here")
    with (
        pytest.raises(InputError, match="outside"),
        weight_writer(tmp_path / "w.parquet", "puppi", "toy", whole=True) as writer,
    ):
        writer.write(0, 0, ids(1, 1), np.array([0.5, wrong]), np.array([0, 2]))
    assert not (tmp_path / "w.parquet").exists()


def test_another_file_is_named(tmp_path):
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(InputError, match=r"x\.parquet: not a file of pile-up weights"):
        method_and_sample(tmp_path / "x.parquet")
