"""Z + jet events at one level: the leading jet beside the muons, under any factor on its momentum.

The same functions serve both levels, so that a cut at one has its like at the other.
"""

from collections.abc import Mapping

import numpy as np

from fullchain.jets.arrays import Array, Kinematics, offsets_of
from fullchain.jets.clustering import Jets
from fullchain.jets.jetset import JetSet, clustered
from fullchain.jets.reading import Candidates
from fullchain.ntuples.pairing import distance
from fullchain.unfolding import jet_observables
from fullchain.unfolding.dimuon import Dimuons
from fullchain.unfolding.sample import Flags, Level, Particles
from fullchain.unfolding.selection_settings import LeadingJetSettings, SelectionSettings

PARTICLE_FEATURES = ("pt", "deta", "dphi", "charge", "pdgId")

LOOSE = 0.5
"""Jets below this part of the least pT are not looked at, whatever the shift."""


def jets_beside(
    particles: Candidates,
    dimuons: Dimuons,
    wanted: Flags,
    settings: LeadingJetSettings,
    survive: Flags | None = None,
) -> JetSet:
    """Cluster what does not belong to the Z boson.

    Parameters
    ----------
    wanted
        (n) events; the others get no jets.
    survive
        (particles) which of them were not lost; None: all.
    """
    kept = ~dimuons.members & wanted[particles.events]
    if survive is not None:
        kept &= survive
    return clustered(particles.keep(kept), settings.radius, LOOSE * settings.pt_min)


def leading(jets: Jets, factor: Array, dimuons: Dimuons, settings: LeadingJetSettings) -> Array:
    """Find the jet of highest pT that passes the cuts; its place (n), -1 where none does.

    Parameters
    ----------
    factor
        (jets) on the momentum of each.
    """
    kinematics, event = jets.kinematics, jets.events
    pt = kinematics.pt * factor
    good = (pt >= settings.pt_min) & (np.abs(kinematics.eta) < settings.abs_eta_max)
    for muon in (0, 1):
        away = distance(
            kinematics.eta, kinematics.phi, dimuons.eta[event, muon], dimuons.phi[event, muon]
        )
        # where there is no muon the distance is NaN
        good &= ~(away < settings.muon_distance)
    places = np.flatnonzero(good)
    order = places[np.lexsort((places, -pt[places], event[places]))]
    rows, first = np.unique(event[order], return_index=True)
    found = np.full(len(jets.event_offsets) - 1, -1)
    found[rows] = order[first]
    return found


def levels(
    jets: JetSet,
    factors: Mapping[str, Array],
    dimuons: Dimuons,
    passed: Flags,
    settings: SelectionSettings,
) -> dict[str, Level]:
    """Select and measure events under several factors on the momenta of the same jets.

    Parameters
    ----------
    factors
        (jets) on the momentum of each jet, by the name of the shift.
    passed
        (n) events whose Z boson passes.

    Returns
    -------
    levels
        Of the n events, by the name of the shift; observables in the order of
        `jet_observables.UNITS`.
    """
    chosen = {
        name: np.where(passed, leading(jets.jets, factor, dimuons, settings.jet), -1)
        for name, factor in factors.items()
    }
    known = np.unique(np.concatenate([place[place >= 0] for place in chosen.values()]))
    members, offsets = jets.members_of(known)
    assert jets.candidates is not None
    measured = jet_observables.measure(jets.candidates.momenta[members], offsets, settings.jet)
    particles = _particles(jets, known, members, offsets) if settings.particles else None
    result = {}
    for name, place in chosen.items():
        rows = np.flatnonzero(place >= 0)
        at = np.searchsorted(known, place[rows])
        factor = factors[name][place[rows]]
        values = np.full((len(place), len(jet_observables.UNITS)), np.nan)
        for number, observable in enumerate(jet_observables.UNITS):
            if observable == "z_pt":
                values[rows, number] = dimuons.pt[rows]
                continue
            scale = factor if observable in jet_observables.SCALED else 1.0
            values[rows, number] = measured[observable][at] * scale
        own = None if particles is None else _spread(particles.take(at), rows, factor, len(place))
        result[name] = Level(values, place >= 0, own)
    return result


def nothing(n: int, particles: bool) -> Level:
    """Give a level that no event passes: the particle level of recorded data."""
    empty = Particles(
        np.zeros((0, len(PARTICLE_FEATURES))), np.zeros(n + 1, np.int64), PARTICLE_FEATURES
    )
    values = np.full((n, len(jet_observables.UNITS)), np.nan)
    return Level(values, np.zeros(n, bool), empty if particles else None)


def _particles(jets: JetSet, known: Array, members: Array, offsets: Array) -> Particles:
    """Give the particles of the known jets by falling pT, directions relative to the axis."""
    assert jets.candidates is not None
    own = Kinematics.of(jets.candidates.momenta[members])
    jet = np.repeat(known, np.diff(offsets))
    turn = own.phi - jets.kinematics.phi[jet]
    features = [
        own.pt,
        own.eta - jets.kinematics.eta[jet],
        np.mod(turn + np.pi, 2.0 * np.pi) - np.pi,
        jets.candidates.charge[members].astype(np.float64),
        jets.candidates.pdg_id[members].astype(np.float64),
    ]
    return Particles(np.stack(features, axis=1), offsets, PARTICLE_FEATURES)


def _spread(particles: Particles, rows: Array, factor: Array, n: int) -> Particles:
    """Give the particles of the jets of some events to n events, with their pT scaled."""
    per_jet = np.diff(particles.offsets)
    counts = np.zeros(n, np.int64)
    counts[rows] = per_jet
    features = particles.features.copy()
    features[:, 0] *= np.repeat(factor, per_jet)
    return Particles(features, offsets_of(counts), particles.names)
