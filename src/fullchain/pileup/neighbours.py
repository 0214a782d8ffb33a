"""Sums over the neighbours of a direction, found on a grid in pseudorapidity and azimuth."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled

Array = NDArray[Any]

_CELLS_PER_RADIUS = 2  # finer cells are nearer to the circle, but there are more of them


# The sums may be taken in any order: without that the compiler cannot use vector units, and PUPPI
# takes four times as long. For the same reason there is no branch, and arrays are slices.
_VECTOR = {"reassoc", "nsz", "contract", "arcp"}


@compiled(fastmath=_VECTOR)
def _sum_squared(
    near_eta: Array, near_phi: Array, share: Array, eta: float, phi: float, low: float, high: float
) -> float:
    """Sum share / dR^2 over what has low < dR^2 < high."""
    total = 0.0
    for j in range(len(near_eta)):
        d_eta, d_phi = near_eta[j] - eta, near_phi[j] - phi
        distance = d_eta * d_eta + d_phi * d_phi
        amount = share[j] / max(distance, low)
        total += amount if (distance > low) and (distance < high) else 0.0
    return total


@compiled(fastmath=_VECTOR)
def _sum_linear(
    near_eta: Array, near_phi: Array, share: Array, eta: float, phi: float, low: float, high: float
) -> float:
    """Sum share / dR over what has low < dR^2 < high."""
    total = 0.0
    for j in range(len(near_eta)):
        d_eta, d_phi = near_eta[j] - eta, near_phi[j] - phi
        distance = d_eta * d_eta + d_phi * d_phi
        amount = share[j] / math.sqrt(max(distance, low))
        total += amount if (distance > low) and (distance < high) else 0.0
    return total


@compiled
def neighbour_sums(
    eta: Array,
    phi: Array,
    source_eta: Array,
    source_phi: Array,
    source_pt: Array,
    radius: float,
    inner_radius: float,
    squared: bool,
) -> Array:
    """Sum pT / dR, or its square, over the sources with inner_radius < dR < radius.

    The sources are sorted into cells, and only cells that reach into the circle are looked at: the
    time grows with the density of the sources and not with the square of their number.

    Parameters
    ----------
    eta, phi
        (n) directions; finite, phi within [-pi, pi].
    source_eta, source_phi, source_pt
        (m) the candidates that are summed over [GeV]; likewise.
    radius, inner_radius
        Limits of the distance in eta and phi; 0 <= inner_radius < radius <= 1.
    squared
        Sum (pT / dR)^2 instead.

    Returns
    -------
    (n) sums [GeV, or GeV^2]; 0 where there is no neighbour.
    """
    found = np.zeros(len(eta))
    if len(source_eta) == 0:
        return found
    side = radius / _CELLS_PER_RADIUS
    lowest = source_eta.min()
    rows = int((source_eta.max() - lowest) / side) + 1
    # The columns beyond phi = +-pi repeat what lies on the other side, so that neighbours always
    # stand side by side and the innermost loop has no branch.
    columns = int(2.0 * math.pi / side)
    per_radian = columns / (2.0 * math.pi)
    border = _CELLS_PER_RADIUS + 1
    wide = columns + 2 * border

    begin = np.zeros(rows * wide + 1, np.int64)
    cells = np.empty(len(source_eta), np.int64)
    copies = np.zeros(len(source_eta), np.int64)
    for j in range(len(source_eta)):
        row = min(int((source_eta[j] - lowest) / side), rows - 1)
        column = min(max(int((source_phi[j] + math.pi) * per_radian), 0), columns - 1)
        cells[j] = row * wide + column + border
        begin[cells[j] + 1] += 1
        if column < border:
            copies[j] = columns
        elif column >= columns - border:
            copies[j] = -columns
        if copies[j] != 0:
            begin[cells[j] + copies[j] + 1] += 1
    for k in range(rows * wide):
        begin[k + 1] += begin[k]
    place = begin[:-1].copy()
    near_eta, near_phi, share = np.empty(begin[-1]), np.empty(begin[-1]), np.empty(begin[-1])
    for j in range(len(source_eta)):
        for shift in (0, copies[j]):
            at = place[cells[j] + shift]
            place[cells[j] + shift] += 1
            near_eta[at] = source_eta[j]
            near_phi[at] = source_phi[j] + shift / per_radian
            share[at] = source_pt[j] * source_pt[j] if squared else source_pt[j]
            if copies[j] == 0:
                break

    largest, smallest = radius * radius, inner_radius * inner_radius
    for i in range(len(eta)):
        # floor, not truncation: a direction may lie below the lowest source
        row = math.floor((eta[i] - lowest) / side)
        for r in range(max(row - border, 0), min(row + border + 1, rows)):
            low = lowest + r * side
            gap = max(low - eta[i], eta[i] - low - side, 0.0)
            if gap >= radius:
                continue
            half = math.sqrt(largest - gap * gap)
            left = int((phi[i] - half + math.pi) * per_radian + border)
            right = int((phi[i] + half + math.pi) * per_radian + border)
            first = begin[r * wide + min(max(left, 0), wide - 1)]
            last = begin[r * wide + min(max(right, 0), wide - 1) + 1]
            some_eta, some_phi, some = near_eta[first:last], near_phi[first:last], share[first:last]
            if squared:
                found[i] += _sum_squared(
                    some_eta, some_phi, some, eta[i], phi[i], smallest, largest
                )
            else:
                found[i] += _sum_linear(some_eta, some_phi, some, eta[i], phi[i], smallest, largest)
    return found
