"""Machine code for the GELU together with its slope, in training on CPUs.

Both need the same exponential. torch evaluates it, and an error function, once on the way forward
and again on the way back.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.compiled import compiled

Array = npt.NDArray[Any]

_FAST = {"contract", "reassoc", "nsz"}
_ONE, _HALF = np.float32(1.0), np.float32(0.5)
_LOG2_E, _LOWEST = np.float32(1.44269504), np.float32(-87.0)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_PER_ROOT_2, _PER_ROOT_2_PI = np.float32(0.7071067811865476), np.float32(0.3989422804014327)


@compiled(fastmath=_FAST, error_model="numpy")
def gelu_and_slope(values: Array, result: Array, start: int, stop: int) -> None:
    """Fill `result` with gelu(x) and `values`, which held x, with its slope.

    Both have shape (rows, n), float32; done are columns from `start` to `stop`. The error function
    is 7.1.26 of Abramowitz and Stegun, with an error of 1.5e-7 at most; the exponential is the
    polynomial of Cephes.
    """
    for row in range(len(values)):
        # Counted from zero, so that no number can mean one from the end.
        given, filled = values[row, start:stop], result[row, start:stop]
        for k in range(len(given)):
            x = given[k]
            e = -_HALF * x * x
            e = _LOWEST if e < _LOWEST else e
            n = np.floor(e * _LOG2_E + _HALF)
            r = e - n * _LN2_HIGH - n * _LN2_LOW
            p = np.float32(1.9875691500e-4)
            p = p * r + np.float32(1.3981999507e-3)
            p = p * r + np.float32(8.3334519073e-3)
            p = p * r + np.float32(4.1665795894e-2)
            p = p * r + np.float32(1.6666665459e-1)
            p = p * r + np.float32(5.0000001201e-1)
            power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
            density = (p * r * r + r + _ONE) * power
            t = _ONE / (_ONE + np.float32(0.3275911) * abs(x) * _PER_ROOT_2)
            q = np.float32(1.061405429)
            q = q * t + np.float32(-1.453152027)
            q = q * t + np.float32(1.421413741)
            q = q * t + np.float32(-0.284496736)
            q = q * t + np.float32(0.254829592)
            beyond = _HALF * q * t * density
            below = beyond if x < np.float32(0.0) else _ONE - beyond
            filled[k] = x * below
            given[k] = below + _PER_ROOT_2_PI * x * density
