"""Events that are made of jets."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fullchain.errors import InputError
from fullchain.step import Given
from fullchain.unfolding import event_table, pair
from fullchain.unfolding.pair_settings import PairSettings


def jets(n=50, seed=1):
    chance = np.random.default_rng(seed)
    gen = chance.normal(170, 20, n)
    unmatched = np.arange(n) % 10 == 0
    columns = {
        "run": np.ones(n, np.uint32),
        "luminosityBlock": np.ones(n, np.uint32),
        "event": np.arange(n, dtype=np.uint64),
        "variation": np.where(np.arange(n) % 2, "nominal", "jes_up"),
        "weight": np.full(n, 2.0),
        "label": np.where(np.arange(n) % 3, 5, 0).astype(np.int8),
        "label_fully_contained": np.ones(n, bool),
    }
    for name in ("mass", "msoftdrop", "pt"):
        columns[name] = (gen + 5).astype(np.float32)
        columns[f"gen_{name}"] = np.where(unmatched, np.nan, gen).astype(np.float32)
    return pa.table(columns)


def given(**chosen):
    settings = PairSettings(sample="tt", **chosen)
    return Given({"unfolding": {"pairs": {"tops": settings.model_dump()}}})


def test_nominal_jets_with_the_label_are_events(tmp_path):
    path = tmp_path / "jets.parquet"
    pq.write_table(jets(), path)
    pair.main(jets=[path], name="tops", events=tmp_path / "events.parquet", settings=given())
    found = event_table.read([tmp_path / "events.parquet"], ["jet_mass", "large_jet_pt"])
    number = np.arange(50)
    expected = number[(number % 2 == 1) & (number % 3 != 0)]
    np.testing.assert_array_equal(found.ids[:, 2], expected)
    np.testing.assert_array_equal(found.gen.passed, expected % 10 != 0)
    matched = found.gen.passed
    np.testing.assert_allclose(
        found.reco.values[matched] - found.gen.values[matched], 5.0, atol=1e-4
    )
    assert found.reco.passed.all()
    account = event_table.about(tmp_path / "events.parquet")["account"]
    assert account["written"] == len(expected) > 0
    assert account["rejected"] == {"of another label": account["read"] - len(expected)}


def test_no_jet_of_the_label_is_an_error(tmp_path):
    path = tmp_path / "jets.parquet"
    pq.write_table(jets(), path)
    with pytest.raises(InputError, match="none of the jets of sample tt"):
        pair.main(jets=[path], name="tops", events=tmp_path / "x.parquet", settings=given(label=6))


def test_another_table_is_named(tmp_path):
    path = tmp_path / "jets.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(InputError, match=r"jets.parquet: no table of jets"):
        pair.main(jets=[path], name="tops", events=tmp_path / "x.parquet", settings=given())


def test_two_jets_of_an_event_are_two_rows(tmp_path):
    path = tmp_path / "jets.parquet"
    pq.write_table(pa.concat_tables([jets(), jets()]), path)
    pair.main(jets=[path], name="tops", events=tmp_path / "events.parquet", settings=given())
    found = event_table.read([tmp_path / "events.parquet"], ["jet_mass"])
    assert len(found) == 2 * len(np.unique(found.ids[:, 2]))
