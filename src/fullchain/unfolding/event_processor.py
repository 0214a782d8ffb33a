"""The coffea processor: from events of any layout to Z + jet events at both levels, shifts too."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from fullchain.errors import InputError
from fullchain.jets.arrays import Array, flat, momenta, offsets_of
from fullchain.jets.factor_names import FACTORS
from fullchain.jets.jetset import JetSet
from fullchain.jets.matching import nearest, take
from fullchain.jets.processor import JetProcessor
from fullchain.jets.reading import Candidates, EventColumns, read_candidates, read_events
from fullchain.jets.settings import (
    JetsSettings,
    ResolutionShift,
    ScaleShift,
    TrackEfficiencyShift,
)
from fullchain.jets.shifts import scale_factors, smearing_factors
from fullchain.ntuples.layouts.base import Layout
from fullchain.unfolding import dimuon, zjets
from fullchain.unfolding.dimuon import Dimuons
from fullchain.unfolding.jet_observables import UNITS
from fullchain.unfolding.sample import NOMINAL, Flags, Level, Simulation
from fullchain.unfolding.selection_settings import SelectionSettings

GEN = "gen"
"""Name of the particle level where those of the detector level are `nominal` and the shifts."""


class EventProcessor(JetProcessor):
    """Select and measure the Z + jet events of a chunk.

    Reading, the mitigation of pile-up and the chance in shifts are those of the stage `jets`: a
    track that is lost there is lost here.

    Parameters
    ----------
    layout, seed, sample, is_data, weights
        As in `JetProcessor`.
    jets
        Settings of the stage `jets`: mitigation and shifts.
    selection
        Cuts and observables.
    """

    step = "unfolding.select"

    def __init__(
        self,
        layout: Layout,
        jets: JetsSettings,
        selection: SelectionSettings,
        seed: int,
        *,
        sample: str,
        is_data: bool = False,
        weights: Path | None = None,
    ) -> None:
        super().__init__(layout, jets, seed, sample=sample, is_data=is_data, weights=weights)
        self.selection = selection
        self.shifts = () if is_data else self._names(jets)

    def _names(self, jets: JetsSettings) -> tuple[str, ...]:
        chosen = self.selection.shifts
        if chosen is None:
            return tuple(jets.shifts)
        unknown = [name for name in chosen if name not in jets.shifts]
        if unknown:
            raise InputError(
                f"unfolding.selection.shifts: {unknown[0]!r} is not in jets.shifts "
                f"({', '.join(jets.shifts) or 'which is empty'})"
            )
        return chosen

    def _chunk(self, events: Any) -> dict[str, Any]:
        columns = read_events(self.layout, events, self.is_data)
        reco, gen = self._read(events, columns)
        z_reco = dimuon.find(reco, self.selection.dimuon)
        cuts = {NOMINAL: z_reco.cuts(self.selection.dimuon)}
        good_reco = cuts[NOMINAL]["dimuon pT"]
        n = len(columns.event)
        particle_level = zjets.nothing(n, self.selection.particles)
        particle_jets: JetSet | None = None
        if gen is not None:
            z_gen = dimuon.find(gen, self.selection.dimuon)
            cuts[GEN] = z_gen.cuts(self.selection.dimuon)
            good = cuts[GEN]["dimuon pT"]
            particle_jets = zjets.jets_beside(gen, z_gen, good | good_reco, self.selection.jet)
            particle_level = self._level(particle_jets, z_gen, good)
            cuts[GEN]["jet"] = particle_level.passed
        found = self._detector_levels(reco, z_reco, good_reco, particle_jets, columns)
        for name, level in found.items():
            cuts[name] = {**z_reco.cuts(self.selection.dimuon), "jet": level.passed}
        ids = np.stack(
            [columns.run, columns.luminosity_block, columns.event.astype(np.int64)], axis=1
        )
        rows = Simulation(
            tuple(UNITS),
            particle_level,
            found.pop(NOMINAL),
            columns.weight,
            ids.astype(np.int64),
            found,
            {name: columns.factors[name] for name in self._given(columns)},
        )
        kept = particle_level.passed | rows.reco.passed
        for level in found.values():
            kept = kept | level.passed
        return {
            "rows": rows.take(np.flatnonzero(kept)),
            "weight": columns.weight,
            "passed": cuts,
            "muons": int(np.count_nonzero(np.abs(reco.pdg_id) == dimuon.MUON)),
        }

    def _read(self, events: Any, columns: EventColumns) -> tuple[Candidates, Candidates | None]:
        """Read the particles of both levels; None for the particle level of recorded data."""
        if not self.layout.covers_whole_event:
            raise InputError(
                f"events of layout {self.layout.name} have candidates of AK8 jets only, and the "
                "muons and small jets of an unfolding need those of the whole event: take files "
                "with all particle-flow candidates (layout pfnano)"
            )
        computed = self._computed_weights(events.metadata, columns)
        reco = read_candidates(self.layout, events, self.settings.clustering.mitigation, computed)
        if self.is_data:
            return reco, None
        stable = self.layout.gen_candidates(events)
        if stable is None:
            raise InputError(
                "simulated events have no stable generator particles (branches GenCands_*), of "
                "which the particle level is made: make the ntuple with all of them, or, if these "
                "are recorded data, say is_data: true in the settings of the sample"
            )
        return reco, _stable(stable)

    def _level(self, jets: JetSet, z: Dimuons, passed: Flags) -> Level:
        same = np.ones(len(jets.jets.momenta))
        return zjets.levels(jets, {NOMINAL: same}, z, passed, self.selection)[NOMINAL]

    def _detector_levels(
        self,
        reco: Candidates,
        z: Dimuons,
        passed: Flags,
        particle_jets: JetSet | None,
        columns: EventColumns,
    ) -> dict[str, Level]:
        """Select and measure the detector level, nominal and under each shift.

        Only jets are shifted. The muons of the Z boson are found once: a track they are made of is
        not lost with those of the jets, whose efficiency is not that of muons.
        """
        words = self._words(columns)
        jets = zjets.jets_beside(reco, z, passed, self.selection.jet)
        scaled = {NOMINAL: np.ones(len(jets.jets.momenta))}
        for name in self.shifts:
            if not isinstance(self.settings.shifts[name], TrackEfficiencyShift):
                scaled[name] = self._factor(name, jets, particle_jets, words)
        found = zjets.levels(jets, scaled, z, passed, self.selection)
        for name in self.shifts:
            shift = self.settings.shifts[name]
            if isinstance(shift, TrackEfficiencyShift):
                survive = self._kept(shift, reco, reco.events, words)
                fewer = zjets.jets_beside(reco, z, passed, self.selection.jet, survive)
                found[name] = self._level(fewer, z, passed)
        return {name: found[name] for name in (NOMINAL, *self.shifts)}

    def _factor(
        self, name: str, jets: JetSet, particle_jets: JetSet | None, words: dict[str, Array]
    ) -> Array:
        """Give the factor of a shift on the momentum of each jet."""
        shift = self.settings.shifts[name]
        pt = jets.kinematics.pt
        if isinstance(shift, ScaleShift):
            return scale_factors(shift, pt, jets.kinematics.eta)
        assert isinstance(shift, ResolutionShift)
        assert particle_jets is not None
        index = nearest(
            jets.kinematics.eta,
            jets.kinematics.phi,
            jets.jets.events,
            particle_jets.kinematics.eta,
            particle_jets.kinematics.phi,
            particle_jets.jets.event_offsets,
            0.5 * self.selection.jet.radius,
        )
        matched = take(particle_jets.kinematics.pt, index)
        word = words[shift.kind][jets.jets.events]
        return smearing_factors(shift, pt, matched, word, jets.jets.ranks)

    @staticmethod
    def _given(columns: EventColumns) -> list[str]:
        return [name for name in FACTORS if f"w_{name}" not in columns.absent]


def _stable(records: ak.Array) -> Candidates:
    """Give stable generator particles in the form of candidates, neutrinos left out."""
    code = np.abs(records["pdgId"])
    records = records[(code != 12) & (code != 14) & (code != 16)]
    counts = ak.to_numpy(ak.num(records["pt"]))
    offsets = offsets_of(counts)
    p4 = momenta(*(flat(records[name], np.float64) for name in ("pt", "eta", "phi", "mass")))
    everything = np.arange(len(p4))
    return Candidates(
        p4,
        np.ones(len(p4)),
        flat(records["charge"]),
        flat(records["pdgId"]),
        np.full(len(p4), 3),
        everything,
        everything - np.repeat(offsets[:-1], counts),
        offsets,
    )
