"""Which layout a ROOT file has, and whether the branches that the layout needs are there.

Kept apart from the readers, so that a change of how a column is read does not repeat the ingestion
of every file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import uproot

from fullchain.errors import InputError

SAMPLED_EVENTS = 50
CANDIDATE_COLLECTIONS = ("PFCands", "PFCand")
# Which candidates make up a jet: tables with the name of the index of the candidate. Names of
# PFNano, of NanoAOD v15, and of early PFNano (AK8 and AK4 in the name).
AK8_LINK_TABLES = (
    ("FatJetPFCands", "pFCandsIdx"),
    ("FatJetPFCand", "pfCandIdx"),
    ("JetPFCandsAK8", "candIdx"),
)
LINK_TABLES = (
    *AK8_LINK_TABLES,
    ("JetPFCands", "pFCandsIdx"),
    ("JetPFCand", "pfCandIdx"),
    ("JetPFCandsAK4", "candIdx"),
)


@dataclass(frozen=True)
class Signature:
    """What tells a layout apart and what it cannot do without.

    ``required`` has one entry per needed quantity: the names that the branch has had, of which one
    must be there. ``required_of_simulation`` is needed too unless the file is recorded data.
    """

    name: str
    title: str
    tree: str
    required: tuple[tuple[str, ...], ...]
    required_of_simulation: tuple[tuple[str, ...], ...] = ()
    sums_of_weights: tuple[str, ...] = ()
    event_weight: str | None = None

    def missing(self, branches: Iterable[str], *, is_data: bool = False) -> list[str]:
        """Needed branches that are not among ``branches``, as "a" or "a or b"."""
        there = set(branches)
        needed = self.required if is_data else self.required + self.required_of_simulation
        return [" or ".join(names) for names in needed if there.isdisjoint(names)]

    def check(self, path: str, tree: Any, *, is_data: bool = False) -> None:
        """Raise InputError naming file and branch unless ``tree`` has what the layout needs."""
        missing = self.missing(tree.keys(), is_data=is_data)
        if not missing:
            return
        weight = self.event_weight
        hint = (
            f" If these are recorded data, set is_data: true (then {weight} is not needed)."
            if not is_data and any(weight in names.split(" or ") for names in missing)
            else ""
        )
        plural = "es" if len(missing) > 1 else ""
        raise InputError(
            f"{path}: tree '{tree.name}' lacks the branch{plural} {', '.join(missing)}, "
            f"needed by the layout {self.name} ({self.title}).{hint}"
        )


_EVENT_ID = (("run",), ("luminosityBlock",), ("event",))
_FATJET = (("FatJet_pt",), ("FatJet_eta",), ("FatJet_phi",), ("FatJet_mass",))
_CANDIDATES = tuple(
    tuple(f"{collection}_{field}" for collection in CANDIDATE_COLLECTIONS)
    for field in ("pt", "eta", "phi", "mass", "pdgId")
)
_SUMS = ("genEventSumw", "genEventSumw_")

NANOAOD = Signature(
    name="nanoaod",
    title="CMS NanoAOD; candidates, where present, are those of the jets",
    tree="Events",
    required=_EVENT_ID + _FATJET,
    required_of_simulation=(("genWeight",),),
    sums_of_weights=_SUMS,
    event_weight="genWeight",
)
PFNANO = Signature(
    name="pfnano",
    title="NanoAOD with the particle-flow candidates of the whole event",
    tree="Events",
    required=_EVENT_ID + _CANDIDATES,
    required_of_simulation=(("genWeight",),),
    sums_of_weights=_SUMS,
    event_weight="genWeight",
)
JETCLASS = Signature(
    name="jetclass",
    title="JetClass, one jet per entry",
    tree="tree",
    required=tuple(
        (name,)
        for name in (
            "part_px", "part_py", "part_pz", "part_energy", "part_charge",
            "part_isChargedHadron", "part_isNeutralHadron", "part_isPhoton",
            "part_isElectron", "part_isMuon", "jet_pt", "jet_eta", "jet_phi", "jet_energy",
        )
    ),
)  # fmt: skip
SIGNATURES: dict[str, Signature] = {s.name: s for s in (NANOAOD, PFNANO, JETCLASS)}


def get_signature(name: str) -> Signature:
    """Signature of the layout ``name``; InputError names the known ones."""
    try:
        return SIGNATURES[name]
    except KeyError:
        known = ", ".join(SIGNATURES)
        raise InputError(f"Unknown layout '{name}'; known layouts are {known}.") from None


def detect_layout(file: Any, tree: str | None = None) -> str:
    """Name of the layout of a ROOT file.

    Parameters
    ----------
    file
        A path, a URL, or an open ``uproot`` directory.
    tree
        Name of the tree to look at; None: the trees of the known layouts.

    Raises
    ------
    InputError
        When no known layout fits; says which trees and branches are there.
    """
    if not hasattr(file, "classnames"):
        with uproot.open(file) as opened:
            return detect_layout(opened, tree)
    trees = tree_names(file)
    for name in [tree] if tree else ["Events", "tree"]:
        if name in trees:
            found = _layout_of_tree(file[name])
            if found is not None:
                return found
    found_trees = describe_trees(file)
    branches = f", with branches {_some(file[trees[0]].keys())}" if trees else ""
    raise InputError(
        f"{file.file.file_path}: no known layout fits (known: {', '.join(SIGNATURES)}). "
        f"Trees: {found_trees}{branches}. "
        "Set 'layout' and 'tree' of the sample, or see docs/stages/ingest.md on adding a layout."
    )


def tree_names(file: Any) -> list[str]:
    """Names of the TTrees at the top of an open ROOT file, without cycle numbers."""
    return list(
        dict.fromkeys(
            name.split(";")[0]
            for name, kind in file.classnames(recursive=False).items()
            if kind == "TTree"
        )
    )


def describe_trees(file: Any) -> str:
    """Trees of an open ROOT file in words, for messages."""
    columns = [
        name.split(";")[0]
        for name, kind in file.classnames(recursive=False).items()
        if kind == "ROOT::RNTuple"
    ]
    text = ", ".join(tree_names(file)) or "none (not an ntuple, or damaged)"
    for name in columns:
        text += f"; {name} is an RNTuple, which is not read yet: convert it to a TTree"
    return text


def _layout_of_tree(tree: Any) -> str | None:
    branches = tree.keys()
    if not JETCLASS.missing(branches):
        return JETCLASS.name
    if not PFNANO.missing(branches, is_data=True) and has_whole_event(tree):
        return PFNANO.name
    if not NANOAOD.missing(branches, is_data=True):
        return NANOAOD.name
    return None


def has_whole_event(tree: Any) -> bool:
    """Whether candidates exist that belong to no jet, in the first events of ``tree``.

    NanoAOD v15 and PFNano productions with jet constituents only have the same branches as those
    with all candidates; what differs is that every candidate is some jet's.
    """
    branches = set(tree.keys())
    candidates = next((c for c in CANDIDATE_COLLECTIONS if f"{c}_pt" in branches), None)
    if candidates is None:
        return False
    links = [f"{table}_{index}" for table, index in LINK_TABLES if f"{table}_{index}" in branches]
    if not links:
        return True
    arrays = tree.arrays([f"{candidates}_pt", *links], entry_stop=SAMPLED_EVENTS)
    total = ak.num(arrays[f"{candidates}_pt"])
    first = np.cumsum(ak.to_numpy(total)) - ak.to_numpy(total)
    linked = np.unique(np.concatenate([_global(arrays[name], first) for name in links]))
    return bool(len(linked) < ak.sum(total))


def _global(local: ak.Array, first: np.ndarray) -> np.ndarray:
    """Indices counted from the first event instead of within each; negative ones are dropped."""
    starts = np.repeat(first, ak.to_numpy(ak.num(local)))
    flat = ak.to_numpy(ak.flatten(local)).astype(np.int64)
    return (flat + starts)[flat >= 0]


def _some(names: Sequence[str], limit: int = 8) -> str:
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
