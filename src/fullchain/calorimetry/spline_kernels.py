"""Rational-quadratic splines of many numbers at once, compiled for one thread of the CPU.

The formulas are those of C. Durkan et al., 1906.04032; the gradients are written out, so that the
shape of a spline is found twice instead of kept. All inner loops run over the numbers of a row,
which lie beside one another in memory: (rows, shapes, numbers).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled

Array = NDArray[Any]

# Series of 2^f for |f| <= 1/2, to the precision of float32.
_LOG2E = np.float32(1.4426950408889634)
_C1 = np.float32(0.6931471805599453)
_C2 = np.float32(0.2402265069591007)
_C3 = np.float32(0.05550410866482158)
_C4 = np.float32(0.009618129107628477)
_C5 = np.float32(0.0013333558146428443)
_C6 = np.float32(0.00015403530393381608)

_FAST = {"nsz", "arcp", "contract", "reassoc"}


@compiled(fastmath=_FAST, error_model="numpy", inline="always")
def _exponentials(values: Array, squash: float, whole: Array, result: Array) -> None:
    """Exponential of v / (1 + squash |v|) for all values; `whole` is room for integers."""
    power = whole.view(np.float32)
    for at in range(values.size):
        value = values[at]
        scaled = value / (np.float32(1.0) + squash * abs(value)) * _LOG2E
        nearest = np.floor(scaled + np.float32(0.5))
        rest = scaled - nearest
        series = _C4 + rest * (_C5 + rest * _C6)
        series = np.float32(1.0) + rest * (_C1 + rest * (_C2 + rest * (_C3 + rest * series)))
        result[at] = series
        whole[at] = (np.int32(nearest) + np.int32(127)) << np.int32(23)
    for at in range(values.size):
        result[at] *= power[at]


@compiled(fastmath=_FAST, error_model="numpy", inline="always")
def _bins(
    row: Array,
    point: Array,
    bins: int,
    bound: float,
    squash: float,
    inverse: bool,
    parts: Array,
    found: Array,
    place: Array,
    whole: Array,
) -> None:
    """Find the bin of each number.

    `parts` (2 bins, numbers) are the parts of widths and heights; `found` (6, numbers) the left
    edge, width, lower edge, height and the slopes at both edges of the bin in `place`.
    """
    numbers = point.size
    one, two = np.float32(1.0), np.float32(2.0)
    for number in range(2 * bins):
        _exponentials(row[number], two * squash, whole, parts[number])
    for half in range(2):
        total = found[half]
        total[:] = 0.0
        for number in range(bins):
            one_part = parts[half * bins + number]
            for at in range(numbers):
                total[at] += one_part[at]
        for at in range(numbers):
            total[at] = one / total[at]
        for number in range(bins):
            one_part = parts[half * bins + number]
            for at in range(numbers):
                one_part[at] *= total[at]
    left, width, lower, height, first, last = (
        found[0],
        found[1],
        found[2],
        found[3],
        found[4],
        found[5],
    )
    right, upper = found[6], found[7]
    right[:] = -bound
    upper[:] = -bound
    for number in range(bins):
        widths, heights = parts[number], parts[bins + number]
        before = row[2 * bins + max(number - 1, 0)]
        after = row[2 * bins + min(number, bins - 2)]
        from_border, to_border = number == 0, number == bins - 1
        for at in range(numbers):
            reached = (upper[at] if inverse else right[at]) <= point[at] or number == 0
            wide, high = two * bound * widths[at], two * bound * heights[at]
            left[at] = right[at] if reached else left[at]
            lower[at] = upper[at] if reached else lower[at]
            width[at] = wide if reached else width[at]
            height[at] = high if reached else height[at]
            first[at] = (np.float32(0.0) if from_border else before[at]) if reached else first[at]
            last[at] = (np.float32(0.0) if to_border else after[at]) if reached else last[at]
            place[at] = number if reached else place[at]
            right[at] += wide
            upper[at] += high
    _exponentials(first, squash, whole, right)
    _exponentials(last, squash, whole, upper)
    first[:] = right
    last[:] = upper


@compiled(fastmath=_FAST, error_model="numpy")
def evaluate(
    shape: Array, point: Array, bins: int, bound: float, squash: float, inverse: bool
) -> tuple[Array, Array]:
    """Map points by splines, or back.

    Parameters
    ----------
    shape
        (rows, 3 bins - 1, numbers): logarithms of widths, of heights, of inner slopes.
    point
        (rows, numbers).
    bound
        Beyond it the spline is the identity.
    squash
        Logarithms v are taken as v / (1 + squash |v|), of widths and heights with twice `squash`.
    inverse
        Whether the splines are inverted.

    Returns
    -------
    The mapped points, and the derivative of what was done, (rows, numbers) each.
    """
    rows, numbers = point.shape
    mapped, derivative = np.empty_like(point), np.empty_like(point)
    one, two, four = np.float32(1.0), np.float32(2.0), np.float32(4.0)
    parts = np.empty((2 * bins, numbers), np.float32)
    found = np.zeros((8, numbers), np.float32)
    place = np.zeros(numbers, np.int32)
    whole = np.empty(numbers, np.int32)
    for row in range(rows):
        _bins(shape[row], point[row], bins, bound, squash, inverse, parts, found, place, whole)
        for at in range(numbers):
            x0, width, y0, height, d0, d1 = (
                found[0, at],
                found[1, at],
                found[2, at],
                found[3, at],
                found[4, at],
                found[5, at],
            )
            given = point[row, at]
            slope = height / width
            bend = d0 + d1 - two * slope
            if inverse:
                above = min(max(given - y0, np.float32(0.0)), height)
                a = height * (slope - d0) + above * bend
                b = height * d0 - above * bend
                c = -slope * above
                root = np.sqrt(max(b * b - four * a * c, np.float32(0.0)))
                theta = two * c / (-b - root)
            else:
                theta = (given - x0) / width
            theta = min(max(theta, np.float32(0.0)), one)
            rest = one - theta
            both = theta * rest
            below = slope + bend * both
            steep = d1 * theta * theta + two * slope * both + d0 * rest * rest
            ratio = slope / below
            change = ratio * ratio * steep
            inside = abs(given) < bound
            if inverse:
                to = x0 + theta * width
                change = one / change
            else:
                to = y0 + height * (slope * theta * theta + d0 * both) / below
            mapped[row, at] = to if inside else given
            derivative[row, at] = change if inside else one
    return mapped, derivative


@compiled(fastmath=_FAST, error_model="numpy")
def gradients(
    shape: Array,
    point: Array,
    mapped: Array,
    of_mapped: Array,
    of_stretch: Array,
    bins: int,
    bound: float,
    squash: float,
    inverse: bool,
) -> tuple[Array, Array]:
    """Gradients with respect to shapes and points of what `evaluate` gives.

    Parameters
    ----------
    mapped
        What `evaluate` gave.
    of_mapped, of_stretch
        Gradients with respect to the mapped points and the logarithm of the derivative.

    Returns
    -------
    (rows, 3 bins - 1, numbers) and (rows, numbers).
    """
    rows, numbers = point.shape
    of_shape, of_point = np.empty_like(shape), np.empty_like(point)
    zero, one, two = np.float32(0.0), np.float32(1.0), np.float32(2.0)
    parts = np.empty((2 * bins, numbers), np.float32)
    found = np.zeros((8, numbers), np.float32)
    place = np.zeros(numbers, np.int32)
    whole = np.empty(numbers, np.int32)
    # Gradients with respect to left and lower edge, width, height, slopes.
    of_bin = np.empty((6, numbers), np.float32)
    sums = np.empty((2, numbers), np.float32)
    for row in range(rows):
        _bins(shape[row], point[row], bins, bound, squash, inverse, parts, found, place, whole)
        for at in range(numbers):
            x0, width, height, d0, d1 = (
                found[0, at],
                found[1, at],
                found[3, at],
                found[4, at],
                found[5, at],
            )
            x = mapped[row, at] if inverse else point[row, at]
            inside = abs(point[row, at]) < bound
            per_width = one / width
            slope = height * per_width
            bend = d0 + d1 - two * slope
            theta = min(max((x - x0) * per_width, zero), one)
            rest, turn = one - theta, one - two * theta
            both = theta * rest
            below = slope + bend * both
            above = slope * theta * theta + d0 * both
            steep = d1 * theta * theta + two * slope * both + d0 * rest * rest
            per_below, per_steep = one / below, one / steep
            ratio = above * per_below
            scale = height * per_below
            change = slope * per_below
            change = change * change * steep
            # Of the mapped value and of the logarithm of the derivative, to each parameter.
            below_theta = bend * turn
            y_theta = scale * (two * slope * theta + d0 * turn - ratio * below_theta)
            l_theta = (
                two * (d1 * theta + slope * turn - d0 * rest) * per_steep
                - two * below_theta * per_below
            )
            below_slope = one - two * both
            y_slope = scale * (theta * theta - ratio * below_slope)
            l_slope = two / slope + two * both * per_steep - two * below_slope * per_below
            y_d0 = scale * both * (one - ratio)
            y_d1 = -scale * both * ratio
            common = two * both * per_below
            l_d0 = rest * rest * per_steep - common
            l_d1 = theta * theta * per_steep - common
            to, stretch = of_mapped[row, at], of_stretch[row, at]
            if inverse:
                # The derivative of an inverse: x moves so that y stays.
                total = to - stretch * l_theta * per_width
                back = total / change
                of_point[row, at] = back if inside else to
                to, stretch = -back, -stretch
            g_theta = to * y_theta + stretch * l_theta
            g_slope = to * y_slope + stretch * l_slope
            if not inverse:
                of_point[row, at] = g_theta * per_width if inside else to
            kept = one if inside else zero
            of_bin[0, at] = -g_theta * per_width * kept
            of_bin[1, at] = to * kept
            of_bin[2, at] = -(g_theta * theta + g_slope * slope) * per_width * kept
            of_bin[3, at] = (to * ratio + g_slope * per_width) * kept
            of_bin[4, at] = (to * y_d0 + stretch * l_d0) * d0 * kept
            of_bin[5, at] = (to * y_d1 + stretch * l_d1) * d1 * kept
        for half in range(2):
            of_edge, of_size, mean = of_bin[half], of_bin[2 + half], sums[half]
            mean[:] = zero
            for number in range(bins):
                part = parts[half * bins + number]
                for at in range(numbers):
                    here = of_edge[at] if number < place[at] else zero
                    here = of_size[at] if number == place[at] else here
                    mean[at] += here * part[at]
            for number in range(bins):
                part = parts[half * bins + number]
                given, result = (
                    shape[row, half * bins + number],
                    of_shape[row, half * bins + number],
                )
                for at in range(numbers):
                    here = of_edge[at] if number < place[at] else zero
                    here = of_size[at] if number == place[at] else here
                    soft = one / (one + two * squash * abs(given[at]))
                    result[at] = two * bound * part[at] * (here - mean[at]) * soft * soft
        for number in range(bins - 1):
            given, result = shape[row, 2 * bins + number], of_shape[row, 2 * bins + number]
            for at in range(numbers):
                here = of_bin[4, at] if place[at] == number + 1 else zero
                here = of_bin[5, at] if place[at] == number else here
                soft = one / (one + squash * abs(given[at]))
                result[at] = here * soft * soft
    return of_shape, of_point
