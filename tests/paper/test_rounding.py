"""Rounding by the rule of the Particle Data Group."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.paper.rounding import Rounded, alone, decimals, rounded


# The first two are the examples of the Review of Particle Physics, introduction, section 5.3.
@pytest.mark.parametrize(
    ("value", "uncertainty", "expected"),
    [
        (0.827, 0.119, ("0.83", "0.12", 0)),
        (0.827, 0.367, ("0.8", "0.4", 0)),
        (14.674, 0.964, ("14.7", "1.0", 0)),
        (0.9819, 0.000354, ("0.98190", "0.00035", 0)),
        (0.9819, 0.000355, ("0.9819", "0.0004", 0)),
        (888.2, 17.4, ("888", "17", 0)),
        (1602.0, 81.0, ("1600", "80", 0)),
        (-0.004, 5.0, ("0", "5", 0)),
        (-12.34, 0.5, ("-12.3", "0.5", 0)),
        (1234567.0, 4600.0, ("1.235", "0.005", 6)),
        (1.5e-7, 2e-8, ("1.50", "0.20", -7)),
        (5.0, 1234567.0, ("0.0", "1.2", 6)),
        (9.996, 0.0354, ("9.996", "0.035", 0)),
        (99999.6e3, 4600.0, ("1.00000", "0.00005", 8)),
    ],
)
def test_known_cases(value, uncertainty, expected):
    assert rounded(value, uncertainty) == Rounded(*expected)


@given(
    value=st.floats(-1e12, 1e12),
    uncertainty=st.floats(1e-12, 1e12),
)
def test_the_rule(value, uncertainty):
    result = rounded(value, uncertainty)
    shown = Decimal(result.uncertainty).scaleb(result.exponent)
    digits = Decimal(result.uncertainty).as_tuple()
    significant = "".join(map(str, digits.digits)).lstrip("0")
    # One or two digits are kept, never more; the rest of an integer are zeros.
    assert len(significant.rstrip("0")) <= 2
    # No more than half a unit of the last kept digit is lost, for both.
    step = Decimal(1).scaleb(-decimals(uncertainty))
    assert abs(shown - Decimal(repr(uncertainty))) <= step / 2
    number = Decimal(result.value).scaleb(result.exponent)
    assert abs(number - Decimal(repr(value))) <= step / 2
    # Rounding moves the uncertainty by less than 15 %: 0.355 -> 0.4.
    assert float(abs(shown - Decimal(repr(uncertainty)))) <= 0.15 * uncertainty
    # Both have the same number of decimals.
    assert Decimal(result.value).as_tuple().exponent == digits.exponent
    assert result.value != "-0"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_alone_keeps_six_digits(value):
    result = alone(value)
    assert result.uncertainty is None
    shown = float(Decimal(result.value).scaleb(result.exponent))
    assert math.isclose(shown, value, rel_tol=1e-5, abs_tol=0.0)


def test_exact_numbers_have_no_uncertainty():
    assert rounded(2000.0, 0.0) == Rounded("2000", None)
    assert rounded(0.9819, 0.0) == Rounded("0.9819", None)
    assert alone(0.0) == Rounded("0", None)
    assert alone(1234567.0) == Rounded("1.23457", None, 6)


@pytest.mark.parametrize(("value", "uncertainty"), [(1.0, -0.1), (math.nan, 1), (1, math.inf)])
def test_nonsense_is_refused(value, uncertainty):
    with pytest.raises(ValueError, match="cannot round"):
        rounded(value, uncertainty)
