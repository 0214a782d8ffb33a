"""What is true of an event: stable particles, and the pruned history of the hard collision."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples.particles import NEUTRINOS, Particles, charge_of
from fullchain.ntuples.pythia_events import Records

Array = NDArray[Any]

# Species with 10 mm < c tau < 1 m. At particle level the experiments call them stable; in the
# record they decay, because the detector sees what they decay to.
LONG_LIVED = (310, 3122, 3112, 3222, 3312, 3322, 3334)
RESONANCES = (6, 23, 24, 25, 32)
WEAK_B_HADRONS = (511, 521, 531, 541, 5122, 5132, 5232, 5332)
WEAK_C_HADRONS = (411, 421, 431, 4122, 4132, 4232, 4332)
PARTONS = (1, 2, 3, 4, 5, 21)

_CODES = 10_000  # the codes of what matters here are below; a table is faster than searching sets


def _members(species: tuple[int, ...]) -> Array:
    table = np.zeros(_CODES, dtype=bool)
    table[list(species)] = True
    return table


_IS_LONG_LIVED = _members(LONG_LIVED)
_IS_RESONANCE = _members(RESONANCES)
_IS_HEAVY = _members(WEAK_B_HADRONS + WEAK_C_HADRONS)
_IS_PARTON = _members(PARTONS)
_IS_NEUTRINO = _members(NEUTRINOS)
_CHARGED_LEPTON_OR_NEUTRINO = _members((11, 12, 13, 14, 15, 16))
# Tens digit 0: diquark.
_IS_HADRON = np.array([code > 100 and (code // 10) % 10 != 0 for code in range(_CODES)])


# Bits of NanoAOD's statusFlags.
IS_PROMPT = 0
IS_DECAYED_LEPTON_HADRON = 1
IS_TAU_DECAY_PRODUCT = 2
IS_PROMPT_TAU_DECAY_PRODUCT = 3
IS_DIRECT_TAU_DECAY_PRODUCT = 4
IS_DIRECT_PROMPT_TAU_DECAY_PRODUCT = 5
IS_DIRECT_HADRON_DECAY_PRODUCT = 6
IS_HARD_PROCESS = 7
FROM_HARD_PROCESS = 8
FROM_HARD_PROCESS_BEFORE_FSR = 11
IS_FIRST_COPY = 12
IS_LAST_COPY = 13


@dataclass(frozen=True)
class History:
    """The pruned history (GenPart): flat arrays ordered by event.

    `mother` is the position within the event's own list, or -1; a mother stands before its
    daughters. `source` is the position in the full record.
    """

    source: Array
    event: Array
    mother: Array
    status_flags: Array


def detector_particles(records: Records, vertex_z: Array) -> Particles:
    """Give the particles that enter the detector: all final ones but neutrinos.

    Parameters
    ----------
    records
        Event records, collision at the origin.
    vertex_z
        Place of the collision along the beam [cm], one per event.
    """
    chosen = np.flatnonzero(records.status > 0)
    chosen = chosen[~_IS_NEUTRINO[_code(records.pdg_id[chosen])]]
    event = records.event[chosen]
    pdg_id = records.pdg_id[chosen]
    return Particles(
        event=event,
        interaction=np.zeros(len(chosen), dtype=np.int32),
        pdg_id=pdg_id,
        charge=charge_of(pdg_id),
        px=records.px[chosen],
        py=records.py[chosen],
        pz=records.pz[chosen],
        e=records.e[chosen],
        x=records.x[chosen],
        y=records.y[chosen],
        z=records.z[chosen] + vertex_z[event],
    )


def stable(records: Records) -> Array:
    """Find the stable particles of the experiments' definition (c tau > 10 mm), as a mask.

    K0S, strange baryons and the like count as stable, and what they decay to does not.
    """
    long_lived = _IS_LONG_LIVED[_code(records.pdg_id)]
    descends = np.zeros(len(long_lived), dtype=bool)
    while True:
        found = (long_lived | descends)[records.mother1]
        # The first entries of an event are their own mothers; none of them is long-lived.
        if np.array_equal(found, descends):
            break
        descends = found
    # A baryon may reach its final species through a copy of itself; the last one counts.
    return ((records.status > 0) | long_lived) & ~descends


def visible(records: Records) -> tuple[Array, Array]:
    """Positions of the stable particles: those that are no neutrinos, and the neutrinos."""
    chosen = np.flatnonzero(stable(records))
    neutrino = _IS_NEUTRINO[_code(records.pdg_id[chosen])]
    return chosen[~neutrino], chosen[neutrino]


def _code(pdg_id: Array) -> Array:
    """Absolute PDG codes, for the tables above; all exotic ones share the last place."""
    return np.minimum(np.abs(pdg_id), _CODES - 1)


def hadrons(records: Records) -> Array:
    """Find the hadrons of hadronisation and decays, as a mask; the beams are none of them."""
    return _IS_HADRON[_code(records.pdg_id)] & (np.abs(records.status) > 80)


def prune(records: Records, photon_pt_min: float = 10.0) -> History:
    """Keep what an analysis asks of the history.

    Kept are: the hard process (incoming, intermediate, outgoing); first and last copies of top, W,
    Z, H, Z'; last copies of the partons of the hard process (after final-state radiation); prompt
    leptons and neutrinos, tau leptons; prompt photons above `photon_pt_min` GeV; weakly decaying b
    and c hadrons. The mother of a kept particle is its nearest kept ancestor.
    """
    code = _code(records.pdg_id)
    state = np.abs(records.status)
    hard = (state >= 21) & (state <= 29)
    first, last = _copies(records)
    kept = hard | (_IS_RESONANCE[code] & (first | last)) | (_IS_HEAVY[code] & last)
    parton = np.flatnonzero(_IS_PARTON[code] & last & ~kept)
    root = _first_copy(records, first, parton)
    kept[parton[hard[root] & (state[root] != 21)]] = True

    hadron = hadrons(records)
    lepton = _CHARGED_LEPTON_OR_NEUTRINO[code] & ((records.status > 0) | (code == 15)) & last
    photon = np.flatnonzero((code == 22) & (records.status > 0))
    photon = photon[np.hypot(records.px[photon], records.py[photon]) > photon_pt_min]
    candidates = np.concatenate([np.flatnonzero(lepton), photon])
    kept[candidates[~_descends_from(records, candidates, hadron)]] = True

    source = np.flatnonzero(kept)
    ancestor = _nearest(records.mother1, kept, source)
    position = np.cumsum(kept) - 1
    begin = np.concatenate([[0], position + 1])[records.offsets[:-1]]
    event = records.event[source]
    local = np.where(ancestor >= 0, position[ancestor] - begin[event], -1)
    # Pythia numbers incoming partons outwards, from the hard process to the beams: an incoming
    # line would have its mother behind it. For an analysis it has none.
    own = position[source] - begin[event]
    local = np.where(local < own, local, -1)
    return History(
        source=source,
        event=event,
        mother=local.astype(np.int32),
        status_flags=_status_flags(records, source, hadron, hard, first, last),
    )


def _copies(records: Records) -> tuple[Array, Array]:
    """Masks: no mother of the same species; no daughter of the same species."""
    place = np.arange(len(records.pdg_id))
    copy = (records.pdg_id[records.mother1] == records.pdg_id) & (records.mother1 != place)
    has_copy = np.zeros(len(place), dtype=bool)
    has_copy[records.mother1[copy]] = True
    return ~copy, ~has_copy


def _first_copy(records: Records, first: Array, start: Array) -> Array:
    """Follow each of `start` back through mothers of the same species to the first of them."""
    root = start.copy()
    active = np.flatnonzero(~first[root])
    while len(active):
        root[active] = records.mother1[root[active]]
        active = active[~first[root[active]]]
    return root


def _nearest(mother: Array, marked: Array, start: Array) -> Array:
    """Give the nearest marked proper ancestor of each of `start`, or -1."""
    found = np.full(len(start), -1, dtype=np.int64)
    active = np.arange(len(start))
    place = start
    while len(active):
        above = mother[place]
        top = above == place
        hit = marked[above] & ~top
        found[active[hit]] = above[hit]
        go_on = ~(top | hit)
        active, place = active[go_on], above[go_on]
    return found


def _descends_from(records: Records, start: Array, marked: Array) -> Array:
    """Whether a proper ancestor of each of `start` is marked."""
    return _nearest(records.mother1, marked, start) >= 0


def _status_flags(
    records: Records, source: Array, hadron: Array, hard: Array, first: Array, last: Array
) -> Array:
    """Bits of NanoAOD's statusFlags, uint16.

    Bits 9, 10 (tau decays of the hard process) and 14 (last copy before FSR) are not filled; bit 11
    is that of the hard process itself.
    """
    tau = np.abs(records.pdg_id) == 15
    from_hadron = _descends_from(records, source, hadron)
    tau_mother = _nearest(records.mother1, tau, source)
    of_tau = (tau_mother >= 0) & ~tau[source]
    tau_is_prompt = np.zeros(len(source), dtype=bool)
    tau_is_prompt[of_tau] = ~_descends_from(records, tau_mother[of_tau], hadron)
    direct_tau = of_tau & tau[records.mother1[source]]
    of_hard = hard[source] | _descends_from(records, source, hard)
    prompt = ~from_hadron & ~of_tau
    bits = {
        IS_PROMPT: prompt,
        IS_DECAYED_LEPTON_HADRON: (records.status[source] < 0) & (hadron[source] | tau[source]),
        IS_TAU_DECAY_PRODUCT: of_tau,
        IS_PROMPT_TAU_DECAY_PRODUCT: of_tau & tau_is_prompt,
        IS_DIRECT_TAU_DECAY_PRODUCT: direct_tau,
        IS_DIRECT_PROMPT_TAU_DECAY_PRODUCT: direct_tau & tau_is_prompt,
        IS_DIRECT_HADRON_DECAY_PRODUCT: hadron[records.mother1[source]],
        IS_HARD_PROCESS: hard[source],
        FROM_HARD_PROCESS: of_hard & prompt,
        FROM_HARD_PROCESS_BEFORE_FSR: hard[source],
        IS_FIRST_COPY: first[source],
        IS_LAST_COPY: last[source],
    }
    flags = np.zeros(len(source), dtype=np.uint16)
    for bit, holds in bits.items():
        flags |= holds.astype(np.uint16) << np.uint16(bit)
    return flags
