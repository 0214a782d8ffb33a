"""Reading the unfolded sample of a record with its alternatives."""

import doctest
from dataclasses import replace

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.unfolding import unfolded_file, unfolded_record
from fullchain.unfolding.unfolded_record import read, with_alternatives


@pytest.fixture
def record(tmp_path, sample):
    """Folder with an unfolded sample and two alternatives."""
    unfolded_file.write(tmp_path / "unfolded.parquet", sample())
    for seed, name in enumerate(("a14", "vincia"), start=2):
        other = sample(seed=seed, alternative=name)
        unfolded_file.write(tmp_path / f"alternative_{name}.parquet", other)
    return tmp_path


def test_the_examples_are_true():
    result = doctest.testmod(unfolded_record)
    assert result.attempted > 0 and result.failed == 0


def test_alternatives_beside_the_sample_are_read(record, sample):
    (record / "alternative notes.parquet").write_text("of nobody's")
    found = read(record / "unfolded.parquet")
    assert found.weights.keys() == sample().weights.keys()
    assert list(found.alternatives) == ["a14", "vincia"]
    for seed, one in enumerate(found.alternatives.values(), start=2):
        np.testing.assert_array_equal(one.values, sample(seed=seed, alternative="x").values)
        assert list(one.weights) == ["nominal"]


def test_a_sample_without_alternatives_is_read(tmp_path, sample):
    unfolded_file.write(tmp_path / "unfolded.parquet", sample())
    assert read(str(tmp_path / "unfolded.parquet")).alternatives == {}


def test_an_alternative_that_the_record_names_must_be_there(record):
    listing = "additional_resources:\n- {location: unfolded.parquet}\n"
    listing += "- {location: alternative_a14.parquet}\n- {location: 'https://example.org/x'}\n"
    (record / "submission.yaml").write_text(listing)
    assert len(read(record / "unfolded.parquet").alternatives) == 2
    (record / "alternative_a14.parquet").unlink()
    with pytest.raises(InputError, match=r"the record has alternative_a14\.parquet, too"):
        read(record / "unfolded.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alternative": ""}, r"with the simulation 'nominal', and given as .*'a14'"),
        ({"alternative": "vincia"}, r"with the simulation 'vincia', and given as .*'a14'"),
        ({"method": "cinn"}, r"of the method 'cinn', and .*unfolded\.parquet is of 'multifold'"),
        ({"measurement": "b"}, r"of the measurement 'b', and .* is of None"),
    ],
)
def test_what_is_no_alternative_is_named(record, sample, change, message):
    other = sample(seed=2, alternative="a14")
    path = record / "alternative_a14.parquet"
    unfolded_file.write(path, replace(other, about={**other.about, **change}))
    with pytest.raises(InputError, match=rf"alternative_a14\.parquet: .*{message}"):
        read(record / "unfolded.parquet")


def test_an_alternative_is_not_the_nominal_result(record):
    path = record / "alternative_a14.parquet"
    with pytest.raises(InputError, match=r"alternative_a14.parquet: .*'a14' and not with the nom"):
        with_alternatives(path, {})
