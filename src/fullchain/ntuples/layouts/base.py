"""What every layout reader offers: one vocabulary for CMS NanoAOD, PFNano, JetClass and ours.

Units are GeV, cm and radians throughout. Events are arrays as coffea's NanoEvents gives them with
the reader's `schema`, virtual or not; columns are read when they are used.

A candidate has the fields `CANDIDATE_FIELDS`:

========== ==============================================================================
pt ... mass four-momentum before any pile-up weight [GeV]
charge     electric charge, int8
pdgId      particle-flow class: +-211, 130, 22, +-11, +-13, 1 and 2 (hadronic, electromagnetic HF)
d0, d0_err transverse impact parameter and its error [cm]; NaN for what has no track
dz, dz_err longitudinal impact parameter and its error [cm]; NaN for what has no track
puppi_weight  weight to apply to the four-momentum; 1 where the layout has none
from_pv    3 used in the fit of the primary vertex, 2 tight, 1 loose, 0 of another vertex;
           neutral candidates have 3, as in CMS MiniAOD
pv_assoc   quality of the vertex association, 0 to 7 as in CMS MiniAOD; 7 where unknown
========== ==============================================================================
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

import awkward as ak
import numpy as np

from fullchain.errors import InputError

CANDIDATE_FIELDS = (
    "pt", "eta", "phi", "mass", "charge", "pdgId",
    "d0", "d0_err", "dz", "dz_err", "puppi_weight", "from_pv", "pv_assoc",
)  # fmt: skip

FATJET_FIELDS = (
    "pt", "eta", "phi", "mass", "msoftdrop", "tau1", "tau2", "tau3", "tau4", "n2", "n3",
    "n_constituents", "chf", "nhf", "phf", "elf", "muf", "raw_factor", "area",
    "gen_index", "hadron_flavour",
)  # fmt: skip


@dataclass(frozen=True)
class EventWeights:
    """Weights of each event, 1d arrays of length events.

    ``generator`` is the generator's weight (1 for recorded data). The shower variations are factors
    relative to it, None where the file has none; "up" is the variation of larger emission rate
    (CMS order of PSWeight).
    """

    generator: np.ndarray
    isr_up: np.ndarray | None = None
    isr_down: np.ndarray | None = None
    fsr_up: np.ndarray | None = None
    fsr_down: np.ndarray | None = None


@dataclass(frozen=True)
class PileUp:
    """Pile-up of each event; None where the file does not say."""

    true_interactions: np.ndarray | None
    vertices: np.ndarray | None
    rho: np.ndarray | None = None


class Layout(Protocol):
    """Reader of one layout. All methods take NanoEvents of one chunk and are pure."""

    @property
    def name(self) -> str:
        """Name in the configuration."""
        ...

    @property
    def tree(self) -> str:
        """Default name of the tree."""
        ...

    @property
    def schema(self) -> Any:
        """Schema class for coffea's NanoEvents."""
        ...

    @property
    def required(self) -> tuple[tuple[str, ...], ...]:
        """Branches always needed; each entry lists the names one branch has had."""
        ...

    @property
    def covers_whole_event(self) -> bool:
        """Whether `candidates` are those of the whole event, and not only those of AK8 jets."""
        ...

    def check(self, path: str, tree: Any, *, is_data: bool = False) -> None:
        """Raise InputError naming the file and the branch that is missing."""
        ...

    def event_ids(self, events: Any) -> ak.Array:
        """Per event a record (run, luminosityBlock, event)."""
        ...

    def has_candidates(self, events: Any) -> bool:
        """Whether the file has candidates at all; if not, only `stored_fatjets` is of use."""
        ...

    def momenta_are_weighted(self, events: Any) -> bool:
        """Whether the momenta of the candidates contain the pile-up weight already."""
        ...

    def candidates(self, events: Any, fields: Collection[str] = CANDIDATE_FIELDS) -> ak.Array:
        """Candidates, (events, var) records with ``fields``; see the module's table."""
        ...

    def stored_fatjets(self, events: Any) -> ak.Array:
        """AK8 jets of the file, (events, var) records with `FATJET_FIELDS`; NaN or -1: unknown."""
        ...

    def fatjet_constituents(
        self, events: Any, fields: Collection[str] = CANDIDATE_FIELDS
    ) -> ak.Array:
        """Candidates of each stored AK8 jet, (events, jets, var); empty where none were kept."""
        ...

    def gen_particles(self, events: Any) -> ak.Array | None:
        """Generator particles (pt, eta, phi, mass, pdgId, status, statusFlags, mother), or None."""
        ...

    def gen_candidates(self, events: Any) -> ak.Array | None:
        """Stable generator particles (pt, eta, phi, mass, charge, pdgId), or None."""
        ...

    def gen_fatjets(self, events: Any) -> ak.Array | None:
        """Particle-level AK8 jets (pt, eta, phi, mass; constituents where linked), or None."""
        ...

    def weights(self, events: Any) -> EventWeights:
        """Weights of the events."""
        ...

    def pileup(self, events: Any) -> PileUp:
        """Pile-up of the events."""
        ...

    def met(self, events: Any) -> ak.Array | None:
        """Missing transverse momentum (pt, phi), or None."""
        ...

    def muons(self, events: Any) -> ak.Array | None:
        """Muons (pt, eta, phi, mass, charge, isolation, tight_id), or None."""
        ...

    def stored_labels(self, events: Any) -> ak.Array | None:
        """Truth label of each stored AK8 jet where the file itself has one, else None.

        (events, var) int8 in the project's numbering: 0 gluon or unspecified QCD, 3 W, 4 Z, 5 top,
        6 Higgs, -1 other.
        """
        ...


def take_by_index(items: ak.Array, index: ak.Array) -> ak.Array:
    """``items[index]`` event by event, for an index that points within the event.

    Raises
    ------
    InputError
        When an index points outside its event's list: the link table is of another collection.
    """
    if ak.any(index >= ak.num(items)) or ak.any(index < 0):
        raise InputError(
            "A link table points to candidates that do not exist; the file mixes collections."
        )
    return items[index]


def group_by_parent(items: ak.Array, parent: ak.Array, number_of_parents: ak.Array) -> ak.Array:
    """Regroup per-event lists by the parent of each item.

    Parameters
    ----------
    items
        (events, var) anything.
    parent
        (events, var) index of the parent within the event; items with an index outside the range
        belong to parents that were not kept, and are dropped.
    number_of_parents
        (events,) number of parents.

    Returns
    -------
    ak.Array
        (events, parents, var); the order of items within a parent is kept.
    """
    kept = (parent >= 0) & (parent < number_of_parents)
    parent, items = parent[kept], items[kept]
    order = ak.argsort(parent, axis=1, stable=True)
    parent, items = parent[order], items[order]
    parents = ak.to_numpy(number_of_parents).astype(np.int64)
    first = np.cumsum(parents) - parents
    key = ak.to_numpy(ak.flatten(parent)).astype(np.int64)
    key += np.repeat(first, ak.to_numpy(ak.num(parent)))
    counts = np.bincount(key, minlength=int(parents.sum()))
    per_parent = ak.unflatten(ak.flatten(items, axis=1), counts)
    return ak.unflatten(per_parent, parents)
