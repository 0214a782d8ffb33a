"""The coffea processor: from events of any layout to tables of jets, all variations in one pass."""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from coffea.processor import ProcessorABC

from fullchain.errors import InputError
from fullchain.jets.arrays import Array, sums
from fullchain.jets.chance import event_words
from fullchain.jets.clustering import cluster
from fullchain.jets.genlevel import GenLevel, GenMatch
from fullchain.jets.jetset import JetSet, as_stored, clustered
from fullchain.jets.reading import (
    Candidates,
    ComputedWeights,
    EventColumns,
    StoredJets,
    read_candidates,
    read_events,
    read_measured,
    read_stored_jets,
)
from fullchain.jets.rows import Chosen, Known, build, event_columns
from fullchain.jets.selection import identified, select
from fullchain.jets.settings import JetsSettings, ResolutionShift, ScaleShift, TrackEfficiencyShift
from fullchain.jets.shifts import kept_tracks, scale_factors, smearing_factors
from fullchain.ntuples.layouts.base import Layout
from fullchain.ntuples.manifests import is_url
from fullchain.ntuples.reader_faults import READERS, raised_by
from fullchain.pileup.weight_file import read_weights

NOMINAL = "nominal"


@dataclass(frozen=True)
class Failure:
    """Why a file could not be read; `passing` if another attempt may help.

    `trace` is where in the code it came up, for the log.
    """

    number: int
    message: str
    passing: bool
    trace: str = ""


