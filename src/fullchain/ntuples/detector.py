"""The parametric detector: particles in, particle-flow candidates out.

Tracks are made of charged particles (`tracker`), deposits are summed over the cells of ECAL, HCAL
and the forward calorimeter (`calorimeter`), vertices are made of tracks (`vertices`), and a simple
particle flow in the manner of CMS (arXiv:1706.04965) and of Delphes 3 (arXiv:1307.6346) gives
charged candidates from tracks and neutral ones from what the calorimeters hold beyond the tracks.
Photons convert before, and the pairs radiate (`material`). Left out, in that the parameterisations
only absorb their mean effect: bremsstrahlung of other electrons, nuclear interactions, decays in
flight, noise, and the loss of tracks in dense jets. Photons and electrons may become showers that
spread over crystals (`shower_response`).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples import calorimeter, material, tracker, vertices
from fullchain.ntuples.calorimeter import (
    ENDCAP_END,
    FORWARD_END,
    TRACKER_END,
    Clusters,
    Deposits,
)
from fullchain.ntuples.detector_settings import CalorimeterSettings, DetectorSettings
from fullchain.ntuples.helix import calorimeter_entrance
from fullchain.ntuples.particles import Particles, pseudorapidity
from fullchain.ntuples.tracker import Tracks
from fullchain.ntuples.vertices import Association, Vertices

if TYPE_CHECKING:
    from fullchain.ntuples.shower_response import Showering

Array = NDArray[Any]

PHOTON, NEUTRAL_HADRON, FORWARD_HADRON, FORWARD_PHOTON = 22, 130, 1, 2
NO_TRACK = -1.0  # d0, dz and their errors where there is no track, as in PFNano


@dataclass(frozen=True)
class Candidates:
    """Particle-flow candidates of all events, ordered by event and falling pT; GeV, cm.

    `hard_fraction` is the true part of the candidate's energy that comes from the hard collision.
    """

    event: Array
    pt: Array
    eta: Array
    phi: Array
    mass: Array
    charge: Array
    pdg_id: Array
    d0: Array
    d0_error: Array
    dz: Array
    dz_error: Array
    from_pv: Array
    quality: Array
    vertex: Array
    hard_fraction: Array


@dataclass(frozen=True)
class Reconstructed:
    """Candidates and vertices of a block of events."""

    candidates: Candidates
    vertices: Vertices


def reconstruct(
    particles: Particles,
    events: int,
    settings: DetectorSettings,
    random: np.random.Generator,
    showers: "Showering | None" = None,
) -> Reconstructed:
    """Run the detector.

    Parameters
    ----------
    particles
        All final particles but neutrinos of all collisions.
    events
        Number of events (some may be empty).
    settings
        Efficiencies, resolutions, thresholds.
    random
        Stream of this block of events.
    showers
        Makes clusters of photons and electrons, with a stream of its own from which all numbers
        of the electromagnetic calorimeter are drawn; None: the resolution formula, from `random`.
    """
    light = random if showers is None else showers.random
    calo = settings.calorimeter
    particles = material.convert(particles, calo.radius, calo.half_length, random)
    tracks = tracker.reconstruct(particles, settings.tracker, random)
    found = vertices.reconstruct(tracks, events, settings.vertices)
    association = vertices.associate(tracks, found, settings.vertices)
    ecal, hcal = _deposits(particles, tracks, settings, showers)
    z0 = vertices.leading_z(found)
    hadrons = _excess(hcal, _measured(hcal, calo, random, False), calo, random, False)
    photons = _measured(ecal, calo, light, True)
    hcal, hadrons, absorbed = _absorb(hcal, hadrons, ecal, photons, calo)
    photons[absorbed] = 0.0
    photons = _excess(ecal, photons, calo, light, True)
    parts = [
        _from_tracks(tracks, association),
        _neutral(ecal, photons, z0, calo, light, electromagnetic=True),
        _neutral(hcal, hadrons, z0, calo, random, electromagnetic=False),
    ]
    return Reconstructed(_ordered(parts), found)


def _deposits(
    particles: Particles,
    tracks: Tracks,
    settings: DetectorSettings,
    showers: "Showering | None",
) -> tuple[Clusters, Clusters]:
    """Sum what particles leave in the electromagnetic and in the hadronic calorimeter.

    Electrons and photons deposit all energy in the first. Hadrons deposit all in the second, which
    therefore stands for ECAL and HCAL together, with the resolution of both. Muons deposit nothing.
    """
    calo = settings.calorimeter
    entrance = calorimeter_entrance(
        particles, settings.tracker.field, calo.radius, calo.half_length
    )
    eta, phi = entrance.eta, entrance.phi
    momentum = np.zeros(len(particles))
    momentum[tracks.particle] = tracks.momentum
    code = np.abs(particles.pdg_id)
    seen = entrance.reached & (np.abs(eta) < FORWARD_END) & (code != 13)
    light = (code == 22) | (code == 11)
    response = calorimeter.response(particles.e, eta, light, calo)
    energy = particles.e * response

    def deposits(chosen: Array) -> Deposits:
        at = np.flatnonzero(chosen)
        return Deposits(
            event=particles.event[at],
            eta=eta[at],
            phi=phi[at],
            x=entrance.x[at],
            y=entrance.y[at],
            z=entrance.z[at],
            energy=energy[at],
            track=momentum[at],
            hard=(particles.interaction[at] == 0).astype(float),
        )

    electromagnetic, hadronic = deposits(seen & light), deposits(seen & ~light)
    hcal = calorimeter.cluster(hadronic, calorimeter.cell_sizes(False, calo))
    if showers is not None:
        return showers.clusters(electromagnetic, code[seen & light] == 22, calo), hcal
    return calorimeter.cluster(electromagnetic, calorimeter.cell_sizes(True, calo)), hcal


def _measured(
    clusters: Clusters,
    settings: CalorimeterSettings,
    random: np.random.Generator,
    electromagnetic: bool,
) -> Array:
    """Draw the measured energy of clusters; what showers gave has fluctuated, but for noise."""
    resolution = calorimeter.ecal_resolution if electromagnetic else calorimeter.hcal_resolution
    pointlike = clusters.energy
    if clusters.showered is not None:
        pointlike = np.maximum(clusters.energy - clusters.showered, 0.0)
    sigma = resolution(pointlike, clusters.eta, settings)
    return calorimeter.smear(clusters.energy, sigma, random)


def _excess(
    clusters: Clusters,
    measured: Array,
    settings: CalorimeterSettings,
    random: np.random.Generator,
    electromagnetic: bool,
) -> Array:
    """Energy by which clusters exceed their tracks; 0 where they make no neutral candidate."""
    resolution = calorimeter.ecal_resolution if electromagnetic else calorimeter.hcal_resolution
    excess = measured - clusters.track
    spread = resolution(clusters.track, clusters.eta, settings)
    spread = np.where(clusters.track > 0, spread, 0.0)
    seen = calorimeter.visibility(excess, clusters.eta, electromagnetic, settings)
    kept = (excess > settings.excess_significance * spread) & (random.random(len(seen)) < seen)
    energy = calorimeter.calibrated(excess, clusters.eta, electromagnetic, settings)
    return np.where(kept, energy, 0.0)


def _absorb(
    hcal: Clusters, excess: Array, ecal: Clusters, photons: Array, settings: CalorimeterSettings
) -> tuple[Clusters, Array, Array]:
    """Add ECAL clusters beyond |eta| = 2.5 to the neutral hadron of the HCAL cell behind them.

    Where no track tells charged from neutral hadrons, the particle flow of CMS takes an ECAL
    cluster that is linked to one of HCAL for a part of the same shower (arXiv:1706.04965).

    Returns
    -------
    HCAL clusters with the part of the hard collision updated, their energies, and the positions of
    the ECAL clusters that are absorbed.
    """
    reach = np.abs(ecal.eta)
    edge = np.flatnonzero((reach >= TRACKER_END) & (reach < ENDCAP_END))
    phi = np.arctan2(ecal.y[edge], ecal.x[edge])
    sizes = calorimeter.cell_sizes(False, settings)
    key = calorimeter.cell_key(ecal.event[edge], ecal.eta[edge], phi, sizes)
    hadrons = np.flatnonzero(excess > 0)
    keys = np.append(hcal.key[hadrons], -1)  # the last one is behind nothing
    behind = np.searchsorted(keys[:-1], key)
    linked = keys[behind] == key
    at, to = edge[linked], hadrons[behind[linked]]
    number = len(excess)
    total = excess + np.bincount(to, photons[at], number)
    hard = excess * hcal.hard_fraction
    hard += np.bincount(to, photons[at] * ecal.hard_fraction[at], number)
    fraction = np.where(total > 0, hard / np.maximum(total, 1e-30), hcal.hard_fraction)
    return replace(hcal, hard_fraction=fraction), total, at


def _neutral(
    clusters: Clusters,
    energy: Array,
    z0: Array,
    settings: CalorimeterSettings,
    random: np.random.Generator,
    electromagnetic: bool,
) -> Candidates:
    """Make neutral candidates of the clusters that have energy beyond their tracks."""
    at = np.flatnonzero(energy > 0)
    forward = np.abs(clusters.eta[at]) >= ENDCAP_END
    angle = settings.ecal_angle if electromagnetic else settings.hcal_angle
    width = np.where(forward, settings.forward_cell / 4.0, angle)
    if clusters.showered is not None:
        # The place of a shower is measured, with the crystals that it reaches.
        width = np.where(clusters.showered[at] > 0.5 * clusters.energy[at], 0.0, width)
    noise = random.standard_normal((2, len(at))) * width
    x, y = clusters.x[at], clusters.y[at]
    event = clusters.event[at]
    # Seen from the leading vertex, which is where the tracks that matter come from.
    eta = pseudorapidity(np.hypot(x, y), clusters.z[at] - z0[event]) + noise[0]
    phi = np.arctan2(y, x) + noise[1]
    phi = np.mod(phi + np.pi, 2.0 * np.pi) - np.pi
    codes = (FORWARD_PHOTON, PHOTON) if electromagnetic else (FORWARD_HADRON, NEUTRAL_HADRON)
    number = len(at)
    none = np.full(number, NO_TRACK)
    return Candidates(
        event=event,
        pt=energy[at] / np.cosh(eta),
        eta=eta,
        phi=phi,
        mass=np.zeros(number),
        charge=np.zeros(number, dtype=np.int8),
        pdg_id=np.where(forward, *codes),
        d0=none,
        d0_error=none,
        dz=none,
        dz_error=none,
        # CMS gives neutral candidates to the leading vertex, with these codes.
        from_pv=np.full(number, vertices.PV_USED_IN_FIT, dtype=np.int32),
        quality=np.full(number, vertices.USED_IN_FIT, dtype=np.int32),
        vertex=np.zeros(number, dtype=np.int32),
        hard_fraction=clusters.hard_fraction[at],
    )


def _from_tracks(tracks: Tracks, association: Association) -> Candidates:
    """Make each track a charged candidate."""
    return Candidates(
        event=tracks.event,
        pt=tracks.pt,
        eta=tracks.eta,
        phi=tracks.phi,
        mass=tracker.mass_of(tracks.pdg_id),
        charge=tracks.charge,
        pdg_id=tracks.pdg_id,
        d0=tracks.d0,
        d0_error=tracks.d0_error,
        dz=association.dz,
        dz_error=tracks.z_error,
        from_pv=association.from_pv,
        quality=association.quality,
        vertex=association.vertex,
        hard_fraction=(tracks.interaction == 0).astype(float),
    )


def _ordered(parts: list[Candidates]) -> Candidates:
    """Join candidates and order them by event and falling pT."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Candidates.__dataclass_fields__
    }
    order = np.lexsort((-columns["pt"], columns["event"]))
    return Candidates(**{name: values[order] for name, values in columns.items()})
