r"""The 16 high-level features of the published jet-substructure benchmark.

They are those of Duarte et al., arXiv:1804.06913, in the order of the columns of the HLS4ML LHC jet
data set. With z_i the share of particle i in the scalar sum of pT, R_ij distances in rapidity and
azimuth, and sums over pairs and triples of different particles:

    e2 = \sum z_i z_j R_ij^b                       e3 = \sum z_i z_j z_k (R_ij R_ik R_jk)^b
    1e3 = \sum z_i z_j z_k min(R_ij, R_ik, R_jk)^b
    2e3 = \sum z_i z_j z_k min(R_ij R_ik, R_ij R_jk, R_ik R_jk)^b

============  ======================================  ================================
zlogz         \sum z_i ln z_i, never positive
c1_b0,1,2     e2                                      Larkoski, Salam, Thaler 1305.0007
c2_b1,2       e3 / e2^2                               the same
d2_b1,2       e3 / e2^3                               Larkoski, Moult, Neill 1409.6298
d2_a1_b1,2    e3 with exponent a over e2^(3a/b)       the same
m2_b1,2       1e3 / e2                                Moult, Necib, Thaler 1609.07483
n2_b1,2       2e3 / e2^2                              the same
mass_mmdt     mass after the tagger [GeV]             Dasgupta et al. 1307.0007
multiplicity  number of particles
============  ======================================  ================================

By these definitions d2_b1 and d2_a1_b1 are one number; both stand here because both are columns of
the published data.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled
from fullchain.jets.arrays import offsets_of, sums
from fullchain.jets.declustering import decluster, rapidity_of, separation_squared

Array = NDArray[Any]

CORRELATORS = (
    "c1_b0",
    "c1_b1",
    "c1_b2",
    "c2_b1",
    "c2_b2",
    "d2_b1",
    "d2_b2",
    "d2_a1_b1",
    "d2_a1_b2",
    "m2_b1",
    "m2_b2",
    "n2_b1",
    "n2_b2",
)

SAME_PLACE = 1e-20
"""Squared distance up to which two particles stand at one place: the rounding of coordinates."""


# Sums may be reordered, so that the compiler uses vector instructions; nothing is infinite or NaN.
@compiled(fastmath={"reassoc", "contract", "nnan", "nsz"})
def _sums(shares: Array, angles: Array) -> Array:
    """Give e2 for b = 0, 1, 2, and e3, 1e3, 2e3 for b = 1, 2 of one jet, (9).

    `angles` is (n, n) and symmetric. One loop over triples serves all: b = 2 has the squares of the
    products and least values of b = 1.
    """
    n = len(shares)
    pairs_0 = pairs_1 = pairs_2 = 0.0
    all_1 = all_2 = least_1 = least_2 = two_1 = two_2 = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            a_ij = angles[i, j]
            share = shares[i] * shares[j]
            pairs_0 += share
            pairs_1 += share * a_ij
            pairs_2 += share * a_ij * a_ij
            row_all_1 = row_all_2 = row_least_1 = row_least_2 = row_two_1 = row_two_2 = 0.0
            for k in range(j + 1, n):
                a_ik = angles[i, k]
                a_jk = angles[j, k]
                last = a_ik * a_jk
                smaller = min(a_ik, a_jk)
                product = a_ij * last
                least = min(a_ij, smaller)
                # the product of the two smallest of three angles is the least product of two
                two = min(last, a_ij * smaller)
                weighted = shares[k] * product
                row_all_1 += weighted
                row_all_2 += weighted * product
                weighted = shares[k] * least
                row_least_1 += weighted
                row_least_2 += weighted * least
                weighted = shares[k] * two
                row_two_1 += weighted
                row_two_2 += weighted * two
            all_1 += share * row_all_1
            all_2 += share * row_all_2
            least_1 += share * row_least_1
            least_2 += share * row_least_2
            two_1 += share * row_two_1
            two_2 += share * row_two_2
    return np.array([pairs_0, pairs_1, pairs_2, all_1, all_2, least_1, least_2, two_1, two_2])


@compiled
def correlators(momenta: Array, offsets: Array) -> Array:
    """Give the observables `CORRELATORS` of all jets.

    Parameters
    ----------
    momenta
        (n, 4) px, py, pz, E [GeV] of the particles of all jets.
    offsets
        (jets + 1) where the particles of each jet begin.

    Returns
    -------
        (jets, 13). Ratios of a jet of less than three particles are 0, and so are those of a jet
        whose particles all stand at one place; e2 of a single particle is 0.
    """
    n_jets = len(offsets) - 1
    result = np.zeros((n_jets, 13))
    for jet in range(n_jets):
        start, stop = offsets[jet], offsets[jet + 1]
        n = stop - start
        if n < 2:
            continue
        rapidity = np.empty(n)
        phi = np.empty(n)
        shares = np.empty(n)
        for i in range(n):
            px, py, pz, energy = momenta[start + i]
            pt_squared = px * px + py * py
            rapidity[i] = rapidity_of(pz, energy, pt_squared)
            phi[i] = math.atan2(py, px)
            shares[i] = math.sqrt(pt_squared)
        shares /= shares.sum()
        angles = np.zeros((n, n))
        for i in range(n):
            for j in range(i + 1, n):
                squared = separation_squared(rapidity[i], phi[i], rapidity[j], phi[j])
                if squared > SAME_PLACE:
                    angles[i, j] = angles[j, i] = math.sqrt(squared)
        found = _sums(shares, angles)
        result[jet, :3] = found[:3]
        e2_1, e2_2 = found[1], found[2]
        if n < 3 or e2_1 <= 0.0:
            continue
        for b in range(2):
            e2, e3, least, two = found[1 + b], found[3 + b], found[5 + b], found[7 + b]
            result[jet, 3 + b] = e3 / e2**2
            result[jet, 5 + b] = e3 / e2**3
            result[jet, 9 + b] = least / e2
            result[jet, 11 + b] = two / e2**2
        result[jet, 7] = found[3] / e2_1**3
        result[jet, 8] = found[3] / e2_2**1.5
    return result


def observables(
    momenta: Array, offsets: Array, names: Sequence[str], *, z_cut: float = 0.1, groomed: bool
) -> NDArray[np.float64]:
    """Compute features of jets.

    Parameters
    ----------
    momenta
        (n, 4) px, py, pz, E [GeV] of the particles of all jets, each with positive pT.
    offsets
        (jets + 1) where the particles of each jet begin.
    names
        Which of the features in the table above.
    z_cut
        Of the modified mass-drop tagger: soft drop with angular exponent 0.
    groomed
        Whether the correlators are of the particles that the tagger leaves, else of all.

    Returns
    -------
        (jets, names), finite for all jets: one without particles has zeros.
    """
    counts = np.diff(offsets).astype(np.float64)
    # without angular exponent the radius does not matter
    mass, _, kept, _, _ = decluster(momenta, offsets, z_cut, 0.0, 1.0)
    found = {
        "zlogz": _entropy(momenta, offsets),
        "mass_mmdt": np.where(counts > 0, mass, 0.0),
        "multiplicity": counts,
    }
    if groomed:
        offsets = offsets_of(sums(kept.astype(np.float64), offsets).astype(np.int64))
        momenta = momenta[kept]
    found |= dict(zip(CORRELATORS, correlators(momenta, offsets).T, strict=True))
    return np.stack([found[name] for name in names], axis=1)


def _entropy(momenta: Array, offsets: Array) -> Array:
    pt = np.hypot(momenta[:, 0], momenta[:, 1])
    shares = pt / np.repeat(sums(pt, offsets), np.diff(offsets))
    return sums(shares * np.log(shares), offsets)
