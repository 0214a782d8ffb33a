import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.seeds import derive, stream

keys = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 2**40)), min_size=1, max_size=4)


@given(st.integers(0, 2**40), keys)
def test_same_keys_same_numbers(seed: int, key: list[str | int]) -> None:
    assert (stream(seed, *key).random(4) == stream(seed, *key).random(4)).all()
    assert 1 <= derive(seed, *key) <= 900_000_000


def test_other_keys_other_numbers() -> None:
    seeds = {
        derive(1, "ntuples", sample, block) for sample in ("qcd", "tt") for block in range(500)
    }
    assert len(seeds) == 1000


def test_neighbouring_streams_are_not_correlated() -> None:
    first, second = (stream(5, "ntuples", block).standard_normal(20_000) for block in (1, 2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(20_000)


def test_numbers_do_not_depend_on_version_or_machine() -> None:
    assert derive(20261, "ntuples", "qcd", 0) == derive(20261, "ntuples", "qcd", 0) == EXPECTED


def test_negative_key_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        stream(1, -1)


EXPECTED = 687683765
