"""Machine code for the features of pairs of particles, in training on CPUs.

The formulas are those of `pair_embedding.pair_features`, in loops over the pairs of one jet at a
time that stay in the cache of a core. Logarithm, sine and hyperbolic sine are polynomials of single
precision, since machine code for several numbers at once cannot call those of a library.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.compiled import compiled

Array = npt.NDArray[Any]

_FAST = {"contract", "reassoc", "nsz"}
_ZERO, _ONE, _TWO, _FOUR = (np.float32(x) for x in (0.0, 1.0, 2.0, 4.0))
_HALF = np.float32(0.5)
_SMALL = np.float32(1e-8)
_TURN, _PER_TURN = np.float32(2 * math.pi), np.float32(1 / (2 * math.pi))
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_LOG2_E, _LARGE = np.float32(1.44269504), np.float32(40.0)


@compiled(fastmath=_FAST, error_model="numpy", inline="always")
def _log(x: Any) -> Any:
    """Logarithm of max(x, 1e-8), from the exponent and a polynomial (that of Cephes)."""
    x = _SMALL if x < _SMALL else x
    bits = np.float32(x).view(np.int32)
    # The mantissa in [1/sqrt(2), sqrt(2)): 0x3F3504F3 is 1/sqrt(2).
    shifted = np.int32(bits - np.int32(0x3F3504F3))
    power = np.int32(shifted >> np.int32(23))
    mantissa = np.int32(bits - np.int32(power << np.int32(23))).view(np.float32)
    y = mantissa - _ONE
    p = np.float32(7.0376836292e-2)
    p = p * y + np.float32(-1.1514610310e-1)
    p = p * y + np.float32(1.1676998740e-1)
    p = p * y + np.float32(-1.2420140846e-1)
    p = p * y + np.float32(1.4249322787e-1)
    p = p * y + np.float32(-1.6668057665e-1)
    p = p * y + np.float32(2.0000714765e-1)
    p = p * y + np.float32(-2.4999993993e-1)
    p = p * y + np.float32(3.3333331174e-1)
    n = np.float32(power)
    z = y * y
    return y * z * p + n * _LN2_LOW - _HALF * z + y + n * _LN2_HIGH


@compiled(fastmath=_FAST, error_model="numpy", inline="always")
def _sinh_squared(x: Any) -> Any:
    """Square of the hyperbolic sine: its series for small x, exponentials for others."""
    x = abs(x)
    x = _LARGE if x > _LARGE else x
    z = x * x
    p = np.float32(1 / 362880)
    p = p * z + np.float32(1 / 5040)
    p = p * z + np.float32(1 / 120)
    p = p * z + np.float32(1 / 6)
    small = x + x * z * p
    n = np.floor(x * _LOG2_E + _HALF)
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    e = (p * r * r + r + _ONE) * power
    large = _HALF * (e - _ONE / e)
    found = small if x < _ONE else large
    return found * found


@compiled(fastmath=_FAST, error_model="numpy", inline="always")
def _sin_squared(x: Any) -> Any:
    """Square of the sine of |x| <= pi/2, from its series."""
    z = x * x
    p = np.float32(-1 / 39916800)
    p = p * z + np.float32(1 / 362880)
    p = p * z + np.float32(-1 / 5040)
    p = p * z + np.float32(1 / 120)
    p = p * z + np.float32(-1 / 6)
    sine = x + x * z * p
    return sine * sine


@compiled(fastmath=_FAST, error_model="numpy", inline="always")
def _wrapped(x: Any) -> Any:
    return x - _TURN * np.floor(x * _PER_TURN + _HALF)


# One result for each loop: with more, whether arrays overlap takes more questions than the compiler
# asks, and it handles one pair at a time.
@compiled(fastmath=_FAST, error_model="numpy")
def _distances(y1: Array, y2: Array, phi1: Array, phi2: Array, pairs: int, delta: Array) -> None:
    for k in range(pairs):
        y, phi = y1[k] - y2[k], _wrapped(phi1[k] - phi2[k])
        delta[k] = np.sqrt(y * y + phi * phi)


@compiled(fastmath=_FAST, error_model="numpy")
def _opening(
    y1: Array, y2: Array, phi1: Array, phi2: Array, mt: Array, pt: Array, pairs: int, result: Array
) -> None:
    for k in range(pairs):
        phi = _HALF * _wrapped(phi1[k] - phi2[k])
        result[k] = mt[k] * _sinh_squared(_HALF * (y1[k] - y2[k])) + pt[k] * _sin_squared(phi)


@compiled(fastmath=_FAST, error_model="numpy")
def _product(a: Array, b: Array, pairs: int, result: Array) -> None:
    for k in range(pairs):
        result[k] = a[k] * b[k]


@compiled(fastmath=_FAST, error_model="numpy")
def _at_rest(
    squared1: Array, squared2: Array, pt1: Array, mt2: Array, mt: Array, pt: Array, pairs: int,
    result: Array,
) -> None:  # fmt: skip
    """Sum of the squared masses, and twice mT mT' - pT pT' written without a difference."""
    for k in range(pairs):
        product = mt[k] + pt[k]
        product = _SMALL if product < _SMALL else product
        rest = (squared1[k] * mt2[k] * mt2[k] + squared2[k] * pt1[k] * pt1[k]) / product
        result[k] = squared1[k] + squared2[k] + _TWO * rest


@compiled(fastmath=_FAST, error_model="numpy")
def _log_mass(at_rest: Array, opening: Array, delta: Array, pairs: int, result: Array) -> None:
    for k in range(pairs):
        squared = at_rest[k] + _FOUR * opening[k]
        result[k] = _log(squared if delta[k] > _ZERO else _ZERO)


@compiled(fastmath=_FAST, error_model="numpy")
def _log_kt(pt1: Array, pt2: Array, delta: Array, pairs: int, result: Array) -> None:
    for k in range(pairs):
        softer = pt1[k] if pt1[k] < pt2[k] else pt2[k]
        result[k] = _log(softer * delta[k])


@compiled(fastmath=_FAST, error_model="numpy")
def _log_z(pt1: Array, pt2: Array, pairs: int, result: Array) -> None:
    for k in range(pairs):
        softer = pt1[k] if pt1[k] < pt2[k] else pt2[k]
        total = pt1[k] + pt2[k]
        result[k] = _log(softer / (_SMALL if total < _SMALL else total))


@compiled(fastmath=_FAST, error_model="numpy")
def _log_delta(delta: Array, pairs: int, result: Array) -> None:
    for k in range(pairs):
        result[k] = _log(delta[k])


@compiled
def _copied(particles: Array, begin: int, size: int, first: Array, second: Array) -> None:
    """Copy columns of the particles of a jet to those of its pairs (0, 0), (1, 0), (1, 1), ..."""
    for k in range(len(particles)):
        own, pair = particles[k, begin : begin + size], 0
        for i in range(size):
            first[k, pair : pair + i + 1] = own[i]
            second[k, pair : pair + i + 1] = own[: i + 1]
            pair += i + 1


@compiled
def pair_features(
    particles: Array, starts: Array, pair_starts: Array, first: int, last: int, result: Array
) -> None:
    """Fill the features of the pairs of each jet from `first` to `last`.

    Parameters
    ----------
    particles
        Columns of `pair_embedding.centred`, shape (5, particles), float32.
    starts, pair_starts
        Number of the first particle and pair of each jet, shape (jets + 1,).
    result
        Filled: ln kT, ln z, ln dR and ln m^2, shape (4, pairs).
    """
    most = 0
    for jet in range(first, last):
        most = max(most, pair_starts[jet + 1] - pair_starts[jet])
    one, other = np.empty((5, most), np.float32), np.empty((5, most), np.float32)
    own = np.empty((5, most), np.float32)
    delta, mt, pt, at_rest, opening = own[0], own[1], own[2], own[3], own[4]
    for jet in range(first, last):
        begin, pairs = starts[jet], pair_starts[jet + 1] - pair_starts[jet]
        _copied(particles, begin, starts[jet + 1] - begin, one, other)
        place = slice(pair_starts[jet], pair_starts[jet + 1])
        _distances(one[1], other[1], one[2], other[2], pairs, delta)
        _log_kt(one[0], other[0], delta, pairs, result[0, place])
        _log_z(one[0], other[0], pairs, result[1, place])
        _log_delta(delta, pairs, result[2, place])
        _product(one[3], other[3], pairs, mt)
        _product(one[0], other[0], pairs, pt)
        _at_rest(one[4], other[4], one[0], other[3], mt, pt, pairs, at_rest)
        _opening(one[1], other[1], one[2], other[2], mt, pt, pairs, opening)
        _log_mass(at_rest, opening, delta, pairs, result[3, place])
