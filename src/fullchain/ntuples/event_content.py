"""The content of an event: jets, missing momentum, truth and links, as NanoAOD collections."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples import clustering, truth
from fullchain.ntuples.clustering import Jets
from fullchain.ntuples.detector import Candidates, Reconstructed
from fullchain.ntuples.generation_settings import ObjectSettings
from fullchain.ntuples.nanoaod import Columns
from fullchain.ntuples.pairing import distance, pairs
from fullchain.ntuples.particles import charge_of, offsets_of, pseudorapidity
from fullchain.ntuples.pythia_events import Records
from fullchain.ntuples.vertices import NO_PV

Array = NDArray[Any]
Collections = dict[str, Columns]

FAT_RADIUS, RADIUS = 0.8, 0.4
GRID, GRID_END = 0.55, 5.0  # cells of the median density, and their reach in eta


@dataclass(frozen=True)
class Simulated:
    """A block of events after generator, pile-up and detector.

    `number` is that of the first event of the block in its sample, from 0.
    """

    block: int
    number: int
    records: Records
    reconstructed: Reconstructed
    vertex_z: Array
    pileup_mean: Array
    pileup_number: Array


@dataclass(frozen=True)
class Cartesian:
    """Four-momenta as flat arrays ordered by event [GeV], and where each event begins."""

    px: Array
    py: Array
    pz: Array
    e: Array
    offsets: Array

    @property
    def momenta(self) -> tuple[Array, Array, Array, Array]:
        """(px, py, pz, e)."""
        return self.px, self.py, self.pz, self.e


def collections(simulated: Simulated, settings: ObjectSettings) -> Collections:
    """Make all collections of `fullchain.ntuples.branches` for a block of events."""
    events = simulated.records.events
    found = generated_particles(simulated.records, events, settings)
    found |= reconstructed_jets(simulated.reconstructed.candidates, found, events, settings)
    found |= _candidates(simulated.reconstructed, events)
    found |= _event(simulated)
    return found


def _jagged(event: Array, events: int, **columns: Array) -> Columns:
    return Columns(columns, np.bincount(event, minlength=events))


def _event(simulated: Simulated) -> Collections:
    """Event number, weights, hard process, pile-up and vertices."""
    records, info = simulated.records, simulated.records.info
    vertices = simulated.reconstructed.vertices
    events = records.events
    weight = records.weights[:, 0]
    variations = records.weights[:, 1:] if records.weights.shape[1] > 1 else np.ones((events, 1))
    first, other = vertices.rank == 0, vertices.rank > 0
    real = vertices.tracks > 0
    good = real & (np.abs(vertices.z) < 24.0)
    candidates = simulated.reconstructed.candidates
    return {
        "": Columns(
            {
                "run": np.ones(events),
                "luminosityBlock": np.full(events, simulated.block + 1),
                "event": simulated.number + np.arange(events) + 1,
                "genWeight": weight,
                "fixedGridRhoFastjetAll": median_density(candidates, events),
            }
        ),
        "PSWeight": Columns({"": variations.ravel()}, np.full(events, variations.shape[1])),
        "Generator": Columns(
            {
                "weight": weight,
                "scalePDF": np.sqrt(info["Q2Fac"]),
                "x1": info["x1"],
                "x2": info["x2"],
                "xpdf1": info["pdf1"],
                "xpdf2": info["pdf2"],
                "id1": info["id1"],
                "id2": info["id2"],
                "binvar": np.sqrt(np.maximum(info["pT2Hat"], 0.0)),
            }
        ),
        "Pileup": Columns({"nTrueInt": simulated.pileup_mean, "nPU": simulated.pileup_number}),
        "GenVtx": Columns({"z": simulated.vertex_z}),
        "PV": Columns(
            {
                "npvs": np.bincount(vertices.event[real], minlength=events),
                "npvsGood": np.bincount(vertices.event[good], minlength=events),
                "x": np.zeros(events),
                "y": np.zeros(events),
                "z": vertices.z[first],
                "score": vertices.sum_pt2[first],
            }
        ),
        "OtherPV": _jagged(vertices.event[other], events, z=vertices.z[other]),
    }


def _candidates(reconstructed: Reconstructed, events: int) -> Collections:
    """Candidates and their missing momentum."""
    c = reconstructed.candidates
    x, y = c.pt * np.cos(c.phi), c.pt * np.sin(c.phi)
    chs = c.from_pv != NO_PV
    return {
        "PFCands": _jagged(
            c.event,
            events,
            pt=c.pt,
            eta=c.eta,
            phi=c.phi,
            mass=c.mass,
            charge=c.charge,
            pdgId=c.pdg_id,
            d0=c.d0,
            d0Err=c.d0_error,
            dz=c.dz,
            dzErr=c.dz_error,
            fromPV=c.from_pv,
            pvAssocQuality=c.quality,
            vtxIdx=c.vertex,
            hardFraction=c.hard_fraction,
        ),
        "MET": _missing(c.event, x, y, c.pt, events),
        "ChsMET": _missing(c.event[chs], x[chs], y[chs], c.pt[chs], events),
    }


def _missing(event: Array, px: Array, py: Array, pt: Array, events: int) -> Columns:
    x = -np.bincount(event, px, minlength=events)
    y = -np.bincount(event, py, minlength=events)
    sum_et = np.bincount(event, pt, minlength=events)
    return Columns({"pt": np.hypot(x, y), "phi": np.arctan2(y, x), "sumEt": sum_et})


def median_density(c: Candidates, events: int) -> Array:
    """Median over a grid of the pT density of candidates [GeV per unit area], one per event.

    The grid has cells of about 0.55 x 0.55 within |eta| < 5, as fixedGridRhoFastjetAll of CMS.
    """
    rows, columns = round(2.0 * GRID_END / GRID), round(2.0 * np.pi / GRID)
    inside = np.abs(c.eta) < GRID_END
    row = np.floor((c.eta[inside] + GRID_END) / (2.0 * GRID_END) * rows).astype(np.int64)
    column = np.floor((c.phi[inside] + np.pi) / (2.0 * np.pi) * columns).astype(np.int64) % columns
    cell = (c.event[inside] * rows + row) * columns + column
    pt = np.bincount(cell, c.pt[inside], minlength=events * rows * columns)
    area = (2.0 * GRID_END / rows) * (2.0 * np.pi / columns)
    return np.asarray(np.median(pt.reshape(events, -1), axis=1) / area)


def reconstructed_jets(
    c: Candidates, generated: Collections, events: int, settings: ObjectSettings
) -> Collections:
    """Jets of candidates, with links to candidates and to generated jets."""
    used = np.flatnonzero(c.from_pv != NO_PV)
    begin = offsets_of(c.event, events)
    pt, eta, phi, mass = c.pt[used], c.eta[used], c.phi[used], c.mass[used]
    pz = pt * np.sinh(eta)
    four = Cartesian(
        pt * np.cos(phi),
        pt * np.sin(phi),
        pz,
        np.sqrt(pt**2 + pz**2 + mass**2),
        offsets_of(c.event[used], events),
    )
    fat = clustering.anti_kt(*four.momenta, four.offsets, FAT_RADIUS, settings.fat_jet_pt_min)
    thin = clustering.anti_kt(*four.momenta, four.offsets, RADIUS, settings.jet_pt_min)
    tau = clustering.n_subjettiness(*four.momenta, fat, FAT_RADIUS)
    code = np.abs(c.pdg_id[used])
    return {
        "FatJet": _jagged(
            fat.event,
            events,
            **_kinematics(fat),
            msoftdrop=clustering.soft_drop_mass(*four.momenta, fat, FAT_RADIUS),
            **{f"tau{n + 1}": tau[:, n] for n in range(4)},
            nConstituents=np.diff(fat.offsets),
            genJetAK8Idx=_nearest(fat, generated["GenJetAK8"], events, FAT_RADIUS),
        ),
        "FatJetPFCands": _link(fat, used, begin, events),
        "Jet": _jagged(
            thin.event,
            events,
            **_kinematics(thin),
            chHEF=_energy_fraction(thin, four.e, code == 211),
            neHEF=_energy_fraction(thin, four.e, (code == 130) | (code == 1)),
            chEmEF=_energy_fraction(thin, four.e, code == 11),
            neEmEF=_energy_fraction(thin, four.e, (code == 22) | (code == 2)),
            muEF=_energy_fraction(thin, four.e, code == 13),
            nConstituents=np.diff(thin.offsets),
            genJetIdx=_nearest(thin, generated["GenJet"], events, RADIUS),
        ),
        "JetPFCands": _link(thin, used, begin, events),
    }


def _kinematics(jets: Jets) -> dict[str, Array]:
    return {"pt": jets.pt, "eta": jets.eta, "phi": jets.phi, "mass": jets.mass}


def _energy_fraction(jets: Jets, energy: Array, chosen: Array) -> Array:
    """Part of the constituents' energy that the chosen ones carry, per jet."""
    jet = np.repeat(np.arange(len(jets)), np.diff(jets.offsets))
    own = energy[jets.constituents]
    total = np.bincount(jet, own, minlength=len(jets))
    return np.bincount(jet, own * chosen[jets.constituents], minlength=len(jets)) / total


