"""A set of jets with all that is known of them: one for each way to choose the candidates."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np

from fullchain.jets.arrays import Array, Kinematics, momenta, offsets_of, sums
from fullchain.jets.clustering import Jets, cluster
from fullchain.jets.reading import Candidates, StoredJets
from fullchain.jets.settings import SubstructureSettings
from fullchain.jets.substructure import EnergyFractions, Substructure, energy_fractions, measure


@dataclass(frozen=True)
class JetSet:
    """Jets of one chunk, from one choice of candidates.

    Parameters
    ----------
    jets
        The jets; `members` are places in `candidates`.
    candidates
        None where the file has no constituents: then `stored` is all there is.
    stored
        (jets) records of the file's own jets, where the jets are those.
    """

    jets: Jets
    candidates: Candidates | None
    stored: Any = None

    @cached_property
    def kinematics(self) -> Kinematics:
        """pt, eta, phi, mass of the jets."""
        return self.jets.kinematics

    @cached_property
    def fractions(self) -> EnergyFractions:
        """Energy fractions of the jets."""
        if self.candidates is None:
            return EnergyFractions(*(self._column(f) for f in ("chf", "nhf", "phf", "elf", "muf")))
        members = self.jets.members
        return energy_fractions(
            self.candidates.momenta[members, 3],
            self.candidates.pdg_id[members],
            self.candidates.charge[members],
            self.jets.member_offsets,
        )

    @property
    def n_constituents(self) -> Array:
        """Number of constituents; the file's number where they themselves are not known."""
        counts = np.diff(self.jets.member_offsets)
        if self.stored is None:
            return counts
        return np.where(counts > 0, counts, ak.to_numpy(self.stored["n_constituents"]))

    def substructure(
        self, chosen: Array, radius: float, settings: SubstructureSettings
    ) -> Substructure:
        """Measure the chosen jets; what the file has stands in for jets without constituents."""
        if self.candidates is None:
            return self._stored_substructure(chosen)
        members, offsets = self.members_of(chosen)
        own = measure(self.candidates.momenta[members], offsets, radius, settings)
        empty = np.diff(offsets) == 0
        if self.stored is None or not empty.any():
            return own
        other = self._stored_substructure(chosen)
        return Substructure(
            np.where(empty, other.msoftdrop, own.msoftdrop),
            np.where(empty[:, None], other.tau, own.tau),
            np.where(empty, other.d2, own.d2),
            np.where(empty, other.n2, own.n2),
            own.lund,
            own.lund_offsets,
        )

    def members_of(self, chosen: Array) -> tuple[Array, Array]:
        """Give the candidates of the chosen jets by falling pT, and where each jet's begin."""
        starts, stops = self.jets.member_offsets[chosen], self.jets.member_offsets[chosen + 1]
        offsets = offsets_of(stops - starts)
        jet = np.repeat(np.arange(len(chosen)), stops - starts)
        members = self.jets.members[np.arange(offsets[-1]) - offsets[jet] + starts[jet]]
        if self.candidates is not None:
            px, py = self.candidates.momenta[members, 0], self.candidates.momenta[members, 1]
            members = members[np.lexsort((members, -(px**2 + py**2), jet))]
        return members, offsets

    def _column(self, name: str) -> Array:
        return ak.to_numpy(self.stored[name]).astype(np.float64)

    def _stored_substructure(self, chosen: Array) -> Substructure:
        nothing = np.full(len(chosen), np.nan)
        return Substructure(
            self._column("msoftdrop")[chosen],
            np.stack([self._column(f"tau{n}")[chosen] for n in (1, 2, 3, 4)], axis=1),
            nothing,
            self._column("n2")[chosen],
            np.zeros((0, 3)),
            np.zeros(len(chosen) + 1, np.int64),
        )


def clustered(candidates: Candidates, radius: float, pt_min: float) -> JetSet:
    """Cluster the candidates of whole events."""
    jets = cluster(candidates.momenta, candidates.event_offsets, radius, pt_min)
    return JetSet(jets, candidates)


def as_stored(stored: StoredJets, kept: Array | None = None) -> JetSet:
    """Take the jets of the file; with a mask, what the candidates in `kept` make of them."""
    if stored.candidates is None:
        p4 = _momenta(stored.records)
        no_members = np.zeros(len(p4) + 1, np.int64)
        jets = Jets(stored.event_offsets, p4, np.zeros(0, np.int64), no_members)
        return JetSet(jets, None, stored.records)
    candidates = stored.candidates if kept is None else stored.candidates.keep(kept)
    p4 = sums(candidates.momenta, candidates.event_offsets)
    empty = np.diff(stored.candidates.event_offsets) == 0
    p4[empty] = _momenta(stored.records)[empty]
    members = np.arange(len(candidates.momenta))
    jets = Jets(stored.event_offsets, p4, members, candidates.event_offsets)
    return JetSet(jets, candidates, stored.records)


def _momenta(records: ak.Array) -> Array:
    return momenta(*(ak.to_numpy(records[name]) for name in ("pt", "eta", "phi", "mass")))
