"""Tell top jets from QCD jets with the weights of each method: substructure and ROC curves."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.jets.settings import JetsSettings, SubstructureSettings, TruthSettings
from fullchain.ntuples.layouts.base import Layout
from fullchain.ntuples.manifests import read_part
from fullchain.pileup.classical_settings import ClassicalSettings
from fullchain.pileup.densities import range_of, trained_ranges
from fullchain.pileup.discrimination_jets import KINDS, TrueJets, observe, true_jets
from fullchain.pileup.discrimination_numbers import HISTOGRAMS, TRUTH, Measurement
from fullchain.pileup.discrimination_settings import DiscriminationSettings
from fullchain.pileup.discrimination_table import Collector, JetTable, joined
from fullchain.pileup.events import Events
from fullchain.pileup.methods import CLASSICAL, true_weights
from fullchain.pileup.reading import Chunk, read_chunks
from fullchain.pileup.weight_file import method_and_sample, read_weights
from fullchain.progress import progress
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output

Array = NDArray[Any]

EVENTS_PER_CHUNK = 200


def main(
    *,
    pair: Annotated[str, Option("name of the pair of samples")],
    signals: Annotated[list[Path], Input("part manifests of the sample with top quarks")],
    backgrounds: Annotated[list[Path], Input("part manifests of the QCD sample")],
    weights: Annotated[
        list[Path], Input("weights of further methods, a file for each method and part")
    ] = [],  # noqa: B006
    numbers: Annotated[Path, Output("numbers of all methods, JSON")],
    settings: Given,
) -> None:
    """Measure all methods on one pair of samples.

    Raises
    ------
    InputError
        A sample has no truth or no top jets in the window, or weights are of other events, or of
        one of the samples only.
    """
    chosen = settings.model("pileup.discrimination", DiscriminationSettings)
    classical = settings.model("pileup.classical", ClassicalSettings)
    jets = JetsSettings(
        substructure=settings.model("jets.substructure", SubstructureSettings),
        truth=TruthSettings(label_radius=settings["jets.truth.label_radius"]),
    )
    further: dict[tuple[str, str], dict[str, Path]] = {}
    for path in weights:
        method, sample = method_and_sample(path)
        further.setdefault((sample, path.stem), {})[method] = path
    tables = []
    events: list[int] = []
    for parts, is_signal in ((signals, True), (backgrounds, False)):
        table, seen = collect(parts, is_signal, further, chosen, classical, jets)
        tables.append(table)
        events.append(seen)
    names = [read_part(parts[0]).sample for parts in (signals, backgrounds)]
    _check(pair, names, tables, chosen)
    table = joined(*tables)
    content = {
        "pair": pair,
        "samples": dict(zip(("signal", "background"), names, strict=True)),
        "events": dict(zip(("signal", "background"), events, strict=True)),
        **describe(table, chosen, derive(settings.seed, "pileup", "pair", pair)),
    }
    ranges = trained_ranges(settings.values)
    content |= _training_densities(table.values, table.interactions, ranges)
    for line in content["left_out"]:
        print(f"pair {pair}: too few, left out: {line}", file=sys.stderr)
    write_text(numbers, json.dumps(content, indent=1) + "\n")


def describe(table: JetTable, settings: DiscriminationSettings, seed: int) -> dict[str, Any]:
    """Give the numbers and distributions of the jets of a pair, and which jets they are."""
    measurement = Measurement(table, settings, seed)
    return {
        "jets": {name: int(np.sum(table.kind == place)) for place, name in enumerate(KINDS)},
        "interactions": float(np.average(table.interactions, weights=table.weight)),
        "jet_pt": [settings.jet_pt_min, settings.jet_pt_max],
        "jet_abs_eta_max": settings.jet_abs_eta_max,
        "mass_window": [settings.mass_min, settings.mass_max],
        "methods": measurement.numbers(),
        "edges": {name: edges.tolist() for name, edges in HISTOGRAMS.items()},
        "histograms": measurement.histograms(),
        "left_out": measurement.left_out,
    }


def _training_densities(
    methods: Iterable[str], interactions: Array, ranges: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    """Give the densities that learned weights were trained on, and the part of jets outside."""
    found = {name: one for name in methods if (one := range_of(name, ranges))}
    return {
        "trained": found,
        "beyond": {
            name: float(np.mean((interactions < low) | (interactions > high)))
            for name, (low, high) in found.items()
        },
    }


def collect(
    parts: Sequence[Path],
    is_signal: bool,
    further: Mapping[tuple[str, str], Mapping[str, Path]],
    settings: DiscriminationSettings,
    classical: ClassicalSettings,
    jets: JetsSettings,
) -> tuple[JetTable, int]:
    """Measure the jets of a sample with each method; give their table and the number of events."""
    collector = Collector()
    manifests = [read_part(path) for path in parts]
    total = min(settings.max_events, sum(part.events for part in manifests))

    def truth(layout: Layout, raw: Any, events: Events) -> TrueJets:
        assert events.truth is not None
        return true_jets(layout, raw, events.truth.fat_jets, is_signal, settings, jets)

    with progress(f"substructure, {manifests[0].sample}", total=total) as advance:
        for path, part in zip(parts, manifests, strict=True):
            left = settings.max_events - collector.events
            if left <= 0:
                break
            files = further.get((part.sample, path.stem), {})
            for chunk in read_chunks(
                path, events_per_chunk=EVENTS_PER_CHUNK, max_events=left, truth=True, further=truth
            ):
                observed = {
                    method: observe(
                        chunk.events, weights, chunk.further, 0.5 * settings.jet_pt_min,
                        jets.substructure,
                    )
                    for method, weights in _weighted(chunk, files, classical)
                }  # fmt: skip
                collector.add(chunk.events, chunk.further, observed)
                advance(len(chunk.events))
    if not collector.events:
        raise InputError(f"{parts[0]}: the sample {manifests[0].sample} has no events; make some")
    return collector.table(), collector.events


def _weighted(
    chunk: Chunk, files: Mapping[str, Path], settings: ClassicalSettings
) -> Iterator[tuple[str, Array]]:
    """Give the weights of each method."""
    events = chunk.events
    for name, method in CLASSICAL.items():
        yield name, method(events, settings)
    ids = (events.run, events.luminosity_block, events.event)
    for name, path in files.items():
        yield name, read_weights(path, chunk.file, chunk.first, ids, events.event_offsets)
    yield TRUTH, true_weights(events)


def _check(
    pair: str, names: Sequence[str], tables: Sequence[JetTable], settings: DiscriminationSettings
) -> None:
    """Raise InputError unless both samples have jets, and the same methods."""
    window = f"{settings.jet_pt_min:g} to {settings.jet_pt_max:g} GeV"
    for name, table, kind in zip(names, tables, ("top", "qcd"), strict=True):
        if not np.any(table.kind == KINDS.index(kind)):
            raise InputError(
                f"pair {pair}: sample {name} has no {kind} jets of {window} within |eta| < "
                f"{settings.jet_abs_eta_max:g} in the events looked at; make more events, widen "
                "pileup.discrimination.jet_pt_min and jet_pt_max, or leave the pair out of "
                "pileup.discrimination.pairs"
            )
    methods = [set(table.values) for table in tables]
    if methods[0] != methods[1]:
        single = ", ".join(sorted(methods[0] ^ methods[1]))
        raise InputError(
            f"pair {pair}: weights of {single} are there for one of {names[0]} and {names[1]} "
            "only; make those of both"
        )
