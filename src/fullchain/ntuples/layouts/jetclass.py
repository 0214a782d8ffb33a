"""JetClass: one AK8-like jet per entry, with up to 128 Delphes particles and its class.

H. Qu, C. Li, S. Qian, "Particle Transformer for jet tagging", arXiv:2202.03772; files at
doi:10.5281/zenodo.6619768. The names of branches are those of data/JetClass/JetClass_full.yaml and
dataloader.py in the authors' repository jet-universe/particle_transformer.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import Any

import awkward as ak
import numpy as np
from coffea.nanoevents import BaseSchema

from fullchain.ntuples.layouts import detect
from fullchain.ntuples.layouts.base import CANDIDATE_FIELDS, EventWeights, PileUp
from fullchain.ntuples.layouts.jetclass_units import LABELS, MM_TO_CM


class JetClass:
    """Reader of the JetClass ROOT layout, which converted files have too.

    An event is a jet and has no identity but its place.
    """

    signature = detect.JETCLASS
    covers_whole_event = False
    schema = BaseSchema

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
        """Branches always needed."""
        return self.signature.required

    def check(self, path: str, tree: Any, *, is_data: bool = False) -> None:
        """Raise InputError naming the file and the branch that is missing."""
        self.signature.check(path, tree, is_data=is_data)

    def event_ids(self, events: Any) -> ak.Array:
        """Per event a record (run, luminosityBlock, event).

        The file's name gives luminosityBlock and the entry number gives event, so that they are the
        same however the file is cut into chunks. A converted file tells those of its origin.
        """
        if "source_row" in events.fields:
            return ak.zip(
                {
                    "run": np.ones(len(events), np.uint32),
                    "luminosityBlock": ak.to_numpy(events["source_file"]).astype(np.uint32),
                    "event": ak.to_numpy(events["source_row"]).astype(np.uint64),
                }
            )
        metadata = getattr(events, "metadata", None) or {}
        name = str(metadata.get("filename", "")).rsplit("/", 1)[-1]
        first = int(metadata.get("entrystart", 0))
        count = len(events)
        return ak.zip(
            {
                "run": np.ones(count, np.uint32),
                "luminosityBlock": np.full(count, zlib.crc32(name.encode()), np.uint32),
                "event": np.arange(first, first + count, dtype=np.uint64),
            }
        )

    def has_candidates(self, events: Any) -> bool:
        """Whether the file has candidates: always."""
        return True

    def momenta_are_weighted(self, events: Any) -> bool:
        """True: there are no weights to apply."""
        return True

    def candidates(self, events: Any, fields: Collection[str] = CANDIDATE_FIELDS) -> ak.Array:
        """Particles of the jet, (events, var) records with ``fields``."""
        return ak.zip({field: getattr(self, f"_{field}")(events) for field in fields})

    def stored_fatjets(self, events: Any) -> ak.Array:
        """The jet, (events, 1) records with `FATJET_FIELDS`."""
        nothing = ak.full_like(events["jet_pt"], np.nan)
        momentum = events["jet_pt"] * np.cosh(events["jet_eta"])
        mass = np.sqrt(np.maximum(events["jet_energy"] ** 2 - momentum**2, 0))
        energy = events["part_energy"]
        total = ak.sum(energy, axis=1)
        fraction = {
            name: ak.sum(ak.where(events[branch] != 0, energy, 0), axis=1) / total
            for name, branch in _FRACTIONS.items()
        }
        columns = {
            "pt": events["jet_pt"], "eta": events["jet_eta"], "phi": events["jet_phi"],
            "mass": mass, "msoftdrop": _optional(events, "jet_sdmass", nothing),
            **{f"tau{n}": _optional(events, f"jet_tau{n}", nothing) for n in (1, 2, 3, 4)},
            "n2": nothing, "n3": nothing, "n_constituents": ak.num(energy),
            **fraction,
            "raw_factor": ak.zeros_like(nothing), "area": nothing,
            "gen_index": np.full(len(events), -1, np.int32),
            "hadron_flavour": np.full(len(events), -1, np.int32),
        }  # fmt: skip
        return ak.unflatten(ak.zip(columns), 1)

    def fatjet_constituents(
        self, events: Any, fields: Collection[str] = CANDIDATE_FIELDS
    ) -> ak.Array:
        """Particles of the jet, (events, 1, var)."""
        return ak.unflatten(self.candidates(events, fields), 1)

    def gen_particles(self, events: Any) -> ak.Array | None:
        """None: the decay is told by the class, see `stored_labels`."""
        return None

    def gen_candidates(self, events: Any) -> ak.Array | None:
        """None: not stored."""
        return None

    def gen_fatjets(self, events: Any) -> ak.Array | None:
        """None: not stored."""
        return None

    def weights(self, events: Any) -> EventWeights:
        """All 1."""
        return EventWeights(np.ones(len(events)))

    def pileup(self, events: Any) -> PileUp:
        """No pile-up: zero further interactions, one vertex."""
        return PileUp(np.zeros(len(events), np.float32), np.ones(len(events), np.float32))

    def met(self, events: Any) -> ak.Array | None:
        """None: not stored."""
        return None

    def muons(self, events: Any) -> ak.Array | None:
        """None: not stored."""
        return None

    def stored_labels(self, events: Any) -> ak.Array | None:
        """Label of the jet from the class branches, (events, 1) int8; -1 where none is set."""
        label = np.full(len(events), -1, np.int8)
        for branch, value in LABELS.items():
            if branch in events.fields:
                label[ak.to_numpy(events[branch]) != 0] = value
        return ak.unflatten(label, 1)

    def _pt(self, events: Any) -> ak.Array:
        return np.hypot(events["part_px"], events["part_py"])

    def _eta(self, events: Any) -> ak.Array:
        return np.arcsinh(events["part_pz"] / self._pt(events))

    def _phi(self, events: Any) -> ak.Array:
        return np.arctan2(events["part_py"], events["part_px"])

    def _mass(self, events: Any) -> ak.Array:
        momentum2 = sum(ak.values_astype(events[f"part_p{x}"], np.float64) ** 2 for x in "xyz")
        mass2 = ak.values_astype(events["part_energy"], np.float64) ** 2 - momentum2
        return ak.values_astype(np.sqrt(np.maximum(mass2, 0)), np.float32)

    def _charge(self, events: Any) -> ak.Array:
        return ak.values_astype(events["part_charge"], np.int8)

    def _pdgId(self, events: Any) -> ak.Array:
        charge = ak.values_astype(self._charge(events), np.int32)
        code = ak.zeros_like(charge)
        for branch, value in (
            ("part_isChargedHadron", 211 * charge),
            ("part_isNeutralHadron", ak.full_like(charge, 130)),
            ("part_isPhoton", ak.full_like(charge, 22)),
            ("part_isElectron", -11 * charge),
            ("part_isMuon", -13 * charge),
        ):
            code = ak.where(events[branch] != 0, value, code)
        return code

    def _d0(self, events: Any) -> ak.Array:
        return self._tracked(events, "part_d0val")

    def _d0_err(self, events: Any) -> ak.Array:
        return self._tracked(events, "part_d0err")

    def _dz(self, events: Any) -> ak.Array:
        return self._tracked(events, "part_dzval")

    def _dz_err(self, events: Any) -> ak.Array:
        return self._tracked(events, "part_dzerr")

    def _puppi_weight(self, events: Any) -> ak.Array:
        return ak.ones_like(events["part_px"], dtype=np.float32)

    def _from_pv(self, events: Any) -> ak.Array:
        return ak.full_like(events["part_px"], 3, dtype=np.int8)

    def _pv_assoc(self, events: Any) -> ak.Array:
        return ak.full_like(events["part_px"], 7, dtype=np.int8)

    def _tracked(self, events: Any, branch: str) -> ak.Array:
        if branch not in events.fields:
            return ak.full_like(events["part_px"], np.nan, dtype=np.float32)
        column = events[branch] * np.float32(MM_TO_CM)
        return ak.where(self._charge(events) == 0, np.float32(np.nan), column)


_FRACTIONS = {
    "chf": "part_isChargedHadron",
    "nhf": "part_isNeutralHadron",
    "phf": "part_isPhoton",
    "elf": "part_isElectron",
    "muf": "part_isMuon",
}


def _optional(events: Any, branch: str, default: ak.Array) -> ak.Array:
    return events[branch] if branch in events.fields else default
