"""CMS NanoAOD, versions 9 to 15, with or without constituents of the AK8 jets.

Names moved over the versions (PFCands became PFCand, MET became PFMET, rho moved into a table of
its own, ...): each is looked up under all the names it has had, here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import awkward as ak
import numpy as np
from coffea.nanoevents import NanoAODSchema

from fullchain.errors import InputError
from fullchain.ntuples.layouts import detect
from fullchain.ntuples.layouts.base import (
    CANDIDATE_FIELDS,
    EventWeights,
    PileUp,
    group_by_parent,
    take_by_index,
)

ASSOCIATED_DZ = 0.1
"""Largest |dz| [cm] of a track of the primary vertex where the file does not say more."""

_DOWN_FIRST = "[0] is ISR=0.5"
_CHARGE_OF_PDGID = {11: -1, 13: -1, 211: 1}
_FATJET_FLOATS: dict[str, tuple[str, ...]] = {
    "pt": ("pt",), "eta": ("eta",), "phi": ("phi",), "mass": ("mass",),
    "msoftdrop": ("msoftdrop",),
    "tau1": ("tau1",), "tau2": ("tau2",), "tau3": ("tau3",), "tau4": ("tau4",),
    "n2": ("n2b1",), "n3": ("n3b1",),
    "chf": ("chHEF",), "nhf": ("neHEF",), "phf": ("neEmEF",), "elf": ("chEmEF",), "muf": ("muEF",),
    "area": ("area",),
}  # fmt: skip
# What CMS did not compute is -99999 (N2 and N3 of jets without the value in MiniAOD) or -1 (seen in
# real files: N2, N3 and soft-drop mass).
_NEVER_NEGATIVE = ("msoftdrop", "tau1", "tau2", "tau3", "tau4", "n2", "n3")
_FATJET_INTEGERS: dict[str, tuple[str, ...]] = {
    "n_constituents": ("nConstituents",),
    "gen_index": ("genJetAK8Idx",),
    "hadron_flavour": ("hadronFlavour",),
}


_TYPES = {
    name: np.int32
    for name in ("pdgId", "status", "statusFlags", "mother", *_FATJET_INTEGERS)
} | {"charge": np.int8}  # fmt: skip


class FullchainNanoSchema(NanoAODSchema):
    """coffea's NanoAOD schema, quiet about what a file lacks, and true to what it has.

    coffea replaces columns such as the photon's mass by zeros even where the file has them.
    """

    warn_missing_crossrefs = False

    def __init__(self, base_form: dict[str, Any], version: str = "latest") -> None:
        there = set(base_form["fields"])
        self.full_like_items = {
            name: filled
            for name, filled in NanoAODSchema.full_like_items.items()
            if name not in there
        }
        super().__init__(base_form, version)


class NanoAOD:
    """Reader of CMS NanoAOD.

    Where constituents exist they are those of the AK8 jets. In v15 (PFCand) their momenta already
    contain the PUPPI weight: summed, they give the uncorrected jet within 0.3 %; jets of
    |eta| > 2.5 have none there. In PFNano with the constituents only (PFCands) the weight is a
    column of its own, as it is with all candidates.
    """

    signature = detect.NANOAOD
    covers_whole_event = False
    schema = FullchainNanoSchema

    @property
    def name(self) -> str:
        """Name in the configuration."""
        return self.signature.name

    @property
    def tree(self) -> str:
        """Default name of the tree."""
        return self.signature.tree

    @property
    def required(self) -> tuple[tuple[str, ...], ...]:
        """Branches always needed; each entry lists the names one branch has had."""
        return self.signature.required

    def check(self, path: str, tree: Any, *, is_data: bool = False) -> None:
        """Raise InputError naming the file and the branch that is missing."""
        self.signature.check(path, tree, is_data=is_data)

    def event_ids(self, events: Any) -> ak.Array:
        """Per event a record (run, luminosityBlock, event)."""
        return _records({name: events[name] for name in ("run", "luminosityBlock", "event")})

    def has_candidates(self, events: Any) -> bool:
        """Whether the file has candidates at all."""
        return _first(events, detect.CANDIDATE_COLLECTIONS) is not None

    def momenta_are_weighted(self, events: Any) -> bool:
        """Whether the momenta contain the PUPPI weight: where this is not a column of its own."""
        source = _need(events, detect.CANDIDATE_COLLECTIONS, "particle-flow candidates")
        return "puppiWeight" not in source.fields

    def candidates(self, events: Any, fields: Collection[str] = CANDIDATE_FIELDS) -> ak.Array:
        """Candidates, (events, var) records with ``fields``; defaults as in `base`."""
        source = _need(events, detect.CANDIDATE_COLLECTIONS, "particle-flow candidates")
        columns = {field: getattr(self, f"_{field}", _copy(field))(source) for field in fields}
        return _records(columns)

    def stored_fatjets(self, events: Any) -> ak.Array:
        """AK8 jets of the file, (events, var) records with `FATJET_FIELDS`."""
        jets = _need(events, ("FatJet",), "AK8 jets")
        columns = {}
        for field, names in _FATJET_FLOATS.items():
            columns[field] = _column(jets, names, np.float32(np.nan))
        for field in _NEVER_NEGATIVE:
            columns[field] = _known(columns[field])
        # Jets of a file without this branch are not corrected.
        columns["raw_factor"] = _column(jets, ("rawFactor",), np.float32(0))
        for field, names in _FATJET_INTEGERS.items():
            columns[field] = _column(jets, names, np.int32(-1))
        known = any(name in jets.fields for name in _FATJET_INTEGERS["n_constituents"])
        if not known and self._links(events) is not None:
            columns["n_constituents"] = ak.num(self.fatjet_constituents(events, ["pt"]), axis=2)
        return _records(columns)

    def fatjet_constituents(
        self, events: Any, fields: Collection[str] = CANDIDATE_FIELDS
    ) -> ak.Array:
        """Candidates of each stored AK8 jet, (events, jets, var), by the link table of the file."""
        links = self._links(events)
        if links is None:
            raise InputError(
                "The file has no table FatJetPFCands or FatJetPFCand, which says which candidates "
                "make up an AK8 jet."
            )
        index, parent = links
        items = take_by_index(self.candidates(events, fields), index)
        return group_by_parent(items, parent, ak.num(events["FatJet"]))

    def gen_particles(self, events: Any) -> ak.Array | None:
        """Generator particles (pt, eta, phi, mass, pdgId, status, statusFlags, mother), or None."""
        source = _first(events, ("GenPart",))
        if source is None:
            return None
        columns = {f: source[f] for f in ("pt", "eta", "phi", "mass", "pdgId")}
        columns["status"] = _column(source, ("status",), np.int32(0))
        columns["statusFlags"] = _column(source, ("statusFlags",), np.int32(0))
        columns["mother"] = source["genPartIdxMother"]
        return _records(columns)

    def gen_candidates(self, events: Any) -> ak.Array | None:
        """Stable generator particles (pt, eta, phi, mass, charge, pdgId), or None."""
        source = _first(events, ("GenCands",))
        if source is None:
            return None
        fields = ("pt", "eta", "phi", "mass", "charge", "pdgId")
        return _records({field: source[field] for field in fields})

    def gen_fatjets(self, events: Any) -> ak.Array | None:
        """Particle-level AK8 jets (pt, eta, phi, mass; constituents where linked), or None."""
        source = _first(events, ("GenJetAK8",))
        if source is None:
            return None
        columns = {field: source[field] for field in ("pt", "eta", "phi", "mass")}
        columns["msoftdrop"] = _column(source, ("msoftdrop",), np.float32(np.nan))
        jets = _records(columns)
        links = _first(events, ("GenFatJetCands",))
        particles = self.gen_candidates(events)
        if links is None or particles is None:
            return jets
        items = take_by_index(particles, links["pFCandsIdx"])
        constituents = group_by_parent(items, links["jetIdx"], ak.num(source))
        return ak.with_field(jets, constituents, "constituents")

    def weights(self, events: Any) -> EventWeights:
        """Weights of the events.

        CMS orders PSWeight as ISR up, FSR up, ISR down, FSR down, relative to the nominal weight,
        except in old files, whose branch title begins the list with ISR=0.5: down comes first.
        Any other number of entries (1: a dummy; more: all of the generator's) is not interpreted.
        """
        if "genWeight" not in events.fields:
            return EventWeights(np.ones(len(events)))
        generator = ak.to_numpy(events["genWeight"]).astype(np.float64)
        if "PSWeight" not in events.fields or len(events) == 0:
            return EventWeights(generator)
        shower = events["PSWeight"]
        if not ak.all(ak.num(shower) == 4):
            return EventWeights(generator)
        table = ak.to_numpy(ak.to_regular(shower, axis=1)).astype(np.float64)
        if _DOWN_FIRST in _title(shower):
            table = table[:, [2, 3, 0, 1]]
        return EventWeights(generator, table[:, 0], table[:, 2], table[:, 1], table[:, 3])

    def pileup(self, events: Any) -> PileUp:
        """Pile-up of the events: true mean interactions, vertices, median energy density."""
        rho = _field_of(events, "Rho", "fixedGridRhoFastjetAll")
        if rho is None:
            rho = _plain(events, "fixedGridRhoFastjetAll")
        return PileUp(
            true_interactions=_field_of(events, "Pileup", "nTrueInt"),
            vertices=_field_of(events, "PV", "npvs"),
            rho=rho,
        )

    def met(self, events: Any) -> ak.Array | None:
        """Missing transverse momentum (pt, phi) from all candidates, corrected; PUPPI if none."""
        source = _first(events, ("PFMET", "MET", "PuppiMET"))
        return None if source is None else _records({f: source[f] for f in ("pt", "phi")})

    def muons(self, events: Any) -> ak.Array | None:
        """Muons (pt, eta, phi, mass, charge, isolation, tight_id), or None.

        ``isolation`` is the relative particle-flow isolation in a cone of 0.4.
        """
        source = _first(events, ("Muon",))
        if source is None:
            return None
        columns = {field: source[field] for field in ("pt", "eta", "phi", "mass", "charge")}
        columns["isolation"] = _column(source, ("pfRelIso04_all",), np.float32(0))
        columns["tight_id"] = _column(source, ("tightId",), np.True_)
        return _records(columns)

    def stored_labels(self, events: Any) -> ak.Array | None:
        """None: NanoAOD has no jet label of its own; match with `gen_particles`."""
        return None

    def _links(self, events: Any) -> tuple[ak.Array, ak.Array] | None:
        """(index of the candidate, index of the jet) of each link between AK8 jet and candidate."""
        for table, name in detect.AK8_LINK_TABLES:
            if table in events.fields:
                links = events[table]
                valid = links[name] >= 0
                return links[name][valid], links["jetIdx"][valid]
        return None

    def _charge(self, source: ak.Array) -> ak.Array:
        if "charge" in source.fields:
            return ak.values_astype(source["charge"], np.int8)
        return charge_of(source["pdgId"])

    def _d0(self, source: ak.Array) -> ak.Array:
        return self._of_track(source, "d0", "d0Err")

    def _dz(self, source: ak.Array) -> ak.Array:
        return self._of_track(source, "dz", "dzErr")

    def _d0_err(self, source: ak.Array) -> ak.Array:
        return self._of_track(source, "d0Err", "d0Err")

    def _dz_err(self, source: ak.Array) -> ak.Array:
        return self._of_track(source, "dzErr", "dzErr")

    def _puppi_weight(self, source: ak.Array) -> ak.Array:
        return _column(source, ("puppiWeight",), np.float32(1))

    def _pv_assoc(self, source: ak.Array) -> ak.Array:
        return ak.values_astype(_column(source, ("pvAssocQuality",), np.int8(7)), np.int8)

    def _from_pv(self, source: ak.Array) -> ak.Array:
        """Vertex association, 0 to 3.

        PFNano keeps only the quality of the association and not the vertex. PUPPI gives a charged
        candidate the weight 1 if it belongs to the primary vertex and 0 if to another, so the
        weight tells; without it, |dz| does.
        """
        if "fromPV" in source.fields:
            return ak.values_astype(source["fromPV"], np.int8)
        neutral = self._charge(source) == 0
        if "puppiWeight" in source.fields:
            associated = source["puppiWeight"] > 0.5
        elif "dz" in source.fields:
            associated = abs(source["dz"]) < ASSOCIATED_DZ
        else:
            associated = ak.full_like(neutral, True)
        grade = ak.where(self._pv_assoc(source) == 7, np.int8(3), np.int8(2))
        return ak.values_astype(ak.where(neutral, 3, ak.where(associated, grade, 0)), np.int8)

    def _of_track(self, source: ak.Array, name: str, error: str) -> ak.Array:
        """A column that a track alone has: NaN for neutral candidates and where CMS wrote -1.

        CMS keeps the details of tracks above about 0.5 GeV; of others, value and error are -1.
        """
        column = _column(source, (name,), np.float32(np.nan))
        if name not in source.fields:
            return column
        absent = self._charge(source) == 0
        if error in source.fields:
            absent = absent | (source[error] < 0)
        return ak.where(absent, np.float32(np.nan), column)


def charge_of(pdg_id: ak.Array) -> ak.Array:
    """Electric charge of particle-flow candidates, int8, from their class."""
    size = abs(pdg_id)
    charge = ak.zeros_like(pdg_id)
    for code, value in _CHARGE_OF_PDGID.items():
        charge = ak.where(size == code, value * np.sign(pdg_id), charge)
    return ak.values_astype(charge, np.int8)


def _copy(name: str) -> Any:
    return lambda source: source[name]


def _records(columns: dict[str, ak.Array]) -> ak.Array:
    """Zip columns to records, in the project's types and without the file's notes on branches."""
    typed = {
        name: ak.values_astype(column, _TYPES[name]) if name in _TYPES else column
        for name, column in columns.items()
    }
    return ak.zip({name: ak.without_parameters(column) for name, column in typed.items()})


def _first(events: Any, names: Collection[str]) -> Any:
    return next((events[name] for name in names if name in events.fields), None)


def _need(events: Any, names: Collection[str], what: str) -> Any:
    found = _first(events, names)
    if found is None:
        raise InputError(f"The file has no {what} (collection {' or '.join(names)}).")
    return found


def _title(column: ak.Array) -> str:
    """Title of a branch, empty where the file has none."""
    return str(column.layout.purelist_parameter("__doc__") or "")


def _known(column: ak.Array) -> ak.Array:
    """NaN where a quantity that is never negative says by its sign that it is not known.

    A mass a little below zero is zero, rounded.
    """
    return ak.where(column < -0.5, np.float32(np.nan), np.maximum(column, np.float32(0)))


def _column(source: Any, names: tuple[str, ...], default: Any) -> ak.Array:
    """The first of ``names`` that ``source`` has, else ``default`` in its shape."""
    for name in names:
        if name in source.fields:
            return source[name]
    return ak.full_like(source[source.fields[0]], default, dtype=np.asarray(default).dtype)


def _field_of(events: Any, table: str, field: str) -> np.ndarray | None:
    if table not in events.fields or field not in events[table].fields:
        return None
    return ak.to_numpy(events[table][field]).astype(np.float32)


def _plain(events: Any, name: str) -> np.ndarray | None:
    return ak.to_numpy(events[name]).astype(np.float32) if name in events.fields else None