class JetProcessor(ProcessorABC):
    """Cluster, measure, label, shift and select the jets of a chunk of events.

    Parameters
    ----------
    layout
        Reader of the events.
    settings
        Of the stage.
    seed
        Of the chance in resolution and tracking shifts.
    sample
        Name of the sample: events with the same number in two samples share no chance.
    is_data
        Recorded data: weight 1, no truth and no shifts, whatever branches there are.
    weights
        File of pile-up weights of the part, where the stage `pileup` computed them.

    Notes
    -----
    `process` gives lists with one entry per chunk, which coffea joins. A problem of the input is an
    entry of ``failures`` and not an exception, because executors lose the type of an exception on
    its way between processes.
    """

    step = "jets.cluster"
    """Step that the processor belongs to."""

    def __init__(
        self,
        layout: Layout,
        settings: JetsSettings,
        seed: int,
        *,
        sample: str,
        is_data: bool = False,
        weights: Path | None = None,
    ) -> None:
        self.weights = weights
        self.layout = layout
        self.settings = settings
        self.seed = seed
        self.sample = sample
        self.is_data = is_data

    def process(self, events: Any) -> dict[str, list[Any]]:
        """Treat one chunk; its metadata hold ``number``, the place of the file in the part."""
        where = events.metadata
        start, stop = int(where["entrystart"]), int(where["entrystop"])
        try:
            result = self._chunk(events)
        except InputError as problem:
            failure = Failure(where["number"], f"{where['filename']}: {problem}", passing=False)
            return {"chunks": [], "failures": [failure]}
        except Exception as problem:
            # the fault of a program is none of the file
            if not raised_by(READERS, problem):
                raise
            remote = is_url(where["filename"])
            message = (
                f"{where['filename']}: entries {start} to {stop} of tree '{where['treename']}' "
                f"cannot be read ({type(problem).__name__}: {problem})"
            )
            # the network and disks fail with an OSError, what they bring with any other one
            hint = "" if remote or isinstance(problem, OSError) else "; the file is damaged"
            trace = "".join(traceback.format_exception(problem))
            failure = Failure(where["number"], message + hint, remote, trace)
            return {"chunks": [], "failures": [failure]}
        return {"chunks": [(where["number"], start, stop, result)], "failures": []}

    def postprocess(self, accumulator: Any) -> Any:
        """Leave the sum as it is."""
        return accumulator

    def _chunk(self, events: Any) -> dict[str, Any]:
        columns = read_events(self.layout, events, self.is_data)
        words = self._words(columns)
        candidates = stored = None
        if self.layout.covers_whole_event:
            method = self.settings.clustering.mitigation
            computed = self._computed_weights(events.metadata, columns)
            candidates = read_candidates(self.layout, events, method, computed)
        else:
            stored = read_stored_jets(self.layout, events)
        n = len(columns.event)
        n_small, ht = self._small_jets(candidates, n)
        absent = list(columns.absent) + ([] if candidates is not None else ["n_ak4", "ht"])
        if stored is not None and stored.candidates is None:
            absent += ["constituents", "lund", "d2"]
        gen = GenLevel(self.layout, events, self.settings, self.is_data)
        in_rows = event_columns(columns, n_small, ht)
        tables: dict[str, pa.Table] = {}
        passed: dict[str, dict[str, Array]] = {}
        for variations, jets in self._sets(candidates, stored, words, gen.exists):
            match = gen.match(jets)
            good = self._good(jets)
            chosen = {name: self._choose(name, jets, good, match, words) for name in variations}
            known = self._know(jets, chosen, gen, match)
            measured = self._measured(events, jets, known)
            for name, one in chosen.items():
                tables[name] = build(name, one, jets, known, in_rows, measured)
                passed[name] = self._cuts(jets, good, one, n)
        return {
            "tables": tables,
            "weight": columns.weight,
            "passed": passed,
            "absent": sorted(absent),
        }

    def _computed_weights(self, where: Any, columns: EventColumns) -> ComputedWeights | None:
        """Give the reader of the weights of a chunk, where the stage `pileup` computed them."""
        if self.weights is None:
            return None
        ids = (columns.run, columns.luminosity_block, columns.event)
        return partial(
            read_weights, self.weights, int(where["number"]), int(where["entrystart"]), ids
        )

    def _words(self, columns: EventColumns) -> dict[str, Array]:
        """Give the random words of the events for each kind of shift, see `chance`."""
        ids = (columns.run, columns.luminosity_block, columns.event)
        return {
            kind: event_words(self.seed, *ids, keys=("jets", self.sample, kind))
            for kind in ("jer", "track_efficiency")
        }

    def _small_jets(self, candidates: Candidates | None, n: int) -> tuple[Array, Array]:
        """Count the small jets of each event and sum their pT [GeV]; -1 and NaN where unknown."""
        if candidates is None:
            return np.full(n, -1), np.full(n, np.nan)
        chosen = self.settings.clustering
        jets = cluster(
            candidates.momenta, candidates.event_offsets, chosen.small_radius, chosen.small_pt_min
        )
        central = np.abs(jets.kinematics.eta) < chosen.small_abs_eta_max
        counted = sums(central.astype(np.float64), jets.event_offsets)
        return counted, sums(jets.kinematics.pt * central, jets.event_offsets)

    def _sets(
        self,
        candidates: Candidates | None,
        stored: StoredJets | None,
        words: dict[str, Array],
        simulated: bool,
    ) -> Iterator[tuple[list[str], JetSet]]:
        """Give the jets for each choice of candidates, and the variations that use them."""
        shifts = self.settings.shifts if simulated else {}
        scaled = [n for n, s in shifts.items() if not isinstance(s, TrackEfficiencyShift)]
        radius, floor = self.settings.clustering.radius, self._pt_floor
        if candidates is not None:
            nominal = clustered(candidates, radius, floor)
            yield [NOMINAL, *scaled], nominal
        elif stored is not None:
            yield [NOMINAL, *scaled], as_stored(stored)
        for name, shift in shifts.items():
            if not isinstance(shift, TrackEfficiencyShift):
                continue
            if candidates is not None:
                # losing tracks only lowers pT: events without a jet above the floor stay without
                with_jets = np.diff(nominal.jets.event_offsets) > 0
                kept = self._kept(shift, candidates, candidates.events, words)
                kept &= with_jets[candidates.events]
                yield [name], clustered(candidates.keep(kept), radius, floor)
            elif stored is not None and stored.candidates is not None:
                counts = np.diff(stored.event_offsets)
                events = np.repeat(np.arange(len(counts)), counts)[stored.candidates.events]
                yield [name], as_stored(stored, self._kept(shift, stored.candidates, events, words))

    @staticmethod
    def _kept(
        shift: TrackEfficiencyShift, candidates: Candidates, events: Array, words: dict[str, Array]
    ) -> Array:
        return kept_tracks(shift, candidates.charge, words[shift.kind][events], candidates.number)

    def _good(self, jets: JetSet) -> Array:
        central = np.abs(jets.kinematics.eta) < self.settings.selection.abs_eta_max
        return central & identified(jets.fractions, self.settings.selection)

    def _choose(
        self, name: str, jets: JetSet, good: Array, match: GenMatch, words: dict[str, Array]
    ) -> Chosen:
        factor = self._factors(name, jets, match, words)
        event = jets.jets.events
        place, rank = select(jets.kinematics.pt * factor, good, event, self.settings.selection)
        return Chosen(place, rank, factor[place])

    def _factors(self, name: str, jets: JetSet, match: GenMatch, words: dict[str, Array]) -> Array:
        """Give the factor of a variation on the momentum of each jet."""
        shift = self.settings.shifts.get(name)
        pt = jets.kinematics.pt
        if isinstance(shift, ScaleShift):
            return scale_factors(shift, pt, jets.kinematics.eta)
        if isinstance(shift, ResolutionShift):
            word = words[shift.kind][jets.jets.events]
            return smearing_factors(shift, pt, match.pt, word, jets.jets.ranks)
        return np.ones(len(pt))

    def _know(
        self, jets: JetSet, chosen: dict[str, Chosen], gen: GenLevel, match: GenMatch
    ) -> Known:
        """Measure once what any variation chose."""
        place = np.unique(np.concatenate([one.place for one in chosen.values()]))
        found = jets.substructure(
            place, self.settings.clustering.radius, self.settings.substructure
        )
        labels, contained = gen.labels(jets, place)
        index = match.index[place]
        return Known(
            place,
            found,
            labels,
            contained,
            match.pt[place],
            match.mass[place],
            gen.soft_drop(index),
        )

    def _measured(self, events: Any, jets: JetSet, known: Known) -> dict[str, Array]:
        if jets.candidates is None or len(known.place) == 0:
            return {name: np.zeros(0) for name in ("d0", "d0_err", "dz", "dz_err")}
        return read_measured(self.layout, events, jets.stored is not None)

    @staticmethod
    def _cuts(jets: JetSet, good: Array, chosen: Chosen, n: int) -> dict[str, Array]:
        """Tell which of the n events pass each cut."""
        event = jets.jets.events
        has_jet, has_chosen = np.zeros(n, bool), np.zeros(n, bool)
        has_jet[event[good]] = True
        has_chosen[event[chosen.place]] = True
        return {"identified central jet": has_jet, "jet in the pT window": has_chosen}

    @property
    def _pt_floor(self) -> float:
        """The least pT [GeV] of jets that are looked at."""
        return self.settings.selection.loose_pt_fraction * self.settings.selection.pt_min
