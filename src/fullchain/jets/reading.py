"""From events of any layout to plain arrays: what the rest of the stage works with."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import awkward as ak
import numpy as np

from fullchain.jets.arrays import Array, flat, momenta, offsets_of, sums
from fullchain.jets.factor_names import FACTORS
from fullchain.jets.mitigation import weights as mitigation_weights
from fullchain.ntuples.layouts.base import EventWeights, Layout

_KINEMATIC = ("pt", "eta", "phi", "mass", "charge", "pdgId", "puppi_weight", "from_pv")
_MEASURED = ("d0", "d0_err", "dz", "dz_err")

ComputedWeights = Callable[[Array], Array]
"""Gives the weights of the candidates of a chunk, from where those of each event begin."""


@dataclass(frozen=True)
class EventColumns:
    """Columns of n events, each (n); `absent` names the ones that the input does not have."""

    run: Array
    luminosity_block: Array
    event: Array
    weight: Array
    factors: dict[str, Array]
    npu: Array
    npv: Array
    met_pt: Array
    met_phi: Array
    absent: tuple[str, ...]


def read_events(layout: Layout, events: Any, is_data: bool = False) -> EventColumns:
    """Read identity, weights, pile-up and missing momentum of the events.

    Recorded data have weight 1 and no true pile-up, also where the file has branches for these.
    """
    n = len(events)
    ids = layout.event_ids(events)
    weights = EventWeights(np.ones(n)) if is_data else layout.weights(events)
    pileup = layout.pileup(events)
    if is_data:
        pileup = replace(pileup, true_interactions=None)
    met = layout.met(events)
    factors, absent = {}, []
    for name in FACTORS:
        given = getattr(weights, name, None)
        factors[name] = np.ones(n) if given is None else np.asarray(given)
        if given is None:
            absent.append(f"w_{name}")
    for name, given in (
        ("npu", pileup.true_interactions),
        ("npv", pileup.vertices),
        ("met_pt", met),
        ("met_phi", met),
    ):
        if given is None:
            absent.append(name)
    nothing = np.full(n, np.nan)
    return EventColumns(
        run=flat(ids["run"], np.uint32),
        luminosity_block=flat(ids["luminosityBlock"], np.uint32),
        event=flat(ids["event"], np.uint64),
        weight=np.asarray(weights.generator, np.float64),
        factors=factors,
        npu=nothing if pileup.true_interactions is None else pileup.true_interactions,
        npv=np.full(n, -1) if pileup.vertices is None else pileup.vertices,
        met_pt=nothing if met is None else flat(met["pt"]),
        met_phi=nothing if met is None else flat(met["phi"]),
        absent=tuple(absent),
    )


@dataclass(frozen=True)
class Candidates:
    """Candidates of n events after pile-up mitigation; those with weight 0 are gone.

    Parameters
    ----------
    momenta
        (candidates, 4) px, py, pz, E [GeV], with the weight applied.
    weight
        (candidates) the pile-up weight.
    charge, pdg_id, from_pv
        (candidates).
    origin
        (candidates) place among all candidates of the chunk, before any was dropped.
    number
        (candidates) place in the event, before any was dropped.
    event_offsets
        (n + 1) where the candidates of each event begin.
    """

    momenta: Array
    weight: Array
    charge: Array
    pdg_id: Array
    from_pv: Array
    origin: Array
    number: Array
    event_offsets: Array

    @property
    def events(self) -> Array:
        """(candidates) number of the event of each."""
        return np.repeat(np.arange(len(self.event_offsets) - 1), np.diff(self.event_offsets))

    def keep(self, kept: Array) -> "Candidates":
        """Give only the candidates in the mask `kept`."""
        counts = sums(kept.astype(np.float64), self.event_offsets).astype(np.int64)
        return Candidates(
            self.momenta[kept],
            self.weight[kept],
            self.charge[kept],
            self.pdg_id[kept],
            self.from_pv[kept],
            self.origin[kept],
            self.number[kept],
            offsets_of(counts),
        )


def _candidates(
    records: ak.Array, counts: Array, method: str, computed: Array | None = None
) -> Candidates:
    """Apply the mitigation to flat candidates, `counts` of them in each event."""
    column = {name: ak.to_numpy(records[name]) for name in _KINEMATIC}
    stored = (column[name] for name in ("puppi_weight", "charge", "from_pv"))
    weight = mitigation_weights(method, *stored) if computed is None else computed
    p4 = momenta(column["pt"], column["eta"], column["phi"], column["mass"])
    offsets = offsets_of(counts)
    origin = np.arange(len(weight))
    everything = Candidates(
        p4 * weight[:, None],
        weight,
        column["charge"],
        column["pdgId"],
        column["from_pv"],
        origin,
        origin - np.repeat(offsets[:-1], counts),
        offsets,
    )
    return everything.keep(weight > 0)


def read_candidates(
    layout: Layout, events: Any, method: str, weights: ComputedWeights | None = None
) -> Candidates:
    """Read the candidates of the whole event and mitigate pile-up.

    By `method`, see `fullchain.jets.mitigation`, or by weights that the stage `pileup` computed.
    """
    records = layout.candidates(events, _KINEMATIC)
    counts = ak.to_numpy(ak.num(records["pt"]))
    computed = None if weights is None else weights(offsets_of(counts))
    return _candidates(ak.flatten(records, axis=1), counts, method, computed)


@dataclass(frozen=True)
class StoredJets:
    """AK8 jets as the file has them, with their constituents where it has those.

    Parameters
    ----------
    event_offsets
        (events + 1) where the jets of each event begin.
    records
        (jets) with the fields of `fullchain.ntuples.layouts.base.FATJET_FIELDS`.
    candidates
        Constituents of all jets, jet by jet; its `event_offsets` are those of the jets.
    """

    event_offsets: Array
    records: ak.Array
    candidates: Candidates | None


def read_stored_jets(layout: Layout, events: Any) -> StoredJets:
    """Read the jets of the file.

    The momenta of the constituents are scaled so that they add up to the pT of the jet, which the
    experiment calibrated. Pile-up mitigation is that of the file: its weights are applied unless
    the momenta contain them.
    """
    jets = layout.stored_fatjets(events)
    offsets = offsets_of(ak.to_numpy(ak.num(jets["pt"])))
    records = ak.flatten(jets, axis=1)
    if not layout.has_candidates(events):
        return StoredJets(offsets, records, None)
    constituents = layout.fatjet_constituents(events, _KINEMATIC)
    counts = flat(ak.num(constituents["pt"], axis=2), np.int64)
    method = "none" if layout.momenta_are_weighted(events) else "unchecked"
    candidates = _candidates(ak.flatten(ak.flatten(constituents, axis=1), axis=1), counts, method)
    total = sums(candidates.momenta, candidates.event_offsets)
    pt = np.hypot(total[:, 0], total[:, 1])
    scale = np.divide(ak.to_numpy(records["pt"]), pt, out=np.ones(len(pt)), where=pt > 0)
    p4 = candidates.momenta * scale[candidates.events][:, None]
    first = candidates_before(offsets, counts)
    return StoredJets(
        offsets,
        records,
        replace(candidates, momenta=p4, number=candidates.origin - first[candidates.events]),
    )


def candidates_before(event_offsets: Array, counts: Array) -> Array:
    """Give for each jet the place of the first candidate of its event's first jet."""
    before = offsets_of(counts)
    return np.repeat(before[event_offsets[:-1]], np.diff(event_offsets))


def read_measured(layout: Layout, events: Any, stored: bool) -> dict[str, Array]:
    """Read d0, dz and errors [cm] of all candidates or of those of the stored jets; 0: none."""
    if stored:
        records = ak.flatten(layout.fatjet_constituents(events, _MEASURED), axis=1)
    else:
        records = layout.candidates(events, _MEASURED)
    records = ak.flatten(records, axis=1)
    return {name: np.nan_to_num(ak.to_numpy(records[name]), nan=0.0) for name in _MEASURED}
