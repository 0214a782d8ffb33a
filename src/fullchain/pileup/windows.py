"""Pieces of events in pseudorapidity and azimuth, and where training looks.

A window has a core, whose candidates get a weight, and a halo around it, whose candidates are seen.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Window:
    """Places of the candidates of a window, and which of them are in its core."""

    members: Array
    core: Array
    centre: tuple[float, float]


def azimuth(difference: Array) -> Array:
    """Take differences of azimuth to [-pi, pi)."""
    found: Array = (difference + math.pi) % (2.0 * math.pi) - math.pi
    return found


def window_at(
    eta: Array, phi: Array, centre: tuple[float, float], core: float, halo: float, points: int
) -> Window:
    """Cut a square window out of an event.

    Of more than `points` candidates, those farthest from the centre (in the larger of the two
    distances) are left out, whether of the core or not.
    """
    distance = np.maximum(np.abs(eta - centre[0]), np.abs(azimuth(phi - centre[1])))
    members = np.flatnonzero(distance < core + halo)
    if len(members) > points:
        nearest = np.argsort(distance[members], kind="stable")[:points]
        members = np.sort(members[nearest])
    return Window(members, distance[members] < core, centre)


def tiles(eta: Array, phi: Array, core: float, halo: float) -> list[Window]:
    """Cover an event with windows: each candidate is in the core of exactly one.

    Cores are 2 core wide in eta, and at most that in azimuth, where a whole number of them closes
    the circle. Windows with nothing in their core are left out.
    """
    if len(eta) == 0:
        return []
    columns = math.ceil(math.pi / core)
    half = math.pi / columns
    row = np.floor(eta / (2.0 * core)).astype(np.int64)
    column = np.floor((phi % (2.0 * math.pi)) / (2.0 * half)).astype(np.int64) % columns
    found = []
    for r, c in sorted(set(zip(row.tolist(), column.tolist(), strict=True))):
        centre = ((2 * r + 1) * core, (2 * c + 1) * half)
        near = np.abs(eta - centre[0]) < core + halo
        members = np.flatnonzero(near & (np.abs(azimuth(phi - centre[1])) < half + halo))
        own = np.flatnonzero((row == r) & (column == c))
        # rounding at an edge must not lose a candidate of the core
        members = np.union1d(members, own)
        found.append(Window(members, np.isin(members, own), centre))
    return found


def seeds(
    eta: Array, phi: Array, hard_pt: Array, number: int, hard: float, random: np.random.Generator
) -> list[tuple[float, float]]:
    """Draw places of an event to train on: directions of candidates.

    Parameters
    ----------
    hard_pt
        (n) true pT from the hard collision, the weight of `hard` of the draws; where it is zero
        for all, these are drawn like the others.
    number
        How many; none from an event without candidates.
    """
    if len(eta) == 0:
        return []
    of_hard = random.random(number) < hard
    total = hard_pt.sum()
    alike = random.integers(len(eta), size=number)
    if total > 0:
        by_pt = np.searchsorted(np.cumsum(hard_pt) / total, random.random(number), side="right")
        alike = np.where(of_hard, np.minimum(by_pt, len(eta) - 1), alike)
    return [(float(eta[k]), float(phi[k])) for k in alike]
