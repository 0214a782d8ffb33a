"""What events look like with one response of the calorimeter: jets, missing momentum, photons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.downstream_settings import DownstreamSettings
from fullchain.ntuples import clustering, truth
from fullchain.ntuples.clustering import Jets
from fullchain.ntuples.detector import PHOTON, Candidates
from fullchain.ntuples.pairing import distance, pairs
from fullchain.ntuples.particles import Particles, offsets_of, pseudorapidity
from fullchain.ntuples.pythia_events import Records

Array = NDArray[Any]

RADII = {"ak8": 0.8, "ak4": 0.4}
"""Of the jets (anti-kT), by their name in what is saved."""

ETA_MAX = 5.0
"""Of generated particles in jets."""

SOFTEST = 0.5
"""Reconstructed jets have at least this part of the least pT of generated ones."""


@dataclass(frozen=True)
class Observed:
    """Values of one quantity, each with its event."""

    event: Array
    value: Array


@dataclass(frozen=True)
class Generated:
    """A block of events before the detector.

    Parameters
    ----------
    particles
        What enters the detector.
    jets
        Of stable particles but neutrinos, by name of the radius.
    missing
        Momentum of neutrinos in x and y [GeV], (2, events).
    events
        Their number.
    """

    particles: Particles
    jets: Mapping[str, Jets]
    missing: Array
    events: int


def generated(records: Records, vertex_z: Array, how: DownstreamSettings) -> Generated:
    """Prepare a block of events."""
    kept, lost = truth.visible(records)
    pt = np.hypot(records.px[kept], records.py[kept])
    kept = kept[np.abs(pseudorapidity(pt, records.pz[kept])) < ETA_MAX]
    four = (records.px[kept], records.py[kept], records.pz[kept], records.e[kept])
    offsets = offsets_of(records.event[kept], records.events)
    jets = {
        name: _within(clustering.anti_kt(*four, offsets, radius, how.jet_pt_min), how.jet_eta_max)
        for name, radius in RADII.items()
    }
    missing = np.stack(
        [
            np.bincount(records.event[lost], momentum[lost], minlength=records.events)
            for momentum in (records.px, records.py)
        ]
    )
    return Generated(truth.detector_particles(records, vertex_z), jets, missing, records.events)


def _within(jets: Jets, eta_max: float) -> Jets:
    """Keep central jets; their constituents are not asked for."""
    chosen = np.abs(jets.eta) < eta_max
    kinematics = ("event", "pt", "eta", "phi", "mass")
    return Jets(
        **{name: getattr(jets, name)[chosen] for name in kinematics},
        offsets=np.zeros(int(chosen.sum()) + 1, dtype=np.int64),
        constituents=np.zeros(0, dtype=np.int64),
    )


def observe(
    candidates: Candidates, events: Generated, how: DownstreamSettings
) -> dict[str, Observed]:
    """Measure a block of events.

    Returns
    -------
    By name: of each radius `_response` and `_mass_response` (over those of the generated jet),
    `_mass` [GeV], `_photons` and `_photon_fraction` (number, and part of the jet's energy) of
    matched jets, `_matched` (0 or 1) of generated jets; `met`, `met_residual` (x and y) [GeV],
    `photons` (number) of events; `photon_energy` [GeV] of photons.
    """
    c = candidates
    pz = c.pt * np.sinh(c.eta)
    energy = np.sqrt(c.pt**2 + pz**2 + c.mass**2)
    px, py = c.pt * np.cos(c.phi), c.pt * np.sin(c.phi)
    photon = (c.pdg_id == PHOTON) & (c.pt > how.photon_pt_min)
    everyone = np.arange(events.events)
    residual = [
        -np.bincount(c.event, momentum, minlength=events.events) - true
        for momentum, true in zip((px, py), events.missing, strict=True)
    ]
    met = np.hypot(residual[0] + events.missing[0], residual[1] + events.missing[1])
    found = {
        "met": Observed(everyone, met),
        "met_residual": Observed(np.tile(everyone, 2), np.concatenate(residual)),
        "photons": Observed(
            everyone, np.bincount(c.event[photon], minlength=events.events).astype(float)
        ),
        "photon_energy": Observed(c.event[photon], energy[photon]),
    }
    offsets = offsets_of(c.event, events.events)
    for name, radius in RADII.items():
        jets = clustering.anti_kt(px, py, pz, energy, offsets, radius, SOFTEST * how.jet_pt_min)
        found |= _of_jets(name, jets, events.jets[name], radius, energy, photon)
    return found


def _of_jets(
    name: str, jets: Jets, true: Jets, radius: float, energy: Array, photon: Array
) -> dict[str, Observed]:
    """Compare jets of candidates with those of generated particles."""
    match = nearest(true, jets, radius / 2.0)
    own, other = np.flatnonzero(match >= 0), match[match >= 0]
    of_jet = np.repeat(np.arange(len(jets)), np.diff(jets.offsets))
    light = photon[jets.constituents]
    carried = np.bincount(of_jet, energy[jets.constituents], minlength=len(jets))
    by_photons = np.bincount(of_jet, energy[jets.constituents] * light, minlength=len(jets))
    event = true.event[own]
    values = {
        "response": jets.pt[other] / true.pt[own],
        "mass": jets.mass[other],
        "mass_response": jets.mass[other] / np.maximum(true.mass[own], 1e-3),
        "photons": np.bincount(of_jet, light, minlength=len(jets))[other],
        "photon_fraction": by_photons[other] / np.maximum(carried[other], 1e-9),
    }
    found = {f"{name}_{what}": Observed(event, value) for what, value in values.items()}
    found[f"{name}_matched"] = Observed(true.event, (match >= 0).astype(float))
    return found


def nearest(jets: Jets, others: Jets, largest: float) -> Array:
    """Position of the nearest of other jets in the same event, or -1 beyond a distance."""
    events = int(max(jets.event.max(initial=-1), others.event.max(initial=-1))) + 1
    counts = [np.bincount(one.event, minlength=events) for one in (jets, others)]
    i, j = pairs(*counts)
    apart = distance(jets.eta[i], jets.phi[i], others.eta[j], others.phi[j])
    near = np.flatnonzero(apart < largest)
    order = near[np.lexsort((-apart[near], i[near]))]
    found = np.full(len(jets), -1)
    found[i[order]] = j[order]  # the last assignment of a jet is its nearest
    return found


def put_together(blocks: list[dict[str, Observed]], events: int) -> dict[str, Observed]:
    """Join blocks of `events` events each."""
    return {
        name: Observed(
            np.concatenate([events * n + block[name].event for n, block in enumerate(blocks)]),
            np.concatenate([block[name].value for block in blocks]),
        )
        for name in blocks[0]
    }
