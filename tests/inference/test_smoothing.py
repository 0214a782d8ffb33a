"""353QH twice: against cabinetry, against values by hand, and its laws."""

import cabinetry
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fullchain.inference.smoothing import smooth_353qh_twice, smooth_shape

VALUES = hnp.arrays(
    float, st.integers(3, 30), elements=st.floats(0.0, 100.0).map(lambda x: round(x, 3))
)


@given(VALUES)
def test_equal_to_cabinetry(values):
    assert smooth_353qh_twice(values) == pytest.approx(
        cabinetry.smooth.smooth_353qh_twice(values.copy()), abs=1e-9
    )


@given(VALUES)
def test_equal_to_cabinetry_where_bins_are_negative(values):
    shifted = values - 50.0
    expected = cabinetry.smooth.smooth_353qh_twice(shifted.copy())
    assert smooth_353qh_twice(shifted) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # A single bin that sticks out goes, and does not come back in the second pass.
        ([1, 1, 1, 9, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1]),
        # A straight line stays.
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]),
        ([1, 2, 3], [1, 2, 3]),
        # By hand: medians of 3 give 3 3 3 inside, and the median of (3*3-2*3, 1, 3) at the ends:
        # all is flat; what was taken away, -2 0 1 0 -2, has the medians 0 0 0 0 0.
        ([1, 3, 4, 3, 1], [3, 3, 3, 3, 3]),
        # By hand: medians change nothing; Q bends the top to 2, 7/3, 2; the means follow; what was
        # taken away, 0 0 1/6 -1/6 1/6 0 0, has the medians zero.
        ([0, 1, 2, 2, 2, 1, 0], [0, 1, 11 / 6, 13 / 6, 11 / 6, 1, 0]),
        ([5.0], [5.0]),
        ([5.0, 1.0], [5.0, 1.0]),
    ],
)
def test_known_values(values, expected):
    assert smooth_353qh_twice(np.array(values, dtype=float)) == pytest.approx(expected)


def test_it_does_not_change_its_argument():
    values = np.array([1.0, 5.0, 2.0, 7.0])
    smooth_353qh_twice(values)
    assert values.tolist() == [1.0, 5.0, 2.0, 7.0]


@given(
    hnp.arrays(float, 8, elements=st.floats(0.5, 100.0)),
    hnp.arrays(float, 8, elements=st.floats(0.5, 100.0)),
)
def test_the_yield_is_kept_and_no_bin_is_negative(nominal, shape):
    smooth = smooth_shape(nominal, shape)
    assert smooth.sum() == pytest.approx(shape.sum())
    assert smooth.min() >= 0


@given(hnp.arrays(float, 8, elements=st.floats(0.5, 100.0)), st.floats(-0.1, 0.1))
def test_a_straight_ratio_to_any_nominal_shape_is_kept(nominal, slope):
    shape = nominal * (1.0 + slope * np.arange(8))
    assert smooth_shape(nominal, shape) == pytest.approx(shape)


def test_an_empty_bin_has_no_ratio_and_keeps_its_content():
    nominal = np.array([10.0, 0.0, 10.0, 10.0, 10.0])
    shape = np.array([10.0, 2.0, 10.0, 18.0, 10.0])
    assert smooth_shape(nominal, shape)[1] == 2.0
    assert smooth_shape(nominal, shape).sum() == pytest.approx(50.0)
