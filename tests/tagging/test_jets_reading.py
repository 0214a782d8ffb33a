from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from fullchain.errors import InputError
from fullchain.tagging.jets_reading import FULL, IDENTITY, TRACK, count, read, stream

Write = Callable[..., Path]
Toy = Callable[..., pyarrow.Table]


def zero_pt(particle: dict[str, Any]) -> dict[str, Any]:
    return {**particle, "pt": 0.0}


def everything(scalars: dict[str, Any]) -> Any:
    return np.ones(len(scalars["pt"]), dtype=bool)


def changed(table: pyarrow.Table, name: str, row: int, value: Any) -> pyarrow.Table:
    values = table.column(name).to_pylist()
    values[row] = value
    position = table.schema.get_field_index(name)
    column = pyarrow.array(values, type=table.schema.field(name).type)
    return table.set_column(position, table.schema.field(name), column)


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_padding_against_a_loop(toy: Toy, write_jets: Write, batch_rows: int) -> None:
    table = toy(3, 25, signal=True)
    path = write_jets(table, "loop", row_group_size=9)
    batches = list(stream(path, ["weight"], 20, batch_rows=batch_rows))
    assert max(len(batch) for batch in batches) <= batch_rows
    found = np.concatenate([batch.constituents for batch in batches])
    for row, particles in enumerate(table.column("constituents").to_pylist()):
        for slot in range(20):
            expected = [0.0] * 4
            if slot < len(particles):
                expected = [particles[slot][name] for name in ("pt", "eta", "phi", "mass")]
            assert found[row, slot].tolist() == pytest.approx(expected)


def test_files_of_awkward_read_the_same(toy: Toy, write_jets: Write, tmp_path: Path) -> None:
    table = toy(3, 25, signal=True)
    ak.to_parquet(ak.from_arrow(table), tmp_path / "ak.parquet")
    (first,) = stream(write_jets(table, "arrow"), ["label", "variation"], 30)
    (second,) = stream(tmp_path / "ak.parquet", ["label", "variation"], 30)
    np.testing.assert_array_equal(first.constituents, second.constituents)
    for name, column in first.scalars.items():
        np.testing.assert_array_equal(column, second.scalars[name])


def test_files_without_jets_are_read(toy: Toy, write_jets: Write) -> None:
    table = toy(3, 5, signal=True)
    path, empty = write_jets(table, "hole"), write_jets(table.slice(0, 0), "none")
    jets = read([empty, path, empty], ["weight"], 10, everything)
    assert len(jets) == 5 and count(empty) == 0


def test_a_jet_without_particles_is_named(toy: Toy, write_jets: Write) -> None:
    table = toy(3, 25, signal=True)
    nothing = changed(table, "constituents", 22, [])
    path = write_jets(nothing, "nothing")
    message = r"nothing\.parquet: the jet with run 1, .*event 22, .*jet 0, in row 22, has no part"
    with pytest.raises(InputError, match=message):
        list(stream(path, IDENTITY, 10, batch_rows=10))
    # Who reads no particles does not need them.
    assert sum(map(len, stream(path, IDENTITY, 0))) == 25
    weak = changed(table, "constituents", 22, [zero_pt(table["constituents"][22].as_py()[0])])
    with pytest.raises(InputError, match=r"weak\.parquet: jet 2, in row 22, has no particles"):
        list(stream(write_jets(weak, "weak"), [], 10, batch_rows=10))


def test_only_jets_that_pass_are_kept_in_order(toy: Toy, write_jets: Write) -> None:
    path = write_jets(toy(3, 50, signal=True), "keep")
    jets = read([path, path], ["event"], 5, lambda scalars: scalars["event"] % 3 == 0)
    assert jets.scalars["event"].tolist() == [*range(0, 50, 3)] * 2


