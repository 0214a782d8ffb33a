"""The parametric detector: particles in, particle-flow candidates out.

Tracks are made of charged particles (`tracker`), deposits are summed over the cells of ECAL, HCAL
and the forward calorimeter (`calorimeter`), vertices are made of tracks (`vertices`), and a simple
particle flow in the manner of CMS (arXiv:1706.04965) and of Delphes 3 (arXiv:1307.6346) gives
charged candidates from tracks and neutral ones from what the calorimeters hold beyond the tracks.
Photons convert before (`material`). Left out, in that the parameterisations only absorb their mean
effect: bremsstrahlung, nuclear interactions, decays in flight, noise, and the loss of tracks in
dense jets.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples import calorimeter, material, tracker, vertices
from fullchain.ntuples.calorimeter import (
    BARREL_END,
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
    particles: Particles, events: int, settings: DetectorSettings, random: np.random.Generator
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
    """
    calo = settings.calorimeter
    particles = material.convert(particles, calo.radius, calo.half_length, random)
    tracks = tracker.reconstruct(particles, settings.tracker, random)
    found = vertices.reconstruct(tracks, events, settings.vertices)
    association = vertices.associate(tracks, found, settings.vertices)
    ecal, hcal = _deposits(particles, tracks, settings)
    parts = [_from_tracks(tracks, association)]
    z0 = vertices.leading_z(found)
    parts += _neutral(ecal, z0, calo, random, electromagnetic=True)
    parts += _neutral(hcal, z0, calo, random, electromagnetic=False)
    return Reconstructed(_ordered(parts), found)


def _deposits(
    particles: Particles, tracks: Tracks, settings: DetectorSettings
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

    def clusters(chosen: Array, size: tuple[float, float, float]) -> Clusters:
        at = np.flatnonzero(chosen)
        deposits = Deposits(
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
        return calorimeter.cluster(deposits, size)

    return (
        clusters(seen & light, (calo.ecal_cell, calo.ecal_cell, calo.forward_cell)),
        clusters(seen & ~light, (calo.hcal_cell_barrel, calo.hcal_cell_endcap, calo.forward_cell)),
    )


def _neutral(
    clusters: Clusters,
    z0: Array,
    settings: CalorimeterSettings,
    random: np.random.Generator,
    electromagnetic: bool,
) -> list[Candidates]:
    """Make neutral candidates of the energy that exceeds the tracks by their expected spread."""
    resolution = calorimeter.ecal_resolution if electromagnetic else calorimeter.hcal_resolution
    reach = np.abs(clusters.eta)
    sigma = resolution(clusters.energy, clusters.eta, settings)
    measured = calorimeter.smear(clusters.energy, sigma, random)
    excess = measured - clusters.track
    spread = resolution(clusters.track, clusters.eta, settings)
    spread = np.where(clusters.track > 0, spread, 0.0)
    if electromagnetic:
        central = [
            settings.ecal_threshold_barrel,
            settings.ecal_threshold_endcap,
            settings.ecal_threshold_edge,
        ]
    else:
        central = [
            settings.hcal_threshold_barrel,
            settings.hcal_threshold_endcap,
            settings.hcal_threshold_edge,
        ]
    threshold = np.select(
        [reach < BARREL_END, reach < TRACKER_END, reach < ENDCAP_END],
        central,
        settings.forward_threshold,
    )
    kept = (excess > threshold) & (excess > settings.excess_significance * spread)
    if electromagnetic:
        seen = calorimeter.photon_efficiency(clusters.energy, clusters.eta, settings)
        kept &= random.random(len(reach)) < seen
    at = np.flatnonzero(kept)

    forward = reach[at] >= ENDCAP_END
    angle = settings.ecal_angle if electromagnetic else settings.hcal_angle
    width = np.where(forward, settings.forward_cell / 4.0, angle)
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
    return [
        Candidates(
            event=event,
            pt=excess[at] / np.cosh(eta),
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
    ]


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
