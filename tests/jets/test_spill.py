"""Jets on disk between reading and writing: none is lost, and few are in memory."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fullchain.jets import cluster, part
from fullchain.jets.columns import SCHEMA
from fullchain.jets.part import read
from fullchain.jets.settings import JetsSettings
from fullchain.jets.spill import Spill, Tables
from fullchain.step import Given


def numbered(*sizes: int) -> list[pa.Table]:
    """Tables of jets without content but their number."""
    tables, first = [], 0
    for size in sizes:
        columns = {one.name: pa.nulls(size, one.type) for one in SCHEMA}
        columns["event"] = pa.array(range(first, first + size), pa.uint64())
        tables.append(pa.Table.from_arrays(list(columns.values()), schema=SCHEMA))
        first += size
    return tables


@pytest.mark.parametrize("rows", [1, 3, 4, 100])
def test_groups_do_not_depend_on_the_pieces(tmp_path, rows):
    for sizes in ((10,), (3, 0, 7), (1,) * 10):
        spill = Spill(tmp_path)
        tables = Tables({"nominal": [spill.put(table) for table in numbered(*sizes)]})
        groups = list(tables.groups("nominal", rows))
        assert [len(group) for group in groups[:-1]] == [rows] * (len(groups) - 1)
        assert 0 < len(groups[-1]) <= rows
        assert [n for group in groups for n in group["event"].to_pylist()] == list(range(10))
        assert tables.rows("nominal") == 10


def test_no_jets_are_one_empty_group(tmp_path):
    tables = Tables({"nominal": [Spill(tmp_path).put(table) for table in numbered(0)]})
    (group,) = tables.groups("nominal", 5)
    assert group.schema.equals(SCHEMA) and len(group) == 0
    assert tables.rows("nominal") == 0


def test_the_file_has_no_name(tmp_path):
    spill = Spill(tmp_path)
    spill.put(*numbered(5))
    assert list(tmp_path.iterdir()) == []


def test_few_chunks_are_in_memory_at_once(toy, tmp_path, monkeypatch):
    """One chunk is treated at a time, and of what was treated the tables are on disk."""
    settings = JetsSettings.model_validate({"reading": {"events_per_chunk": 6}})
    alive: list[int] = []
    run = part.Execution.__call__

    def watched(self, items):
        alive.append(len(items))
        return run(self, items)

    monkeypatch.setattr(part.Execution, "__call__", watched)
    result = read(toy, settings, 11, None, tmp_path)
    assert len(alive) > 3 and set(alive) == {1}
    assert result.tables.rows("nominal") == sum(map(len, result.tables.groups("nominal", 9))) > 0


def test_large_parts_have_several_groups_of_one_variation_each(toy, tmp_path, monkeypatch):
    given = Given({"seed": 11, "jets": JetsSettings().model_dump(mode="json")})
    files = {}
    for name, rows in (("one", 100_000), ("several", 20)):
        monkeypatch.setattr(cluster, "ROWS_PER_GROUP", rows)
        files[name] = tmp_path / f"{name}.parquet"
        summary = tmp_path / f"{name}.json"
        cluster.main(manifest=toy, jets=files[name], summary=summary, settings=given)
        jets = json.loads(summary.read_text())["jets"]
        assert sum(jets.values()) == pq.read_metadata(files[name]).num_rows
    several = pq.ParquetFile(files["several"])
    for group in range(several.num_row_groups):
        table = several.read_row_group(group, columns=["variation"])
        assert len(table) <= 20 and len(set(table["variation"].to_pylist())) <= 1
    assert several.num_row_groups > pq.ParquetFile(files["one"]).num_row_groups
    assert content(several.read()) == content(pq.read_table(files["one"]))


def content(table: pa.Table) -> bytes:
    """All bits of a table; NaN equals NaN here."""
    stream = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks(), stream)
    return bytes(stream.getvalue())
