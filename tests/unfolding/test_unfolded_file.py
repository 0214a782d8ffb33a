"""The file of an unfolded sample."""

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from fullchain.errors import InputError
from fullchain.unfolding.unfolded import Unfolded
from fullchain.unfolding.unfolded_file import IDS, read, units, write


def sample(n=40, seed=1):
    chance = np.random.default_rng(seed)
    names = ("nominal", "ensemble_0", "ensemble_1", "data_0", "simulation_0", "shift_jes_up")
    return Unfolded(
        ("mass", "width"),
        chance.normal(size=(n, 2)),
        np.stack([np.ones(n), np.arange(n) // 5, 2**40 + np.arange(n)], axis=1).astype(np.int64),
        chance.random(n),
        {name: chance.random(n) for name in names},
        {"method": "toy", "units": {"mass": "GeV"}, "members": 2},
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toy" / "unfolded.parquet"


def changed(path, change):
    """Write the sample with other columns or metadata than `write` would."""
    write(path, sample())
    table = pq.read_table(path)
    pq.write_table(change(table), path)
    return path


def test_what_is_written_is_read(path):
    one = sample()
    write(path, one)
    found = read(path)
    assert found.names == one.names
    np.testing.assert_array_equal(found.values, one.values)
    np.testing.assert_array_equal(found.ids, one.ids)
    np.testing.assert_array_equal(found.prior, one.prior)
    assert list(found.weights) == list(one.weights)
    for name, weight in one.weights.items():
        np.testing.assert_array_equal(found.weights[name], weight)
    assert found.about == one.about
    assert units(found) == {"mass": "GeV", "width": ""}


def test_the_schema_is_as_documented(path):
    write(path, sample())
    schema = pq.read_schema(path)
    assert schema.names[:6] == [*IDS, "gen_mass", "gen_width", "weight_prior"]
    assert schema.field("gen_mass").metadata == {b"unit": b"GeV"}
    assert [str(schema.field(i).type) for i in range(7)] == ["int64"] * 3 + ["double"] * 4
    assert json.loads(schema.metadata[b"observables"]) == ["mass", "width"]
    assert schema.metadata[b"version"] == b"1"


def test_the_same_sample_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, sample())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("field", "row"), [("values", (3, 1)), ("prior", 2), ("nominal", 7), ("data_0", 0)]
)
def test_nan_is_not_written(path, field, row):
    one = sample()
    array = getattr(one, field) if hasattr(one, field) else one.weights[field]
    array[row] = np.nan
    column = {"values": "gen_width", "prior": "weight_prior"}.get(field, f"weight_{field}")
    with pytest.raises(InputError, match=rf"unfolded.parquet: column '{column}' is NaN .* 1 of 40"):
        write(path, one)
    assert not path.exists()


def test_infinite_weights_are_not_read(path):
    def broken(table):
        place = table.schema.get_field_index("weight_data_0")
        numbers = table["weight_data_0"].to_numpy().copy()
        numbers[5] = np.inf
        return table.set_column(place, "weight_data_0", [numbers])

    with pytest.raises(InputError, match=r"'weight_data_0' is NaN or infinite .* row 5"):
        read(changed(path, broken))


@pytest.mark.parametrize("column", ["event", "gen_mass", "weight_prior", "weight_nominal"])
def test_a_missing_column_is_named(path, column):
    with pytest.raises(InputError, match=f"no column '{column}'"):
        read(changed(path, lambda table: table.drop_columns([column])))


def test_an_unknown_weight_is_named(path):
    one = sample()
    one.weights["truth"] = one.prior
    with pytest.raises(InputError, match="weight_truth is no known result"):
        write(path, one)


def test_weights_of_single_observables_are_read(path):
    one = sample()
    own = {f"{name}@{of}": w for of in one.names for name, w in one.weights.items()}
    write(path, dataclasses.replace(one, weights=own))
    assert list(read(path).weights) == list(own)
    for name, message in (
        ("nominal@tau21", "weight_nominal@tau21 is no known result"),
        ("nominal", "beside weights of all"),
    ):
        with pytest.raises(InputError, match=message):
            write(path, dataclasses.replace(one, weights={**own, name: one.prior}))
    del own["nominal@width"]
    with pytest.raises(InputError, match="no column 'weight_nominal@width'"):
        write(path, dataclasses.replace(one, weights=own))


def test_weights_that_sum_to_nothing_are_refused(path):
    one = sample()
    one.weights["data_0"][:] = 0
    with pytest.raises(InputError, match="'weight_data_0' sums to 0"):
        write(path, one)


def test_columns_of_another_length_are_refused(path):
    one = dataclasses.replace(sample(), prior=np.ones(3))
    with pytest.raises(InputError, match=r"'weight_prior' has shape \(3,\)"):
        write(path, one)


def test_another_version_is_refused(path):
    def newer(table):
        return table.replace_schema_metadata({**table.schema.metadata, b"version": b"2"})

    with pytest.raises(InputError, match="of version 2, and this program reads version 1"):
        read(changed(path, newer))


def test_other_files_are_named(path, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(path)
    other = tmp_path / "text.parquet"
    other.write_text("not a table")
    with pytest.raises(InputError, match=r"text.parquet: not a Parquet file"):
        read(other)
    bare = changed(path, lambda table: table.replace_schema_metadata(None))
    with pytest.raises(InputError, match="no unfolded sample"):
        read(bare)


def test_alternatives_are_files_of_their_own(tmp_path):
    one = dataclasses.replace(sample(), alternatives={"a14": sample()})
    with pytest.raises(ValueError, match="write the alternatives a14 to files of their own"):
        write(tmp_path / "unfolded.parquet", one)
    assert list(tmp_path.iterdir()) == []
