"""Score cuts, and the sums in the bins."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fullchain.errors import InputError
from fullchain.inference import filling

EDGES = (0.0, 10.0, 20.0, 50.0)


def _pairs(low: float = -100.0, high: float = 100.0) -> st.SearchStrategy:
    size = st.integers(0, 60)
    return size.flatmap(
        lambda n: st.tuples(
            hnp.arrays(float, n, elements=st.floats(low, high)),
            hnp.arrays(float, n, elements=st.floats(-2.0, 5.0)),
        )
    )


@given(_pairs())
def test_folding_conserves_sums_of_weights_and_squares(pair):
    values, weights = pair
    filled = filling.fill(values, weights, EDGES)
    assert filled.values().sum() == pytest.approx(weights.sum(), abs=1e-9)
    assert filled.variances().sum() == pytest.approx((weights**2).sum(), abs=1e-9)


@given(_pairs())
def test_discarding_keeps_what_lies_inside(pair):
    values, weights = pair
    inside = (values >= EDGES[0]) & (values < EDGES[-1])
    filled = filling.fill(values, weights, EDGES, underflow="discard", overflow="discard")
    assert filled.values(flow=True).sum() == pytest.approx(weights[inside].sum(), abs=1e-9)


def test_folding_goes_to_the_outermost_bins_only():
    values, weights = np.array([-5.0, 5.0, 50.0, 1e9]), np.array([1.0, 2.0, 3.0, 4.0])
    filled = filling.fill(values, weights, EDGES, underflow="discard", overflow="fold")
    assert filled.values().tolist() == [2.0, 0.0, 7.0]
    assert filled.variances().tolist() == [4.0, 0.0, 25.0]


@pytest.mark.parametrize(
    ("value", "place"), [(-1.0, "below the first bin edge 0"), (50.0, "above the last bin edge 50")]
)
def test_outside_can_be_an_error(value, place):
    with pytest.raises(InputError, match=f"region pass, sample tt: 1 events lie {place}"):
        filling.fill(
            np.array([value]),
            np.ones(1),
            EDGES,
            underflow="error",
            overflow="error",
            where="region pass, sample tt",
        )


def test_a_value_that_is_no_number_is_an_error():
    with pytest.raises(InputError, match="region pass, sample tt: the observable of 2 events"):
        filling.fill(
            np.array([1.0, math.nan, math.inf]), np.ones(3), EDGES, where="region pass, sample tt"
        )
    with pytest.raises(InputError, match="weight of 1 events"):
        filling.fill(np.array([1.0]), np.array([math.nan]), EDGES)


@given(
    hnp.arrays(float, st.integers(20, 80), elements=st.integers(0, 40).map(lambda n: n / 40)),
    st.floats(0.05, 0.95),
)
def test_threshold_is_the_lowest_that_keeps_the_efficiency(scores, efficiency):
    weights = np.ones(len(scores))
    try:
        cut = filling.threshold_at_efficiency(scores, weights, efficiency)
    except InputError:
        highest = np.mean(scores == scores.max())
        assert highest > efficiency - 1e-9
        return
    assert np.mean(scores > cut) <= efficiency + 1e-9
    assert np.mean(scores >= cut) > efficiency - 1e-9


def test_threshold_counts_weights():
    scores, weights = np.array([0.1, 0.2, 0.3, 0.9]), np.array([1.0, 1.0, 1.0, 7.0])
    assert filling.threshold_at_efficiency(scores, weights, 0.75) == 0.3
    assert filling.efficiency_above(scores, weights, 0.3).value == pytest.approx(0.7)


def test_too_few_jets_for_a_threshold():
    with pytest.raises(InputError, match=r"qcd: 10 jets are too few .* efficiency of 0.05"):
        filling.threshold_at_efficiency(np.linspace(0, 1, 10), np.ones(10), 0.05, "qcd")
    with pytest.raises(InputError, match="qcd: no jets"):
        filling.threshold_at_efficiency(np.array([]), np.array([]), 0.05, "qcd")


def test_efficiency_has_the_binomial_uncertainty():
    scores = np.repeat([0.0, 1.0], [300, 100])
    measured = filling.efficiency_above(scores, np.full(400, 2.5), 0.5)
    assert measured.value == pytest.approx(0.25)
    assert measured.uncertainty == pytest.approx(math.sqrt(0.25 * 0.75 / 400))
    assert measured.jets == 400


def test_kept_fraction_of_nothing_is_an_error():
    assert filling.kept_fraction(4.0, 3.0) == 0.75
    with pytest.raises(InputError, match="no events are left outside the training split"):
        filling.kept_fraction(4.0, 0.0)
