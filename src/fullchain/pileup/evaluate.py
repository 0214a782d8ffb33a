"""Compare the methods: response and resolution of jets and missing momentum, and their cost."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.ntuples.manifests import read_part
from fullchain.pileup.classical_settings import ClassicalSettings, EvaluationSettings
from fullchain.pileup.events import Events
from fullchain.pileup.methods import CLASSICAL, true_weights
from fullchain.pileup.performance import agreement, difference, number, replicas, response
from fullchain.pileup.quantities import CATEGORIES, Kept, Pairs, Quantities, measure
from fullchain.pileup.reading import Chunk, read_chunks
from fullchain.pileup.weight_file import method_and_sample, read_weights
from fullchain.progress import progress
from fullchain.step import Given, Input, Output

Array = NDArray[Any]

TRUTH = "truth"
"""The method that knows the truth: what can be reached at best."""

EVENTS_PER_CHUNK = 200
_STATISTICS = {
    "jet_pt": response,
    "jet_mass": response,
    "dijet_mass": response,
    "central_jet_pt": response,
    "forward_jet_pt": response,
    "met_along": response,
    "met": difference,
}
_AGAINST_INTERACTIONS = ("jet_pt", "jet_mass", "met")
_AGAINST_TRUTH = ("jet_pt", "jet_mass", "dijet_mass")


@dataclass
class Collected:
    """What all chunks of a sample gave."""

    pairs: dict[str, dict[str, list[Pairs]]] = field(default_factory=dict)
    kept: dict[str, list[Kept]] = field(default_factory=dict)
    interactions: list[Array] = field(default_factory=list)
    weight: list[Array] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    events: int = 0

    def add(self, method: str, found: Quantities) -> None:
        """Add a chunk; its events are counted on from those before."""
        for name, pairs in found.pairs.items():
            shifted = Pairs(pairs.value, pairs.reference, pairs.event + self.events)
            self.pairs.setdefault(method, {}).setdefault(name, []).append(shifted)
        self.kept.setdefault(method, []).append(found.kept)

    def joined(self, method: str, name: str) -> Pairs:
        """Give the pairs of all chunks."""
        chunks = self.pairs[method][name]
        columns = (
            np.concatenate([getattr(c, column) for c in chunks])
            for column in ("value", "reference", "event")
        )
        return Pairs(*columns)


def main(
    *,
    manifests: Annotated[list[Path], Input("part manifests of the samples")] = [],  # noqa: B006
    weights: Annotated[
        list[Path], Input("weights of further methods, a file for each method and part")
    ] = [],  # noqa: B006
    numbers: Annotated[Path, Output("numbers of all methods, JSON")],
    cost: Annotated[Path, Output("time of the methods on this machine, JSON")],
    settings: Given,
) -> None:
    """Measure all methods on all samples.

    Raises
    ------
    InputError
        A sample has no truth, or weights are of other events.
    """
    chosen = settings.model("pileup.evaluation", EvaluationSettings)
    classical = settings.model("pileup.classical", ClassicalSettings)
    further: dict[tuple[str, str], dict[str, Path]] = {}
    for path in weights:
        method, sample = method_and_sample(path)
        further.setdefault((sample, path.stem), {})[method] = path
    found: dict[str, Any] = {}
    times: dict[str, Any] = {}
    for sample, parts in by_sample(manifests).items():
        collected = collect(sample, parts, further, chosen, classical)
        if collected.events:
            found[sample] = describe(sample, collected, chosen, settings.seed)
            times[sample] = {
                "interactions": float(np.mean(np.concatenate(collected.interactions))),
                "milliseconds": {
                    method: 1e3 * seconds / collected.events
                    for method, seconds in collected.seconds.items()
                },
            }
    write_text(numbers, json.dumps({"samples": found}, indent=1) + "\n")
    write_text(cost, json.dumps({"samples": times}, indent=1) + "\n")


def by_sample(manifests: Sequence[Path]) -> dict[str, list[Path]]:
    """Group part manifests by their sample."""
    groups: dict[str, list[Path]] = {}
    for path in manifests:
        groups.setdefault(read_part(path).sample, []).append(path)
    return groups


def collect(
    sample: str,
    parts: Sequence[Path],
    further: Mapping[tuple[str, str], Mapping[str, Path]],
    settings: EvaluationSettings,
    classical: ClassicalSettings,
) -> Collected:
    """Measure all events of a sample with each method."""
    collected = Collected()
    total = min(settings.max_events, sum(read_part(manifest).events for manifest in parts))
    with progress(f"pile-up methods, {sample}", total=total) as advance:
        for manifest in parts:
            left = settings.max_events - collected.events
            if left <= 0:
                break
            files = further.get((sample, manifest.stem), {})
            for chunk in read_chunks(
                manifest, events_per_chunk=EVENTS_PER_CHUNK, max_events=left, truth=True
            ):
                for method, weights in _weighted(chunk, files, classical, collected):
                    collected.add(method, measure(chunk.events, weights, settings))
                truth = chunk.events.truth
                assert truth is not None
                collected.interactions.append(truth.interactions)
                collected.weight.append(truth.weight)
                collected.events += len(chunk.events)
                advance(len(chunk.events))
    return collected


def _weighted(
    chunk: Chunk, files: Mapping[str, Path], settings: ClassicalSettings, collected: Collected
) -> Iterator[tuple[str, Array]]:
    """Give the weights of each method, and note how long the classical ones take."""
    events: Events = chunk.events
    for name, method in CLASSICAL.items():
        if name not in collected.seconds:
            method(events, settings)  # compiles, which is not to be counted
            collected.seconds[name] = 0.0
        start = time.process_time()
        weights = method(events, settings)
        collected.seconds[name] += time.process_time() - start
        yield name, weights
    ids = (events.run, events.luminosity_block, events.event)
    for name, path in files.items():
        yield name, read_weights(path, chunk.file, chunk.first, ids, events.event_offsets)
    yield TRUTH, true_weights(events)


def describe(
    sample: str, collected: Collected, settings: EvaluationSettings, seed: int
) -> dict[str, Any]:
    """Give all numbers of a sample, each with its uncertainty."""
    interactions = np.concatenate(collected.interactions)
    drawn = replicas(
        collected.events, settings.replicas, np.concatenate(collected.weight),
        seed, "pileup", sample,
    )  # fmt: skip
    found: dict[str, Any] = {
        "events": collected.events,
        "interactions": float(np.mean(interactions)),
        "methods": {method: {} for method in collected.pairs},
    }
    without: dict[str, Array] = {}
    for method, entries in found["methods"].items():
        for name, statistic in _STATISTICS.items():
            pairs = collected.joined(method, name)
            known = pairs.known()
            if len(known.value) < settings.min_entries:
                continue
            results = statistic(known, drawn)
            if method == "none":
                without[name] = results["resolution"]
            entry: dict[str, Any] = {key: number(value) for key, value in results.items()}
            entry["entries"] = len(known.value)
            entry["matched"] = len(known.value) / len(pairs.value)
            if name in without:
                entry["gain"] = number(results["resolution"] / without[name])
            if name in _AGAINST_TRUTH:
                entry |= _against_truth(collected, method, name, drawn, settings)
            if name in _AGAINST_INTERACTIONS:
                entry["bins"] = _bins(known, interactions, statistic, drawn, settings)
            entries[name] = entry
        entries["kept"] = _kept(collected.kept[method], drawn)
    return found


def _against_truth(
    collected: Collected, method: str, name: str, drawn: Array, settings: EvaluationSettings
) -> dict[str, Any]:
    """Compare jets with those of the true weights; the particle-level jets match both."""
    ours, truth = collected.joined(method, name), collected.joined(TRUTH, name)
    pairs = Pairs(ours.value, np.where(truth.value > 0, truth.value, np.nan), ours.event).known()
    if len(pairs.value) < settings.min_entries or method == TRUTH:
        return {}
    return {key: number(value) for key, value in agreement(pairs, drawn).items()}


def _bins(
    pairs: Pairs, interactions: Array, statistic: Any, drawn: Array, settings: EvaluationSettings
) -> list[dict[str, Any]]:
    """Give the statistic in bins of the number of interactions."""
    bins = []
    own = interactions[pairs.event]
    for low, high in pairwise(settings.interactions):
        chosen = (own >= low) & (own < high)
        if np.sum(chosen) < settings.min_entries:
            continue
        inside = Pairs(pairs.value[chosen], pairs.reference[chosen], pairs.event[chosen])
        results = statistic(inside, drawn)
        one: dict[str, Any] = {key: number(value) for key, value in results.items()}
        bins.append({"interactions": float(np.mean(own[chosen])), "edges": [low, high], **one})
    return bins


def _kept(chunks: Sequence[Kept], drawn: Array) -> dict[str, Any]:
    """Give the parts of the pT that are kept, of the hard collision and of pile-up."""
    total = {
        name: drawn @ np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in ("hard", "hard_kept", "pileup", "pileup_kept")
    }
    found: dict[str, Any] = {}
    for place, category in enumerate(CATEGORIES):
        found[category] = {}
        for origin in ("hard", "pileup"):
            below = total[origin][:, place]
            share = np.divide(
                total[f"{origin}_kept"][:, place], below, out=np.full(len(below), np.nan),
                where=below > 0,
            )  # fmt: skip
            if np.isfinite(share[0]):
                found[category][origin] = number(share)
    return found