def _link(jets: Jets, used: Array, begin: Array, events: int) -> Columns:
    """Link table: jet in its event, and constituent in the event's full list."""
    size = np.diff(jets.offsets)
    event = np.repeat(jets.event, size)
    local = np.arange(len(jets)) - offsets_of(jets.event, events)[jets.event]
    return _jagged(
        event,
        events,
        jetIdx=np.repeat(local, size),
        pFCandsIdx=used[jets.constituents] - begin[event],
    )


def _nearest(jets: Jets, generated: Columns, events: int, radius: float) -> Array:
    """Position of the nearest generated jet in its event within `radius`, or -1."""
    assert generated.counts is not None
    counts = np.bincount(jets.event, minlength=events)
    i, j = pairs(counts, generated.counts)
    eta, phi = generated.values["eta"], generated.values["phi"]
    separation = distance(jets.eta[i], jets.phi[i], eta[j], phi[j])
    near = np.flatnonzero(separation < radius)
    order = near[np.lexsort((-separation[near], i[near]))]
    found = np.full(len(jets), -1)
    found[i[order]] = j[order]  # the last assignment of a jet is its nearest
    begin = np.cumsum(generated.counts) - generated.counts
    return np.where(found >= 0, found - begin[jets.event], -1)


def generated_particles(records: Records, events: int, settings: ObjectSettings) -> Collections:
    """Truth: pruned history, stable particles, their jets, and the neutrinos' momentum."""
    history = truth.prune(records)
    source = history.source
    px, py, pz = records.px[source], records.py[source], records.pz[source]
    pt = np.hypot(px, py)
    status = np.abs(records.status[source])
    code = np.abs(records.pdg_id[source])
    found = {
        "GenPart": _jagged(
            history.event,
            events,
            pt=pt,
            eta=_finite_eta(pt, pz),
            phi=np.arctan2(py, px),
            mass=np.maximum(records.m[source], 0.0),
            pdgId=records.pdg_id[source],
            status=np.where(records.status[source] > 0, 1, status),
            statusFlags=history.status_flags,
            genPartIdxMother=history.mother,
        )
    }
    kept, lost = truth.visible(records)
    x = np.bincount(records.event[lost], records.px[lost], minlength=events)
    y = np.bincount(records.event[lost], records.py[lost], minlength=events)
    found["GenMET"] = Columns({"pt": np.hypot(x, y), "phi": np.arctan2(y, x)})

    pt = np.hypot(records.px[kept], records.py[kept])
    eta = _finite_eta(pt, records.pz[kept])
    inside = (np.abs(eta) < settings.gen_cand_eta_max) & (pt > settings.gen_cand_pt_min)
    kept, pt, eta = kept[inside], pt[inside], eta[inside]
    event = records.event[kept]
    four = Cartesian(
        records.px[kept],
        records.py[kept],
        records.pz[kept],
        records.e[kept],
        offsets_of(event, events),
    )
    found["GenCands"] = _jagged(
        event,
        events,
        pt=pt,
        eta=eta,
        phi=np.arctan2(four.py, four.px),
        mass=np.maximum(records.m[kept], 0.0),
        charge=charge_of(records.pdg_id[kept]),
        pdgId=records.pdg_id[kept],
    )
    heavy = {
        5: np.isin(code, truth.WEAK_B_HADRONS),
        4: np.isin(code, truth.WEAK_C_HADRONS),
    }
    part = found["GenPart"]
    fat = clustering.anti_kt(*four.momenta, four.offsets, FAT_RADIUS, settings.gen_fat_jet_pt_min)
    thin = clustering.anti_kt(*four.momenta, four.offsets, RADIUS, settings.gen_jet_pt_min)
    for name, jets, radius in (("GenJetAK8", fat, FAT_RADIUS), ("GenJet", thin, RADIUS)):
        flavour = _hadron_flavour(jets, part, history.event, heavy, events, radius)
        found[name] = _jagged(jets.event, events, **_kinematics(jets), hadronFlavour=flavour)
    every = np.arange(len(kept))
    found["GenFatJetCands"] = _link(fat, every, four.offsets, events)
    return found


def _finite_eta(pt: Array, pz: Array) -> Array:
    """Pseudorapidity; of a particle along the beam, +-20000 as in NanoAOD."""
    return np.where(pt > 1e-6, pseudorapidity(pt, pz), np.copysign(2.0e4, pz))


def _hadron_flavour(
    jets: Jets, part: Columns, event: Array, heavy: dict[int, Array], events: int, radius: float
) -> Array:
    """Flavour of the heaviest weakly decaying hadron within `radius` of each jet."""
    flavour = np.zeros(len(jets), dtype=np.uint8)
    counts = np.bincount(jets.event, minlength=events)
    for value, chosen in sorted(heavy.items()):  # 5 overwrites 4
        at = np.flatnonzero(chosen)
        i, j = pairs(counts, np.bincount(event[at], minlength=events))
        eta, phi = part.values["eta"][at[j]], part.values["phi"][at[j]]
        near = distance(jets.eta[i], jets.phi[i], eta, phi) < radius
        flavour[i[near]] = value
    return flavour
