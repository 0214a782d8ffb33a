"""Energy correlators of the constituents of many jets, and the ratios D2 and N2 made of them."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled
from fullchain.jets.declustering import rapidity_of, separation_squared

Array = NDArray[Any]


# Sums may be reordered, so that the compiler uses vector instructions: the innermost loop runs over
# tens of thousands of triples per jet. No infinities or NaNs occur that would forbid it.
@compiled(fastmath={"reassoc", "contract", "nnan", "nsz"})
def _correlate(
    directions: Array, pt: Array, beta: float, angles: Array
) -> tuple[float, float, float]:
    """Give e2, e3 and the two-angle correlator 2e3 of one jet; `angles` is (n, n) scratch."""
    n = len(pt)
    e2 = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            squared = separation_squared(
                directions[i, 0], directions[i, 1], directions[j, 0], directions[j, 1]
            )
            angle = math.sqrt(squared) if beta == 1.0 else squared ** (0.5 * beta)
            angles[i, j] = angle
            e2 += pt[i] * pt[j] * angle
    e3 = 0.0
    two_angles = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            a_ij = angles[i, j]
            row_3 = 0.0
            row_2 = 0.0
            for k in range(j + 1, n):
                a_ik = angles[i, k]
                a_jk = angles[j, k]
                last = a_ik * a_jk
                row_3 += pt[k] * last
                # the product of the two smallest of three angles is the least product of two
                row_2 += pt[k] * min(last, a_ij * min(a_ik, a_jk))
            e3 += pt[i] * pt[j] * a_ij * row_3
            two_angles += pt[i] * pt[j] * row_2
    return e2, e3, two_angles


@compiled
def d2_and_n2(momenta: Array, offsets: Array, beta: float) -> tuple[Array, Array]:
    """Give D2 and N2 of all jets.

    D2 = e3 / e2^3 (Larkoski, Moult, Neill, arXiv:1409.6298) and N2 = 2e3 / (1e2)^2 (Moult, Necib,
    Thaler, arXiv:1609.07483), with pt shares as energies and distances in rapidity and azimuth.

    Parameters
    ----------
    momenta
        (n, 4) px, py, pz, E [GeV] of the constituents of all jets.
    offsets
        (jets + 1) where the constituents of each jet begin.
    beta
        Angular exponent.

    Returns
    -------
    d2, n2
        (jets); 0 for a jet of two constituents, NaN where e2 is zero.
    """
    n_jets = len(offsets) - 1
    d2 = np.full(n_jets, np.nan)
    n2 = np.full(n_jets, np.nan)
    for jet in range(n_jets):
        start, stop = offsets[jet], offsets[jet + 1]
        n = stop - start
        if n < 2:
            continue
        directions = np.empty((n, 2))
        pt = np.empty(n)
        for i in range(n):
            px, py, pz, energy = momenta[start + i]
            pt_squared = px * px + py * py
            directions[i, 0] = rapidity_of(pz, energy, pt_squared)
            directions[i, 1] = math.atan2(py, px)
            pt[i] = math.sqrt(pt_squared)
        pt /= pt.sum()
        e2, e3, two_angles = _correlate(directions, pt, beta, np.empty((n, n)))
        if e2 > 0.0:
            d2[jet] = e3 / e2**3
            n2[jet] = two_angles / e2**2
    return d2, n2
