"""Smoothing of changes of shape: running medians and means, 353QH twice.

J. H. Friedman, Proceedings of the 1974 CERN School of Computing, CERN 74-23, p. 271: running
medians of three, five and three bins (3, 5, 3), quadratic interpolation of flat segments (Q), and
running means (H, hanning), then the same once more on what was taken away. ROOT's TH1::Smooth and
cabinetry's `smooth_353qh_twice` are this algorithm, and the latter is reproduced.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHORTEST = 3
"""Bins without which there is nothing to smooth."""


def smooth_353qh_twice(values: Array) -> Array:
    """Smooth a sequence; it stays above zero if it was.

    Parameters
    ----------
    values
        One number per bin.

    Returns
    -------
    numpy.ndarray
        As many numbers; those of fewer than three bins are unchanged.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < SHORTEST:
        return values.copy()
    smooth = _353qh(values)
    smooth = smooth + _353qh(values - smooth)
    return smooth if values.min() < 0 else np.clip(smooth, 0.0, None)


def smooth_shape(nominal: Array, shape: Array) -> Array:
    """Smooth the ratio of a varied shape to the nominal one, at the yield of the varied one.

    Parameters
    ----------
    nominal, shape
        Events per bin. A bin that is empty nominally has no ratio: it takes no part in the
        smoothing and keeps its content.
    """
    filled = nominal > 0
    smoothed = shape.copy()
    smoothed[filled] = nominal[filled] * smooth_353qh_twice(shape[filled] / nominal[filled])
    total = smoothed[filled].sum()
    if not total > 0:
        return shape.copy()
    smoothed[filled] *= shape[filled].sum() / total
    return smoothed


def _353qh(values: Array) -> Array:
    return _mean(_interpolate(_medians(values)))


def _medians(values: Array) -> Array:
    """Medians of 3, 5 and 3 bins."""
    three = _median(values, 3)
    # The ends are set once, from a straight line through their smoothed neighbours.
    three[0] = np.median([3 * three[1] - 2 * three[2], values[0], three[1]])
    three[-1] = np.median([three[-2], values[-1], 3 * three[-2] - 2 * three[-3]])
    five = _median(three, 5)
    five[1], five[-2] = np.median(three[:3]), np.median(three[-3:])
    return _median(five, 3)


def _median(values: Array, width: int) -> Array:
    """Running median; where the window does not fit, the values themselves."""
    found = values.copy()
    if len(values) >= width:
        inner = slice(width // 2, len(values) - width // 2)
        found[inner] = np.median(sliding_window_view(values, width), axis=1)
    return found


def _interpolate(values: Array) -> Array:
    """Bend flat segments of three bins that are peaks or valleys, by a parabola."""
    found = values.copy()
    for place in range(2, len(values) - 2):
        if not values[place - 1] == values[place] == values[place + 1]:
            continue
        left = values[place - 2] - values[place]
        right = values[place + 2] - values[place]
        if left * right <= 0:
            continue  # part of a slope
        side = -1 if abs(right) > abs(left) else 1
        near, far = values[place - 2 * side], values[place + 2 * side]
        found[place] = -0.5 * near + values[place] / 0.75 + far / 6.0
        found[place + side] = 0.5 * (far - near) + values[place]
    return found


def _mean(values: Array) -> Array:
    """Running mean with weights 1/4, 1/2, 1/4; the ends stay."""
    found = values.copy()
    found[1:-1] = 0.25 * values[:-2] + 0.5 * values[1:-1] + 0.25 * values[2:]
    return found
