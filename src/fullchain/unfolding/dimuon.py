"""The muon pair of a Z boson, from the particles of whole events at either level."""

from dataclasses import dataclass

import numpy as np

from fullchain.jets.arrays import Array, Kinematics
from fullchain.jets.reading import Candidates
from fullchain.ntuples.pairing import distance, pairs
from fullchain.unfolding.selection_settings import DimuonSettings

Z_MASS = 91.1876
"""Mass of the Z boson [GeV], PDG 2024."""

MUON, PHOTON = 13, 22


@dataclass(frozen=True)
class Dimuons:
    """The pair of each of n events; where there is none, numbers are NaN.

    Parameters
    ----------
    found
        (n) whether there is a pair of opposite charge whose muons pass the cuts.
    mass, pt
        (n) of the two together [GeV].
    eta, phi
        (n, 2) directions of the two muons.
    members
        (particles) whether a particle is one of the two muons or a photon added to one.
    """

    found: Array
    mass: Array
    pt: Array
    eta: Array
    phi: Array
    members: Array

    def cuts(self, settings: DimuonSettings) -> dict[str, Array]:
        """Tell which events (n) pass each cut and those before it, by its name."""
        in_window = (self.mass >= settings.mass_min) & (self.mass <= settings.mass_max)
        return {
            "two muons": self.found,
            "dimuon mass": self.found & in_window,
            "dimuon pT": self.found & in_window & (self.pt >= settings.pt_min),
        }


def find(particles: Candidates, settings: DimuonSettings) -> Dimuons:
    """Find the pair of opposite charge whose mass is nearest to that of the Z boson.

    Muons are dressed before any cut: each photon within the radius is added to its nearest muon.

    Parameters
    ----------
    particles
        Of n whole events: candidates, or stable generator particles.
    """
    n = len(particles.event_offsets) - 1
    event = particles.events
    code = np.abs(particles.pdg_id)
    muons = np.flatnonzero(code == MUON)
    counts = np.bincount(event[muons], minlength=n)
    photons = np.flatnonzero((particles.pdg_id == PHOTON) & (counts[event] >= 2))
    owner = _owners(particles.momenta, muons, photons, event, n, settings.dressing_radius)
    momenta = particles.momenta[muons].copy()
    added = owner >= 0
    np.add.at(momenta, owner[added], particles.momenta[photons[added]])
    kinematics = Kinematics.of(momenta)
    good = np.flatnonzero(
        (kinematics.pt >= settings.muon_pt_min)
        & (np.abs(kinematics.eta) < settings.muon_abs_eta_max)
    )
    first, second = _nearest_to_z(momenta, particles.charge[muons], event[muons], good, n)
    found = first >= 0
    mass, pt = np.full(n, np.nan), np.full(n, np.nan)
    total = Kinematics.of(momenta[first[found]] + momenta[second[found]])
    mass[found], pt[found] = total.mass, total.pt
    chosen = np.stack([first, second], axis=1)
    eta, phi = np.full((n, 2), np.nan), np.full((n, 2), np.nan)
    eta[found], phi[found] = kinematics.eta[chosen[found]], kinematics.phi[chosen[found]]
    of_pair = np.zeros(len(muons), bool)
    of_pair[chosen[found].ravel()] = True
    members = np.zeros(len(event), bool)
    members[muons[of_pair]] = True
    members[photons[added][of_pair[owner[added]]]] = True
    return Dimuons(found, mass, pt, eta, phi, members)


def _owners(
    momenta: Array, muons: Array, photons: Array, event: Array, n: int, radius: float
) -> Array:
    """Give for each photon the place in `muons` of the nearest one in reach, -1: none."""
    owner = np.full(len(photons), -1)
    if radius == 0:
        return owner
    k, m = pairs(np.bincount(event[photons], minlength=n), np.bincount(event[muons], minlength=n))
    light, heavy = Kinematics.of(momenta[photons]), Kinematics.of(momenta[muons])
    apart = distance(light.eta[k], light.phi[k], heavy.eta[m], heavy.phi[m])
    near = np.flatnonzero(apart < radius)
    near = near[np.lexsort((m[near], apart[near], k[near]))]
    chosen, where = np.unique(k[near], return_index=True)
    owner[chosen] = m[near[where]]
    return owner


def _nearest_to_z(
    momenta: Array, charge: Array, event: Array, good: Array, n: int
) -> tuple[Array, Array]:
    """Give the two muons of each event as places in `momenta`, -1 where there is no pair."""
    counts = np.bincount(event[good], minlength=n)
    a, b = pairs(counts, counts)
    kept = a < b
    a, b = good[a[kept]], good[b[kept]]
    opposite = charge[a] * charge[b] < 0
    a, b = a[opposite], b[opposite]
    off = np.abs(Kinematics.of(momenta[a] + momenta[b]).mass - Z_MASS)
    order = np.lexsort((b, a, off, event[a]))
    rows, where = np.unique(event[a[order]], return_index=True)
    first, second = np.full(n, -1), np.full(n, -1)
    first[rows], second[rows] = a[order[where]], b[order[where]]
    return first, second
