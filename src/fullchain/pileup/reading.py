"""Reading the candidates of a part of a sample, some events at a time."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from coffea.nanoevents import NanoEventsFactory
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.jets.arrays import flat, offsets_of
from fullchain.ntuples.inspection import failures_named, open_options
from fullchain.ntuples.layouts.base import Layout
from fullchain.ntuples.layouts.registry import get_layout
from fullchain.ntuples.manifests import PartManifest, is_url, read_part, resolve
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
        path, _ = first_answer(
            Source(places),
            lambda place, entry=entry: _inspect(place, entry.tree, part, layout),  # type: ignore[misc]
            retries=part.retries,
            report=lambda line: print(line, file=sys.stderr),
        )
        stop = min(entry.events, left)
        left -= stop
        for first in range(0, stop, events_per_chunk):
            last = min(first + events_per_chunk, stop)
            with failures_named(path):
                try:
                    raw = _open(path, entry.tree, first, last, layout, part.timeout)
                    events = _events(layout, raw, truth)
                    besides = further(layout, raw, events) if further else None
                except InputError as problem:
                    raise InputError(f"{path}: {problem}") from None
            yield Chunk(number, first, events, besides)


def _inspect(path: str, tree: str, part: PartManifest, layout: Layout) -> None:
    """Raise InputError unless the file is there and has what is needed."""
    place = path if is_url(path) else {path: None}
    with failures_named(path), uproot.open(place, **open_options(path, part.timeout)) as file:
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
