"""Jets of whole blocks of events with fastjet: anti-kT, soft drop, N-subjettiness."""

from dataclasses import dataclass
from typing import Any

import awkward as ak
import fastjet
import numpy as np
from numpy.typing import NDArray

from fullchain.ntuples.particles import pseudorapidity

Array = NDArray[Any]

SOFT_DROP_Z = 0.1
SOFT_DROP_BETA = 0.0


@dataclass(frozen=True)
class Jets:
    """Flat arrays, one entry per jet, ordered by event and falling pT; GeV.

    `constituents` are positions in the clustered particles, those of jet j in
    constituents[offsets[j]:offsets[j+1]].
    """

    event: Array
    pt: Array
    eta: Array
    phi: Array
    mass: Array
    offsets: Array
    constituents: Array

    def __len__(self) -> int:
        """Number of jets."""
        return len(self.event)


def anti_kt(
    px: Array, py: Array, pz: Array, e: Array, offsets: Array, radius: float, pt_min: float
) -> Jets:
    """Cluster the particles of each event (Cacciari, Salam, Soyez, arXiv:0802.1189).

    Parameters
    ----------
    px, py, pz, e
        Flat arrays of particles [GeV].
    offsets
        Where each event begins, shape (events + 1,).
    radius
        Jet radius.
    pt_min
        Lowest jet pT [GeV].
    """
    sequence = fastjet.ClusterSequence(
        _jagged(px, py, pz, e, offsets), fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    )
    jets = sequence.inclusive_jets(min_pt=pt_min)
    members = sequence.constituent_index(min_pt=pt_min)
    number = ak.to_numpy(ak.num(jets))
    event = np.repeat(np.arange(len(number), dtype=np.int32), number)
    flat = ak.flatten(jets)
    jx, jy, jz, je = (np.asarray(flat[k], dtype=float) for k in ("px", "py", "pz", "E"))
    pt = np.hypot(jx, jy)
    # fastjet returns inclusive jets in the order of clustering.
    order = np.lexsort((-pt, event))
    members = ak.flatten(members)[order]
    size = ak.to_numpy(ak.num(members)) if len(members) else np.zeros(0, dtype=np.int64)
    local = np.asarray(ak.flatten(members), dtype=np.int64)
    jx, jy, jz, je, pt, event = (a[order] for a in (jx, jy, jz, je, pt, event))
    return Jets(
        event=event,
        pt=pt,
        eta=pseudorapidity(pt, jz),
        phi=np.arctan2(jy, jx),
        mass=np.sqrt(np.maximum(je**2 - jx**2 - jy**2 - jz**2, 0.0)),
        offsets=np.concatenate([[0], np.cumsum(size)]).astype(np.int64),
        constituents=local + np.repeat(offsets[event], size),
    )


def soft_drop_mass(px: Array, py: Array, pz: Array, e: Array, jets: Jets, radius: float) -> Array:
    """Mass [GeV] of each jet after soft drop (arXiv:1402.2657), z > 0.1 and beta = 0."""
    if not len(jets):
        return np.zeros(0)
    sequence = _inside(px, py, pz, e, jets, fastjet.cambridge_algorithm)
    groomed = sequence.exclusive_jets_softdrop_grooming(
        njets=1, beta=SOFT_DROP_BETA, symmetry_cut=SOFT_DROP_Z, R0=radius
    )
    return np.asarray(ak.to_numpy(ak.flatten(groomed.msoftdrop, axis=None)), dtype=float)


def n_subjettiness(px: Array, py: Array, pz: Array, e: Array, jets: Jets, radius: float) -> Array:
    """tau1 to tau4 of each jet (arXiv:1011.2268), one-pass kT axes, beta = 1; shape (jets, 4)."""
    if not len(jets):
        return np.zeros((0, 4))
    sequence = _inside(px, py, pz, e, jets, fastjet.cambridge_algorithm)
    tau = sequence.njettiness(njets=[1, 2, 3, 4], beta=1.0, R0=radius)
    return np.asarray(ak.to_numpy(tau), dtype=float).reshape(len(jets), 4)


def _inside(
    px: Array, py: Array, pz: Array, e: Array, jets: Jets, algorithm: int
) -> fastjet.ClusterSequence:
    """Cluster the constituents of each jet, each jet as an event of its own."""
    chosen = jets.constituents
    particles = _jagged(px[chosen], py[chosen], pz[chosen], e[chosen], jets.offsets)
    # Larger than any jet, so that all constituents end in one.
    return fastjet.ClusterSequence(particles, fastjet.JetDefinition(algorithm, 10.0))


def _jagged(px: Array, py: Array, pz: Array, e: Array, offsets: Array) -> ak.Array:
    """Four-momenta as one list per event."""
    content = ak.contents.RecordArray(
        [ak.contents.NumpyArray(np.ascontiguousarray(a, dtype=float)) for a in (px, py, pz, e)],
        ["px", "py", "pz", "E"],
        parameters={"__record__": "Momentum4D"},
    )
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), content))