def test_row_groups_of_other_variations_are_not_read(toy: Toy, write_jets: Write) -> None:
    nominal, shifted = (
        toy(3, 10, signal=True, variations=(name,)) for name in ("nominal", "jes_up")
    )
    mixed = toy(4, 5, signal=True, variations=("jes_up", "nominal"))
    tables = pyarrow.concat_tables([shifted, nominal, mixed])
    path = write_jets(tables, "groups", row_group_size=10)
    found = list(stream(path, ["variation", "event"], 5, variation="nominal"))
    assert [len(batch) for batch in found] == [10, 10]
    assert set(found[0].scalars["variation"]) == {"nominal"}
    assert found[1].scalars["event"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    broken = write_jets(changed(tables, "pt", 14, float("nan")), "broken", row_group_size=10)
    with pytest.raises(InputError, match="pt is nan in row 14"):
        list(stream(broken, [], 5, variation="nominal"))


def test_a_constituent_that_is_not_a_number_is_named(toy: Toy, write_jets: Write) -> None:
    table = toy(3, 40, signal=True)
    particles = table.column("constituents")[23].as_py()
    particles[4]["eta"] = float("nan")
    path = write_jets(changed(table, "constituents", 23, particles), "nan")
    with pytest.raises(InputError, match=r"nan\.parquet: constituents\.eta is nan in row 23"):
        list(stream(path, [], 10, batch_rows=10))


def test_only_charged_particles_need_a_track(toy: Toy, write_jets: Write) -> None:
    table = toy(3, 40, signal=True)
    (jets,) = stream(write_jets(table, "tracks"), [], 10, fields=FULL)
    assert jets.constituents.shape == (40, 10, len(FULL))
    columns = dict(zip(FULL, np.moveaxis(jets.constituents, -1, 0), strict=True))
    # In the file, what a neutral particle has for a track is NaN.
    for name in TRACK:
        assert set(columns[name][columns["charge"] == 0].tolist()) == {0.0}
        assert (columns[name][columns["charge"] != 0] == np.float32(0.01)).all()
    assert set(columns["pdgId"].ravel()) == {22.0, 211.0}
    particles = table.column("constituents")[23].as_py()
    particles[2]["dz_err"] = float("inf")
    path = write_jets(changed(table, "constituents", 23, particles), "lost_track")
    with pytest.raises(InputError, match=r"constituents\.dz_err is inf in row 23"):
        list(stream(path, [], 10, fields=FULL))
    assert len(next(stream(path, [], 10))) == 40


def test_a_jet_that_is_not_a_number_is_named(toy: Toy, write_jets: Write) -> None:
    path = write_jets(changed(toy(3, 20, signal=True), "pt", 13, float("inf")), "inf")
    with pytest.raises(InputError, match=r"inf\.parquet: pt is inf in row 13"):
        list(stream(path, [], 10, batch_rows=6))


def test_missing_columns_are_named(toy: Toy, write_jets: Write) -> None:
    table = toy(3, 5, signal=True)
    path = write_jets(table.drop_columns(["label"]), "nolabel")
    with pytest.raises(InputError, match=r"nolabel\.parquet: no column label"):
        list(stream(path, ["label"], 10))
    bare = pyarrow.array([[{"pt": 1.0}]] * 5)
    thin = table.set_column(table.schema.get_field_index("constituents"), "constituents", bare)
    with pytest.raises(InputError, match="the constituents have no eta, phi, mass"):
        list(stream(write_jets(thin, "thin"), [], 10))


def test_missing_values_are_named(toy: Toy, write_jets: Write) -> None:
    path = write_jets(changed(toy(3, 5, signal=True), "weight", 1, None), "null")
    with pytest.raises(InputError, match="column weight has missing values"):
        list(stream(path, ["weight"], 10))


def test_files_that_are_none_are_named(tmp_path: Path, toy: Toy, write_jets: Write) -> None:
    with pytest.raises(InputError, match="no such file"):
        count(tmp_path / "absent.parquet")
    (tmp_path / "zero.parquet").touch()
    with pytest.raises(InputError, match=r"zero\.parquet: not a table of jets"):
        count(tmp_path / "zero.parquet")
    whole = write_jets(toy(3, 30, signal=True), "whole").read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"half\.parquet: not a table of jets"):
        count(tmp_path / "half.parquet")
    with pytest.raises(InputError, match="no files of jets"):
        read([], [], 10, everything)
    with pytest.raises(InputError, match="no jets at all"):
        read([write_jets(toy(3, 5, signal=True).slice(0, 0), "bare")], [], 10, everything)
