import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.learning.split import fold, parts

PINNED = [0.47799076131148677, 0.6786479184171916, 0.5441868800124218]

identities = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
)


@given(st.lists(identities, min_size=2, max_size=30), st.integers(0, 2**31))
def test_fold_depends_on_the_identity_only(events: list[tuple[int, int, int]], seed: int) -> None:
    run, lumi, event = (np.array(column, dtype=np.uint64) for column in zip(*events, strict=True))
    together = fold(run, lumi, event, seed)
    assert ((together >= 0) & (together < 1)).all()
    alone = [fold([r], [b], np.array([e], dtype=np.uint64), seed)[0] for r, b, e in events]
    assert together.tolist() == alone


def test_fold_is_the_same_in_every_release() -> None:
    # A change of these numbers moves events between training and test of existing results.
    found = fold([1, 1, 2], [1, 2, 1], [5, 5, 5], 20261)
    np.testing.assert_allclose(found, PINNED, rtol=0, atol=1e-15)


def test_fold_takes_any_integer_type() -> None:
    wide = fold(np.array([3], np.uint64), np.array([4], np.uint64), np.array([5], np.uint64), 1)
    narrow = fold(np.array([3], np.uint32), np.array([4], np.int16), np.array([5], np.int64), 1)
    assert wide == narrow


def test_fold_is_uniform_and_seeds_are_independent() -> None:
    events = np.arange(20000)
    ones = np.ones_like(events)
    first, second = fold(ones, ones, events, 1), fold(ones, ones, events, 2)
    counts, _ = np.histogram(first, 20, (0, 1))
    assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi2 of 19 degrees, probability 1e-4
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04


def test_run_lumi_and_event_are_not_exchangeable() -> None:
    values = [fold([a], [b], [c], 0)[0] for a, b, c in ((1, 2, 3), (2, 1, 3), (3, 2, 1), (1, 3, 2))]
    assert len(set(values)) == 4


def test_parts_have_their_fractions_and_an_event_keeps_its_part() -> None:
    events = np.arange(20000)
    folds = fold(np.ones_like(events), np.ones_like(events), events, 3)
    names = parts(folds, validation=0.15, test=0.35)
    for name, fraction in (("train", 0.5), ("validation", 0.15), ("test", 0.35)):
        assert abs((names == name).mean() - fraction) < 0.015
    # A larger validation part takes from training and leaves the test part as it was.
    other = parts(folds, validation=0.25, test=0.35)
    assert ((names == "test") == (other == "test")).all()


def test_parts_refuse_fractions_without_training() -> None:
    with pytest.raises(ValueError, match="no events left"):
        parts(np.array([0.5]), validation=0.5, test=0.5)
