"""Who is near whom in an event, found on a grid in pseudorapidity and azimuth.

All candidates of one event or window are one group; only those of the same group see each other.
Time and memory grow with the number of candidates times that of their neighbours.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled

Array = NDArray[Any]

NONE = -1
"""Where there are fewer neighbours than places for them."""

_NEAREST = 0.02  # distance below which pT / dR does not grow, about a cell of the calorimeter


def neighbour_lists(eta: Array, phi: Array, offsets: Array, radius: float, k: int) -> Array:
    """List the nearest neighbours of each candidate, itself excluded.

    Parameters
    ----------
    eta, phi
        (n) finite directions; phi of any turn.
    offsets
        (groups + 1) where the candidates of each group begin.
    radius
        Largest distance in eta and phi.
    k
        Most neighbours of a candidate.

    Returns
    -------
    (n, longest list) int64 places in the arrays, nearest first, then `NONE`; at least one column.
    Of equal distances, the one that comes first is nearer.
    """
    lists, longest = _lists(
        np.ascontiguousarray(eta, np.float64),
        np.ascontiguousarray(phi, np.float64),
        np.ascontiguousarray(offsets, np.int64),
        float(radius),
        int(k),
    )
    found: Array = np.ascontiguousarray(lists[:, : max(longest, 1)])
    return found


def local_sums(
    pt: Array, eta: Array, phi: Array, group: Array, offsets: Array, edges: Array, groups: int
) -> tuple[Array, Array]:
    """Sum pT in rings around each candidate, itself excluded, for each kind of candidate.

    Parameters
    ----------
    pt, eta, phi
        (n) [GeV].
    group
        (n) kind of each candidate, from 0 to groups - 1.
    offsets
        (events + 1) where the candidates of each event begin.
    edges
        Outer distances of the rings, growing.

    Returns
    -------
    sums
        (n, groups, rings) [GeV].
    squares
        (n, groups) sum of (pT / dR)^2 within the last ring [GeV^2], as in alpha of PUPPI; dR
        counts as at least 0.02.
    """
    sums, squares = _sums(
        np.ascontiguousarray(pt, np.float64),
        np.ascontiguousarray(eta, np.float64),
        np.ascontiguousarray(phi, np.float64),
        np.ascontiguousarray(group, np.int64),
        np.ascontiguousarray(offsets, np.int64),
        np.ascontiguousarray(edges, np.float64),
        groups,
    )
    return sums, squares


@compiled
def _grid(eta: Array, phi: Array, radius: float) -> tuple[Array, Array, Array, Array, int, int]:
    """Sort candidates into cells at least as wide as the radius.

    Gives the cell of each, where each cell begins in the order, the order, eta and phi (within one
    turn) in that order, rows and columns.
    """
    # a limit on the rows keeps the grid small where radii are tiny
    lowest, span = eta.min(), eta.max() - eta.min()
    rows = max(1, min(int(span / radius), 1000))
    columns = max(1, min(int(2.0 * math.pi / radius), 1000))
    cell = np.empty(len(eta), np.int64)
    begin = np.zeros(rows * columns + 1, np.int64)
    for i in range(len(eta)):
        row = min(int((eta[i] - lowest) / span * rows), rows - 1) if span > 0 else 0
        turn = (phi[i] / (2.0 * math.pi)) % 1.0
        column = min(int(turn * columns), columns - 1)
        cell[i] = row * columns + column
        begin[cell[i] + 1] += 1
    for c in range(rows * columns):
        begin[c + 1] += begin[c]
    place = begin[:-1].copy()
    order = np.empty(len(eta), np.int64)
    sorted_places = np.empty((len(eta), 2))
    for i in range(len(eta)):
        at = place[cell[i]]
        place[cell[i]] += 1
        order[at] = i
        sorted_places[at, 0] = eta[i]
        sorted_places[at, 1] = phi[i] % (2.0 * math.pi)
    return cell, begin, order, sorted_places, rows, columns


@compiled
def _around(columns: int, column: int, step: int) -> int:
    """Give a column beside another, or -1 where it was met before: few columns close the circle."""
    if columns < 3 and step >= columns - 1:
        return -1
    return (column + step) % columns


@compiled
def _lists(eta: Array, phi: Array, offsets: Array, radius: float, k: int) -> tuple[Array, int]:
    found = np.full((len(eta), k), NONE, np.int64)
    distances = np.empty(k)
    longest = 0
    largest = radius * radius
    for event in range(len(offsets) - 1):
        first, last = offsets[event], offsets[event + 1]
        if last - first < 2:
            continue
        own_eta, own_phi = eta[first:last], phi[first:last]
        cell, begin, order, near, rows, columns = _grid(own_eta, own_phi, radius)
        for i in range(last - first):
            row, column = cell[i] // columns, cell[i] % columns
            eta_i, phi_i = own_eta[i], own_phi[i] % (2.0 * math.pi)
            number = 0
            for r in range(max(row - 1, 0), min(row + 2, rows)):
                for step in range(-1, 2):
                    beside = _around(columns, column, step)
                    if beside < 0:
                        continue
                    c = r * columns + beside
                    for at in range(begin[c], begin[c + 1]):
                        d_eta = eta_i - near[at, 0]
                        d_phi = abs(phi_i - near[at, 1])
                        if d_phi > math.pi:
                            d_phi = 2.0 * math.pi - d_phi
                        distance = d_eta * d_eta + d_phi * d_phi
                        if distance >= largest:
                            continue
                        j = order[at]
                        if j == i:
                            continue
                        if number == k and not (
                            distance < distances[k - 1]
                            or (
                                distance == distances[k - 1] and j + first < found[i + first, k - 1]
                            )
                        ):
                            continue
                        place = number if number < k else k - 1
                        number = min(number + 1, k)
                        while place > 0 and (
                            distances[place - 1] > distance
                            or (
                                distances[place - 1] == distance
                                and found[i + first, place - 1] > j + first
                            )
                        ):
                            distances[place] = distances[place - 1]
                            found[i + first, place] = found[i + first, place - 1]
                            place -= 1
                        distances[place] = distance
                        found[i + first, place] = j + first
            longest = max(longest, number)
    return found, longest


@compiled
def _sums(
    pt: Array, eta: Array, phi: Array, group: Array, offsets: Array, edges: Array, groups: int
) -> tuple[Array, Array]:
    rings = len(edges)
    sums = np.zeros((len(pt), groups, rings))
    squares = np.zeros((len(pt), groups))
    radius = edges[rings - 1]
    largest = radius * radius
    for event in range(len(offsets) - 1):
        first, last = offsets[event], offsets[event + 1]
        if last - first < 2:
            continue
        own_eta, own_phi = eta[first:last], phi[first:last]
        cell, begin, order, near, rows, columns = _grid(own_eta, own_phi, radius)
        for i in range(last - first):
            row, column = cell[i] // columns, cell[i] % columns
            eta_i, phi_i = own_eta[i], own_phi[i] % (2.0 * math.pi)
            for r in range(max(row - 1, 0), min(row + 2, rows)):
                for step in range(-1, 2):
                    beside = _around(columns, column, step)
                    if beside < 0:
                        continue
                    c = r * columns + beside
                    for at in range(begin[c], begin[c + 1]):
                        d_eta = eta_i - near[at, 0]
                        d_phi = abs(phi_i - near[at, 1])
                        if d_phi > math.pi:
                            d_phi = 2.0 * math.pi - d_phi
                        distance = d_eta * d_eta + d_phi * d_phi
                        if distance >= largest:
                            continue
                        j = order[at]
                        if j == i:
                            continue
                        g, p = group[first + j], pt[first + j]
                        ring = 0
                        while distance >= edges[ring] * edges[ring]:
                            ring += 1
                        sums[first + i, g, ring] += p
                        squares[first + i, g] += p * p / max(distance, _NEAREST * _NEAREST)
    return sums, squares
