"""Sides that are missing, and sides that go the same way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fullchain.inference.symmetrisation import mirror_shape, symmetrise_shapes, symmetrise_yields
from fullchain.inference.variations import split

NOMINAL = np.array([10.0, 20.0, 30.0])
POSITIVE = hnp.arrays(float, 3, elements=st.floats(0.5, 100.0))


@given(POSITIVE, POSITIVE)
def test_mirrored_shape_keeps_the_yield_and_stays_positive(nominal, varied):
    _, shape = split(nominal, varied)
    reflected, clipped = mirror_shape(nominal, shape)
    assert reflected.sum() == pytest.approx(nominal.sum())
    assert reflected.min() >= 0
    if not clipped:
        assert 0.5 * (reflected + shape) == pytest.approx(nominal)


@pytest.mark.parametrize(
    ("up", "down", "how", "expected", "actions"),
    [
        (1.2, 0.9, "average", (1.2, 0.9), ()),
        (1.2, None, "mirror", (1.2, 1 / 1.2), ("mirrored",)),
        (None, 0.8, "max", (1.25, 0.8), ("mirrored",)),
        (1.2, None, "none", (1.2, 1.0), ("one-sided",)),
        (None, 0.8, "none", (1.0, 0.8), ("one-sided",)),
        (1.2, 1.1, "none", (1.2, 1.1), ("same side",)),
        (1.2, 1.1, "mirror", (1.2, 1.1), ("same side",)),
        (1.2, 1.1, "max", (1.2, 1 / 1.2), ("same side", "largest")),
        (1.1, 1.2, "max", (1 / 1.2, 1.2), ("same side", "largest")),
        (1.44, 1.21, "average", (1.32, 1 / 1.32), ("same side", "averaged")),
        (0.9, 0.8, "max", (1 / 0.8, 0.8), ("same side", "largest")),
        (1.2, 1.0, "average", (1.2, 1.0), ()),
    ],
)
def test_yields(up, down, how, expected, actions):
    made = symmetrise_yields(up, down, how)
    assert (float(made.up), float(made.down)) == pytest.approx(expected)
    assert made.actions == actions


def test_shapes_of_the_same_side_are_averaged_or_the_larger_one_is_taken():
    up, down = NOMINAL + np.array([2.0, 0.0, -2.0]), NOMINAL + np.array([1.0, 0.0, -1.0])
    averaged = symmetrise_shapes(up, down, NOMINAL, "average")
    assert averaged.up - NOMINAL == pytest.approx([1.5, 0.0, -1.5])
    assert averaged.down - NOMINAL == pytest.approx([-1.5, 0.0, 1.5])
    largest = symmetrise_shapes(down, up, NOMINAL, "max")
    assert largest.down == pytest.approx(up)
    assert largest.up == pytest.approx(2 * NOMINAL - up)
    assert largest.actions == ("same side", "largest")


def test_shapes_of_opposite_sides_stay():
    up, down = NOMINAL + np.array([2.0, 0.0, -2.0]), NOMINAL + np.array([-1.0, 1.0, 0.0])
    made = symmetrise_shapes(up, down, NOMINAL, "average")
    assert made.up is up
    assert made.down is down
    assert made.actions == ()


def test_a_mirrored_bin_below_zero_is_clipped_and_told():
    made = symmetrise_shapes(np.array([50.0, 5.0, 5.0]), None, NOMINAL, "mirror")
    assert made.actions == ("mirrored", "clipped")
    assert made.down[0] == 0.0
    assert made.down.sum() == pytest.approx(60.0)
