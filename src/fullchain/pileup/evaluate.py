"""Compare the methods: response and resolution of jets and missing momentum, and their cost."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.ntuples.manifests import read_part
from fullchain.pileup.classical_settings import ClassicalSettings, EvaluationSettings
from fullchain.pileup.collected import Collected
from fullchain.pileup.densities import trained_ranges
from fullchain.pileup.description import TRUTH, describe
from fullchain.pileup.events import Events
from fullchain.pileup.methods import CLASSICAL, true_weights
from fullchain.pileup.quantities import measure
from fullchain.pileup.reading import Chunk, read_chunks
from fullchain.pileup.weight_file import method_and_sample, read_weights
from fullchain.progress import progress
from fullchain.step import Given, Input, Output

Array = NDArray[Any]

EVENTS_PER_CHUNK = 200


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
    trained = trained_ranges(settings.values)
    further: dict[tuple[str, str], dict[str, Path]] = {}
    for path in weights:
        method, sample = method_and_sample(path)
        further.setdefault((sample, path.stem), {})[method] = path
    found: dict[str, Any] = {}
    times: dict[str, Any] = {}
    for sample, parts in by_sample(manifests).items():
        collected = collect(sample, parts, further, chosen, classical)
        if collected.events:
            found[sample] = describe(sample, collected, trained, chosen, settings.seed)
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
