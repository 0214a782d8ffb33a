"""Shapes of jets that PUMML is judged by: N95 and the energy correlation functions.

The candidates of all jets lie in flat arrays, and `members` holds those of jet `j` at
``offsets[j]:offsets[j + 1]``. Candidates without transverse momentum change nothing.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled
from fullchain.jets.declustering import rapidity_of, separation_squared

Array = NDArray[Any]

_SHARE = 0.95
_ROUNDING = 1e-12  # of sums: pixels that hold the share exactly are enough
_STRIDE = 1 << 20  # pixels in phi, more than there can be


@compiled
def n95(
    momenta: Array, members: Array, offsets: Array, eta: Array, phi: Array, pixel: float
) -> Array:
    """Count the pixels that hold 95 % of each jet's pT, the hardest ones first.

    Pixels are squares in pseudorapidity and azimuth. They lie around a given direction, in the
    centre of a pixel, so that jets of one particle-level jet with other weights share their pixels.

    Parameters
    ----------
    momenta
        (candidates, 4) px, py, pz, E [GeV], weighted.
    members, offsets
        Candidates of the jets, and (jets + 1) where those of each begin.
    eta, phi
        (jets) directions that the pixels lie around.
    pixel
        Side of a pixel.

    Returns
    -------
    (jets) the least number of pixels whose scalar sum of pT is at least 95 % of that of all; NaN
    for a jet without transverse momentum.
    """
    found = np.full(len(offsets) - 1, np.nan)
    for jet in range(len(found)):
        start, stop = offsets[jet], offsets[jet + 1]
        places = np.empty(stop - start, np.int64)
        pt = np.empty(stop - start)
        n = 0
        for member in members[start:stop]:
            px, py, pz, _ = momenta[member]
            transverse = math.sqrt(px * px + py * py)
            if transverse == 0.0:
                continue
            turn = math.atan2(py, px) - phi[jet]
            turn -= 2.0 * math.pi * math.floor(turn / (2.0 * math.pi) + 0.5)
            row = math.floor((math.asinh(pz / transverse) - eta[jet]) / pixel + 0.5)
            column = math.floor(turn / pixel + 0.5)
            places[n] = np.int64(row) * _STRIDE + np.int64(column)
            pt[n] = transverse
            n += 1
        if n == 0:
            continue
        sums = np.zeros(n)
        filled = -1
        last = np.int64(0)
        for i in np.argsort(places[:n], kind="mergesort"):
            if filled < 0 or places[i] != last:
                filled += 1
                last = places[i]
            sums[filled] += pt[i]
        ordered = np.sort(sums[: filled + 1])[::-1]
        wanted = _SHARE * ordered.sum() * (1.0 - _ROUNDING)
        total = 0.0
        for number in range(len(ordered)):
            total += ordered[number]
            if total >= wanted:
                found[jet] = number + 1
                break
    return found


# Sums may be reordered, so that the compiler uses vector instructions in the innermost loop, over
# up to millions of triples of a jet. No infinities or NaNs occur that would forbid it.
@compiled(fastmath={"reassoc", "contract", "nnan", "nsz"})
def _triples(links: Array) -> float:
    """Sum links[i, j] links[j, k] links[i, k] over all triples i < j < k."""
    n = len(links)
    total = 0.0
    row = np.empty(n)
    for i in range(n):
        row[:] = 0.0
        for j in range(i + 1, n):
            link = links[i, j]
            for k in range(j + 1, n):
                row[k] += link * links[j, k]
        for k in range(i + 2, n):
            total += row[k] * links[i, k]
    return total


@compiled
def energy_correlations(
    momenta: Array, members: Array, offsets: Array, beta: float
) -> tuple[Array, Array]:
    """Give the energy correlation functions of two and three particles of each jet.

    ECF2 is the sum over pairs of pT_i pT_j dR_ij^beta, ECF3 that over triples of pT_i pT_j pT_k
    (dR_ij dR_ik dR_jk)^beta (Larkoski, Salam, Thaler, arXiv:1305.0007), with distances in rapidity
    and azimuth. The sums are exact; the time grows with the third power of the number of particles.

    Parameters
    ----------
    momenta
        (candidates, 4) px, py, pz, E [GeV], weighted.
    members, offsets
        Candidates of the jets, and (jets + 1) where those of each begin.
    beta
        Exponent of the angles, positive.

    Returns
    -------
    ecf2, ecf3
        (jets) [GeV^2], [GeV^3]; 0 for jets of fewer than two and three particles.
    """
    jets = len(offsets) - 1
    pairs, triples = np.zeros(jets), np.zeros(jets)
    for jet in range(jets):
        start, stop = offsets[jet], offsets[jet + 1]
        directions = np.empty((stop - start, 2))
        pt = np.empty(stop - start)
        n = 0
        for member in members[start:stop]:
            px, py, pz, energy = momenta[member]
            squared = px * px + py * py
            if squared == 0.0:
                continue
            directions[n, 0] = rapidity_of(pz, energy, squared)
            directions[n, 1] = math.atan2(py, px)
            pt[n] = math.sqrt(squared)
            n += 1
        # a triple is a product of three links: each pT stands in two of them
        links = np.zeros((n, n))
        for i in range(n):
            for j in range(i + 1, n):
                squared = separation_squared(
                    directions[i, 0], directions[i, 1], directions[j, 0], directions[j, 1]
                )
                angle = squared ** (0.5 * beta)
                pairs[jet] += pt[i] * pt[j] * angle
                links[i, j] = math.sqrt(pt[i] * pt[j]) * angle
        triples[jet] = _triples(links)
    return pairs, triples
