"""Truth labels of jets from the generator's particles.

A jet is, within the label radius dR (0.8) around its axis and in this order,

1. **top**, fully contained: a top quark decayed to hadrons with all three quarks (the one beside
   the W and the two of the W) in the radius;
2. **Higgs, Z, W**, fully contained: the boson's two quarks (for the Higgs also gluons) in the
   radius. A W from a top counts here when its two quarks are inside and the third is not;
3. **top, Higgs, Z, W**, not fully contained: the direction of such a particle, decayed to hadrons,
   in the radius;
4. **b quark, light quark (u, d, s, c), gluon**: the parton of the hard process with the highest pT
   in the radius;
5. **unmatched** otherwise.

Of a particle that the generator copies while it radiates, the last copy counts. Heavy particles
that decay to leptons give none of the labels of 1 to 3: their jets are those of a parton beside
them, or unmatched.
"""

import awkward as ak
import numpy as np

from fullchain.compiled import compiled
from fullchain.jets.arrays import Array, flat, offsets_of
from fullchain.jets.declustering import separation_squared

_HARD_PROCESS_FLAG = 1 << 7
"""Bit isHardProcess of the CMS statusFlags."""


def label(
    eta: Array, phi: Array, event: Array, particles: ak.Array, radius: float
) -> tuple[Array, Array]:
    """Label jets.

    Parameters
    ----------
    eta, phi, event
        (n) direction of the jets, and number of the event of each.
    particles
        (events, var) with pt [GeV], eta, phi, pdgId, status, statusFlags, mother (index within the
        event, negative without).
    radius
        Largest distance from the jet's axis.

    Returns
    -------
    labels
        (n) int8, the numbers of `fullchain.jets.labels`.
    contained
        (n) whether all quarks of the heavy particle are in the radius; true for labels 0 to 2.
    """
    hard = ((flat(particles["statusFlags"], np.int64) & _HARD_PROCESS_FLAG) != 0) | (
        (flat(particles["status"], np.int64) >= 21) & (flat(particles["status"], np.int64) <= 29)
    )
    return _label(
        np.asarray(eta, np.float64),
        np.asarray(phi, np.float64),
        np.asarray(event, np.int64),
        flat(particles["pt"], np.float64),
        flat(particles["eta"], np.float64),
        flat(particles["phi"], np.float64),
        flat(particles["pdgId"], np.int64),
        flat(particles["mother"], np.int64),
        hard,
        offsets_of(ak.to_numpy(ak.num(particles["pt"]))),
        radius,
    )


@compiled
def _last_copy(particle: int, pdg_id: Array, mother: Array) -> int:
    """Follow a particle through its copies."""
    moved = True
    while moved:
        moved = False
        for child in range(particle + 1, len(pdg_id)):
            if mother[child] == particle and pdg_id[child] == pdg_id[particle]:
                particle = child
                moved = True
                break
    return particle


@compiled
def _partons_of(
    particle: int, pdg_id: Array, mother: Array, gluons: bool, found: Array, n_found: int
) -> int:
    """Append the quarks (and gluons) that `particle` decays to; give how many there are now."""
    for child in range(particle + 1, len(pdg_id)):
        if mother[child] == particle and n_found < len(found):
            code = abs(pdg_id[child])
            if (1 <= code <= 5) or (gluons and code == 21):
                found[n_found] = child
                n_found += 1
    return n_found


@compiled
def _hadronic_decay(particle: int, pdg_id: Array, mother: Array, found: Array) -> int:
    """Fill the two or three quarks of a hadronic decay; give how many, or 0 if it is no such."""
    code = abs(pdg_id[particle])
    if code != 6:
        n_found = _partons_of(particle, pdg_id, mother, code == 25, found, 0)
        return n_found if n_found >= 2 else 0
    for child in range(particle + 1, len(pdg_id)):
        if mother[child] == particle and abs(pdg_id[child]) == 24:
            boson = _last_copy(child, pdg_id, mother)
            n_found = _partons_of(boson, pdg_id, mother, False, found, 0)
            if n_found < 2:
                return 0
            n_found = _partons_of(particle, pdg_id, mother, False, found, n_found)
            return n_found if n_found >= 3 else 0
    return 0


@compiled
def _heavy_label(code: int) -> int:
    return 5 if code == 6 else (6 if code == 25 else (4 if code == 23 else 3))


@compiled
def _rank(label: int) -> int:
    """Order of the heavy labels: top before Higgs before Z before W."""
    return 4 if label == 5 else (3 if label == 6 else (2 if label == 4 else 1))


@compiled
def _parton_label(code: int) -> int:
    return 0 if code == 21 else (2 if code == 5 else 1)


@compiled
def _label(
    jet_eta: Array,
    jet_phi: Array,
    event: Array,
    pt: Array,
    eta: Array,
    phi: Array,
    pdg_id: Array,
    mother: Array,
    hard: Array,
    offsets: Array,
    radius: float,
) -> tuple[Array, Array]:
    labels = np.full(len(jet_eta), -1, np.int8)
    contained = np.zeros(len(jet_eta), np.bool_)
    quarks = np.empty(8, np.int64)
    for jet in range(len(jet_eta)):
        start, stop = offsets[event[jet]], offsets[event[jet] + 1]
        codes, mothers = pdg_id[start:stop], mother[start:stop]
        best = 0
        hardest = 0.0
        parton = -1
        for i in range(stop - start):
            code = abs(codes[i])
            near = (
                separation_squared(jet_eta[jet], jet_phi[jet], eta[start + i], phi[start + i])
                < radius * radius
            )
            if code == 6 or code == 23 or code == 24 or code == 25:
                if _last_copy(i, codes, mothers) != i:
                    continue
                n_quarks = _hadronic_decay(i, codes, mothers, quarks)
                if n_quarks == 0:
                    continue
                inside = 0
                for k in range(n_quarks):
                    q = start + quarks[k]
                    distance = separation_squared(jet_eta[jet], jet_phi[jet], eta[q], phi[q])
                    inside += 1 if distance < radius * radius else 0
                candidate = _heavy_label(code)
                whole = inside == n_quarks
                if not (whole or near):
                    continue
                merit = _rank(candidate) + (10 if whole else 0)
                if merit > best:
                    best = merit
                    labels[jet] = candidate
                    contained[jet] = whole
            elif (
                near
                and hard[start + i]
                and (code == 21 or 1 <= code <= 5)
                and pt[start + i] > hardest
            ):
                hardest = pt[start + i]
                parton = code
        if best == 0 and parton >= 0:
            labels[jet] = _parton_label(parton)
            contained[jet] = True
    return labels, contained
