"""What the generator says about jets: label, matched particle-level jet."""

from typing import Any

import awkward as ak
import numpy as np

from fullchain.jets.arrays import Array, flat, momenta, offsets_of
from fullchain.jets.clustering import cluster
from fullchain.jets.jetset import JetSet
from fullchain.jets.labels import UNMATCHED
from fullchain.jets.matching import nearest, take
from fullchain.jets.settings import JetsSettings
from fullchain.jets.substructure import soft_drop_mass
from fullchain.jets.truth import label
from fullchain.ntuples.layouts.base import Layout


class GenLevel:
    """The generator's part of one chunk of events; columns are read when they are needed.

    Parameters
    ----------
    layout
        Reader of the events.
    events
        NanoEvents of the chunk.
    settings
        Of the stage.
    is_data
        Recorded data: nothing is read.
    """

    def __init__(
        self, layout: Layout, events: Any, settings: JetsSettings, is_data: bool = False
    ) -> None:
        self._layout = layout
        self._events = events
        self._settings = settings
        self._particles: Any = None if is_data else layout.gen_particles(events)
        self._labels: Any = None if is_data else layout.stored_labels(events)
        self._jets: Any = None if is_data else layout.gen_fatjets(events)

    @property
    def exists(self) -> bool:
        """Whether the events are simulated."""
        return any(x is not None for x in (self._particles, self._labels, self._jets))

    def match(self, jets: JetSet) -> "GenMatch":
        """Find the particle-level jet of each jet, by direction."""
        n = len(jets.kinematics.pt)
        if self._jets is None:
            return GenMatch(np.full(n, -1), np.full(n, np.nan), np.full(n, np.nan))
        eta, phi = flat(self._jets["eta"], np.float64), flat(self._jets["phi"], np.float64)
        offsets = offsets_of(ak.to_numpy(ak.num(self._jets["pt"])))
        index = nearest(
            jets.kinematics.eta,
            jets.kinematics.phi,
            jets.jets.events,
            eta,
            phi,
            offsets,
            self._settings.truth.gen_jet_radius,
        )
        pt, mass = (take(flat(self._jets[name], np.float64), index) for name in ("pt", "mass"))
        return GenMatch(index, pt, mass)

    def labels(self, jets: JetSet, chosen: Array) -> tuple[Array, Array]:
        """Give label and containment of the chosen jets, see `fullchain.jets.truth`."""
        if self._particles is not None:
            return label(
                jets.kinematics.eta[chosen],
                jets.kinematics.phi[chosen],
                jets.jets.events[chosen],
                self._particles,
                self._settings.truth.label_radius,
            )
        if self._labels is not None and jets.stored is not None:
            given = flat(self._labels, np.int8)[chosen]
            return given, given >= 0
        return np.full(len(chosen), UNMATCHED, np.int8), np.zeros(len(chosen), bool)

    def soft_drop(self, index: Array) -> Array:
        """Give the soft-drop mass [GeV] of the particle-level jets at `index`, NaN where unknown.

        From the file where it has it, else from the particles: those linked to the jet, or those of
        the nearest jet clustered from all stable particles but neutrinos.
        """
        result = np.full(len(index), np.nan)
        wanted = np.unique(index[index >= 0])
        if not self._settings.truth.gen_soft_drop or self._jets is None or len(wanted) == 0:
            return result
        if "msoftdrop" in self._jets.fields:
            result = take(flat(self._jets["msoftdrop"], np.float64), index)
            if not np.isnan(result[index >= 0]).any():
                return result
        masses = self._groom(wanted)
        found = index >= 0
        result[found] = masses[np.searchsorted(wanted, index[found])]
        return result

    def _groom(self, wanted: Array) -> Array:
        if "constituents" in self._jets.fields:
            chosen = ak.flatten(self._jets["constituents"], axis=1)[wanted]
            offsets = offsets_of(ak.to_numpy(ak.num(chosen["pt"])))
            return self._soft_drop_masses(_momenta(chosen), offsets)
        particles = self._layout.gen_candidates(self._events)
        if particles is None:
            return np.full(len(wanted), np.nan)
        return self._groom_clustered(wanted, particles)

    def _groom_clustered(self, wanted: Array, particles: ak.Array) -> Array:
        """Cluster the particles of the events with wanted jets, and groom the jets that match."""
        code = np.abs(particles["pdgId"])
        particles = particles[(code != 12) & (code != 14) & (code != 16)]
        counts = ak.to_numpy(ak.num(self._jets["pt"]))
        event = np.repeat(np.arange(len(counts)), counts)[wanted]
        events, row = np.unique(event, return_inverse=True)
        chosen = particles[events]
        p4 = _momenta(chosen)
        offsets = offsets_of(ak.to_numpy(ak.num(chosen["pt"])))
        pt = flat(self._jets["pt"], np.float64)[wanted]
        clusters = cluster(p4, offsets, self._settings.clustering.radius, 0.5 * float(pt.min()))
        match = nearest(
            flat(self._jets["eta"], np.float64)[wanted],
            flat(self._jets["phi"], np.float64)[wanted],
            row.astype(np.int64),
            clusters.kinematics.eta,
            clusters.kinematics.phi,
            clusters.event_offsets,
            0.5 * self._settings.clustering.radius,
        )
        masses = self._soft_drop_masses(p4[clusters.members], clusters.member_offsets)
        return take(masses, match)

    def _soft_drop_masses(self, p4: Array, offsets: Array) -> Array:
        radius = self._settings.clustering.radius
        return soft_drop_mass(p4, offsets, radius, self._settings.substructure)


class GenMatch:
    """Particle-level jets of n jets: `index` among all of the chunk (-1: none), pT, mass [GeV]."""

    def __init__(self, index: Array, pt: Array, mass: Array) -> None:
        self.index, self.pt, self.mass = index, pt, mass


def _momenta(records: ak.Array) -> Array:
    return momenta(*(flat(records[name], np.float64) for name in ("pt", "eta", "phi", "mass")))
