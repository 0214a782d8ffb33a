"""Rounding of a number to what its uncertainty supports.

The rule is that of the Particle Data Group (Phys. Rev. D 98 (2018) 030001, introduction, section
5.3): if the three highest digits of the uncertainty lie between 100 and 354, it keeps two digits;
between 355 and 949, one; from 950 on it is rounded up to 1000 and keeps two. The value is rounded
to the same decimal.
"""

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

LARGEST_PLAIN = 2
"""Numbers whose last significant digit stands above 10^2 are written with a power of ten."""
SMALLEST_PLAIN = -4
"""So are numbers below 10^-4."""

# Enough digits for the largest float beside the smallest.
_CONTEXT = Context(prec=700)


@dataclass(frozen=True)
class Rounded:
    """A rounded number as text: (`value` +- `uncertainty`) x 10^`exponent`.

    `uncertainty` is None for a number that has none. The minus sign is ASCII.
    """

    value: str
    uncertainty: str | None
    exponent: int = 0


def decimals(uncertainty: float) -> int:
    """Give the number of decimals that a positive uncertainty supports; negative for tens, ...

    Examples
    --------
    >>> [decimals(u) for u in (0.827, 0.119, 0.367, 0.00353, 17.2, 9.6, 0.0951)]
    [1, 2, 1, 4, 0, 0, 2]
    """
    exact = _exact(uncertainty)
    if exact <= 0:
        raise ValueError(f"the rule needs a positive uncertainty, not {uncertainty}")
    leading = exact.adjusted()
    three = int(exact.scaleb(2 - leading))
    if three <= 354:
        return 1 - leading
    # 950 to 999 becomes 1000, of which two digits are kept: as many decimals as one digit of it.
    return -leading


def rounded(value: float, uncertainty: float) -> Rounded:
    """Round `value` and `uncertainty` together.

    An uncertainty of zero means an exact number: it is shown with up to six digits.

    Examples
    --------
    >>> rounded(0.98193, 0.00047)
    Rounded(value='0.9819', uncertainty='0.0005', exponent=0)
    >>> rounded(1234567.0, 4600.0)
    Rounded(value='1.235', uncertainty='0.005', exponent=6)

    Raises
    ------
    ValueError
        The value or the uncertainty is not finite, or the uncertainty is negative.
    """
    if not (math.isfinite(value) and math.isfinite(uncertainty)) or uncertainty < 0:
        raise ValueError(f"cannot round {value} +- {uncertainty}")
    if uncertainty == 0:
        return alone(value)
    places = decimals(uncertainty)
    number, error = _exact(value), _exact(uncertainty)
    exponent = 0
    size = max(_round(abs(number), places), _round(error, places)).adjusted()
    if -places > LARGEST_PLAIN or size < SMALLEST_PLAIN:
        exponent = size
    shown = max(places + exponent, 0)
    return Rounded(
        _text(_round(number, places).scaleb(-exponent, _CONTEXT), shown),
        _text(_round(error, places).scaleb(-exponent, _CONTEXT), shown),
        exponent,
    )


def limit(value: float) -> Rounded:
    """Round a limit to two digits: it has no uncertainty that says how many count.

    Examples
    --------
    >>> [limit(value).value for value in (129.84, 0.0527, 2.996)]
    ['130', '0.053', '3']
    """
    if not math.isfinite(value):
        raise ValueError(f"cannot round a limit of {value}")
    exact = _exact(value)
    return alone(float(_round(exact, 1 - exact.adjusted()))) if value else alone(0.0)


def quoted(value: float, uncertainty: float) -> Rounded:
    """Give a reference value with the digits of its publication.

    One whose uncertainty has more than two digits was computed and not quoted: it is rounded as
    our own numbers are.

    Examples
    --------
    >>> quoted(247.0, 3.0)
    Rounded(value='247', uncertainty='3', exponent=0)
    >>> quoted(0.0421387, 0.0012345)
    Rounded(value='0.0421', uncertainty='0.0012', exponent=0)
    """
    number, error = _exact(value).normalize(), _exact(uncertainty).normalize()
    if not uncertainty or len(error.as_tuple().digits) > 2:
        return rounded(value, uncertainty)
    places = max(_decimals_written(error), 0)
    # A last digit of zero is lost in a float: 0.9819 +- 0.0010 has four decimals all the same.
    if _decimals_written(number) == places + 1:
        places += 1
    return Rounded(_text(_round(number, places), places), _text(_round(error, places), places))


def _decimals_written(number: Decimal) -> int:
    return -int(number.as_tuple().exponent)


def alone(value: float) -> Rounded:
    """Give a number without uncertainty as it was written, with at most six digits."""
    if value == 0:
        return Rounded("0", None)
    exact = _exact(value)
    leading = exact.adjusted()
    kept = _round(exact, 5 - leading).normalize()
    if kept == kept.to_integral_value() and leading <= 5:
        return Rounded(_text(kept, 0), None)
    exponent = leading if leading > 5 or leading < SMALLEST_PLAIN else 0
    mantissa = kept.scaleb(-exponent, _CONTEXT).normalize()
    return Rounded(f"{mantissa:f}", None, exponent)


def _exact(number: float) -> Decimal:
    # repr gives the shortest decimal that is this float: 0.355 stays 0.355.
    return Decimal(repr(float(number)))


def _round(number: Decimal, places: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN, _CONTEXT)


def _text(number: Decimal, places: int) -> str:
    text = f"{number:.{places}f}"
    return text.removeprefix("-") if Decimal(text) == 0 else text
