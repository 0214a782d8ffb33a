"""Reading the candidates of a part of a sample, some events at a time."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from coffea.nanoevents import NanoEventsFactory
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.jets.arrays import flat, offsets_of
from fullchain.ntuples.copies import opened_file
from fullchain.ntuples.inspection import failures_named, open_options
from fullchain.ntuples.layouts.base import Layout
from fullchain.ntuples.layouts.registry import get_layout
from fullchain.ntuples.manifests import PartManifest, SourceFile, read_part, resolve
from fullchain.ntuples.sources import Source, first_answer
from fullchain.pileup.events import Events, Objects, Truth

Array = NDArray[Any]

_CANDIDATE = (
    "pt", "eta", "phi", "mass", "charge", "pdgId", "dz", "puppi_weight", "from_pv",
)  # fmt: skip
_ASSOCIATIONS = ("fromPV", "puppiWeight", "dz")
_COLLECTIONS = ("PFCands", "PFCand")


@dataclass(frozen=True)
class Chunk:
    """Some events; `file` is the place of their file in the part, `first` their first entry.

    `further` is what was read besides, None if nothing was asked for.
    """

    file: int
    first: int
    events: Events
    further: Any = None


def covers_whole_event(part: PartManifest) -> bool:
    """Tell whether the files have the candidates of the whole event, as weights need them."""
    return get_layout(part.layout).covers_whole_event


def read_chunks(
    manifest: Path,
    *,
    events_per_chunk: int,
    max_events: int | None = None,
    truth: bool = False,
    further: Callable[[Layout, Any, Events], Any] | None = None,
) -> Iterator[Chunk]:
    """Read the candidates of a part.

    Parameters
    ----------
    manifest
        Part manifest, as `fullchain.ntuples.manifests` writes it.
    max_events
        Read no more than these.
    truth
        Read the truth of generated samples, too.
    further
        Called with layout, NanoEvents and events of each chunk, for what else is to be read.

    Raises
    ------
    InputError
        A file is missing, damaged or not what the manifest says; it has the candidates of its jets
        only, or no association of tracks with vertices; or no truth, if that is asked for.
    """
    part = read_part(manifest)
    layout = get_layout(part.layout)
    left = part.events if max_events is None else min(max_events, part.events)
    for number, entry in enumerate(part.good):
        if left <= 0:
            return
        places = tuple(resolve(part, manifest, p) for p in (entry.path, *entry.replicas))
        stop = min(entry.events, left)
        left -= stop
        read = _Reader(part, layout, entry, truth, further)
        for first in range(0, stop, events_per_chunk):
            window = first, min(first + events_per_chunk, stop)
            path, (events, besides) = first_answer(
                Source(places),
                partial(read, window=window),
                retries=part.retries,
                report=lambda line: print(line, file=sys.stderr),
            )
            # what failed once is not asked again for each chunk that follows
            places = places[places.index(path) :]
            yield Chunk(number, first, events, besides)


@dataclass
class _Reader:
    """Reads chunks of one file from any of its replicas, each of which it first inspects."""

    part: PartManifest
    layout: Layout
    entry: SourceFile
    truth: bool
    further: Callable[[Layout, Any, Events], Any] | None
    inspected: str | None = None
    place: str = ""

    def __call__(self, path: str, window: tuple[int, int]) -> tuple[Events, Any]:
        """Read the entries of a window, (first, end)."""
        with failures_named(path):
            if path != self.inspected:
                self.place = _inspect(path, self.entry, self.part, self.layout)
                self.inspected = path
            try:
                raw = _open(self.place, self.entry.tree, *window, self.layout, self.part.timeout)
                events = _events(self.layout, raw, self.truth)
                return events, self.further(self.layout, raw, events) if self.further else None
            except InputError as problem:
                raise InputError(f"{path}: {problem}") from None


def _inspect(path: str, entry: SourceFile, part: PartManifest, layout: Layout) -> str:
    """Raise InputError unless the file is there and has what is needed; give where to read it."""
    tree = entry.tree
    with opened_file(path, part.timeout, entry.checksum) as (place, file):
        if tree not in file:
            raise InputError(f"{path}: has no tree '{tree}'")
        layout.check(path, file[tree], is_data=part.is_data)
        if not layout.covers_whole_event:
            raise InputError(
                f"{path}: has the candidates of its jets only (layout {layout.name}); pile-up "
                "weights need those of the whole event"
            )
        branches = set(file[tree].keys())
        if not any(f"{c}_{name}" in branches for c in _COLLECTIONS for name in _ASSOCIATIONS):
            raise InputError(
                f"{path}: no association of tracks with vertices; one of the branches "
                f"{', '.join(f'PFCands_{name}' for name in _ASSOCIATIONS)} is needed"
            )
    return place


def _open(path: str, tree: str, first: int, last: int, layout: Layout, timeout: float) -> Any:
    return NanoEventsFactory.from_root(
        {path: tree},
        mode="virtual",
        entry_start=first,
        entry_stop=last,
        schemaclass=layout.schema,
        uproot_options=open_options(path, timeout),
    ).events()


def _events(layout: Layout, events: Any, truth: bool) -> Events:
    ids = layout.event_ids(events)
    records = layout.candidates(events, _CANDIDATE)
    column = {name: flat(records[name]) for name in _CANDIDATE}
    vertices = layout.pileup(events).vertices
    return Events(
        run=flat(ids["run"], np.uint32),
        luminosity_block=flat(ids["luminosityBlock"], np.uint32),
        event=flat(ids["event"], np.uint64),
        # PUPPI's cut grows with the number of vertices: without it, that of one
        vertices=np.ones(len(events)) if vertices is None else np.asarray(vertices, np.float64),
        event_offsets=offsets_of(ak.to_numpy(ak.num(records["pt"]))),
        **{name: column[name].astype(np.float64) for name in ("pt", "eta", "phi", "mass", "dz")},
        charge=column["charge"],
        pdg_id=column["pdgId"],
        from_pv=column["from_pv"],
        stored_weight=column["puppi_weight"].astype(np.float64),
        truth=_truth(events) if truth else None,
    )


def _truth(events: Any) -> Truth:
    needed = {
        "PFCands": ("hardFraction",),
        "Pileup": ("nPU",),
        "GenMET": ("pt", "phi"),
        "GenJetAK8": ("pt", "eta", "phi", "mass"),
        "GenJet": ("pt", "eta", "phi", "mass"),
    }
    for collection, fields in needed.items():
        for name in fields:
            if collection not in events.fields or name not in events[collection].fields:
                raise InputError(
                    f"has no branch {collection}_{name}: the methods can be compared on generated "
                    "samples only (pileup.evaluation.samples)"
                )
    missing = events["GenMET"]
    pt, phi = flat(missing["pt"], np.float64), flat(missing["phi"], np.float64)
    return Truth(
        hard_fraction=flat(events["PFCands"]["hardFraction"], np.float64),
        interactions=flat(events["Pileup"]["nPU"], np.float64),
        weight=flat(events["genWeight"], np.float64),
        fat_jets=_objects(events["GenJetAK8"]),
        jets=_objects(events["GenJet"]),
        missing=np.stack([pt * np.cos(phi), pt * np.sin(phi)], axis=1),
    )


def _objects(records: Any) -> Objects:
    pt, eta, phi, mass = (flat(records[name], np.float64) for name in ("pt", "eta", "phi", "mass"))
    return Objects(pt, eta, phi, mass, offsets_of(ak.to_numpy(ak.num(records["pt"]))))
