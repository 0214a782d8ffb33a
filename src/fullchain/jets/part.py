"""Reading one part of a sample with coffea: which chunks, by which executor, and whether all came.

An incomplete reading is an error: every event of the manifest must come back exactly once, and the
sum of weights must be that of the events in the manifest. A remote file that breaks off is read
again, then from its next replica.

Jets lie on disk from the moment their chunk is read until they are written: memory holds some
chunks, however many events the part has.
"""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from coffea.processor.executor import WorkItem

from fullchain.errors import InputError
from fullchain.jets.execution import Execution, execution
from fullchain.jets.processor import NOMINAL, Failure, JetProcessor
from fullchain.jets.replicas import ReplicatedFile
from fullchain.jets.settings import OF_THE_FILE, JetsSettings, ReadingSettings
from fullchain.jets.spill import Spill, Tables
from fullchain.ntuples.layouts.registry import get_layout
from fullchain.ntuples.manifests import PartManifest, read_part
from fullchain.pileup.weight_file import method_and_sample
from fullchain.progress import progress

CHUNKS_PER_WORKER = 8
"""Chunks of each worker that wait in memory for the others."""

WEIGHT_TOLERANCE = 1e-6
"""Relative difference of the sums of weights: genWeight is a 32-bit number in the file."""


@dataclass
class PartResult:
    """All jets of one part.

    Parameters
    ----------
    tables
        Rows of each variation, in the order of files and events.
    files
        Number of events read of each file, by its path.
    cutflow
        variation -> cut -> (events, sum of weights).
    absent
        Columns that the input did not have.
    """

    manifest: PartManifest
    tables: Tables
    files: dict[str, int]
    cutflow: dict[str, dict[str, dict[str, float]]]
    absent: list[str] = field(default_factory=list)


def read(
    manifest: Path,
    settings: JetsSettings,
    seed: int,
    weights: Path | None = None,
    folder: Path | None = None,
) -> PartResult:
    """Read all files of a part and make its jets.

    Parameters
    ----------
    manifest
        Part manifest as `fullchain.ntuples.manifests` writes it.
    weights
        File of pile-up weights of the part, for a mitigation that the stage `pileup` computes.
    folder
        Where the jets lie until they are written; None for the temporary folder of the system.

    Raises
    ------
    InputError
        A file cannot be read, is not what the manifest says, or was not read whole.
    """
    part = read_part(manifest)
    layout = get_layout(part.layout)
    task = JetProcessor(
        layout, settings, seed, sample=part.sample, is_data=part.is_data, weights=weights
    )
    spill = Spill(folder)

    def keep(result: dict[str, Any]) -> dict[str, Any]:
        pieces = {name: spill.put(table) for name, table in result["tables"].items()}
        return {**result, "tables": pieces}

    files, chunks = read_whole(part, manifest, task, keep)
    return _join(part, chunks, files)


def read_whole(
    part: PartManifest,
    manifest: Path,
    task: JetProcessor,
    keep: Callable[[dict[str, Any]], dict[str, Any]] = lambda result: result,
) -> tuple[list[ReplicatedFile], list[dict[str, Any]]]:
    """Treat all events of a part; give its files, and what the task made of each chunk, in order.

    Parameters
    ----------
    task
        What is done with a chunk; its result has ``weight``, (events) of the chunk.
    keep
        What is kept of a result, called soon after it is there.

    Raises
    ------
    InputError
        As `read`, and where the task says so.
    """
    reading = task.settings.reading
    files = [
        ReplicatedFile(part, manifest, n, task.layout, copies=reading.on_this_machine)
        for n in range(len(part.good))
    ]
    _check_weights(task.weights, task.settings.clustering.mitigation, part.sample)
    with (
        progress(f"{part.sample} {part.part}", total=part.events) as advance,
        execution(reading, task, part.timeout, advance) as run,
    ):
        chunks = _read_chunks(files, run, reading, keep)
    _check_complete(part, chunks, manifest)
    return files, [chunk[-1] for chunk in chunks]


def _check_weights(weights: Path | None, method: str, sample: str) -> None:
    """Raise InputError unless the weights are there, if needed, and of this method and sample."""
    if method not in OF_THE_FILE and weights is None:
        raise InputError(
            f"jets.clustering.mitigation is {method}: give the weights that 'pileup weights "
            f"--method {method}' (of a learned method, 'pileup apply') made of this part, or take "
            "stored for those of the file"
        )
    if weights is None:
        return
    if method in OF_THE_FILE:
        raise InputError(f"{weights}: jets.clustering.mitigation is {method} and needs no weights")
    found = method_and_sample(weights)
    if found != (method, sample):
        raise InputError(
            f"{weights}: holds weights of {found[0]} for {found[1]}, and those of {method} for "
            f"{sample} are needed"
        )


def _read_chunks(
    files: list[ReplicatedFile],
    run: Execution,
    reading: ReadingSettings,
    keep: Callable[[dict[str, Any]], dict[str, Any]],
) -> list[Any]:
    """Treat all chunks of all files; after a failure what is left, from the same or other places.

    A replica has the same content, so what was read from another one before stays.
    """
    for file in files:
        file.open()
    chunks: list[Any] = []
    while items := _left(files, chunks, reading.events_per_chunk):
        before = len(chunks)
        failures: list[Failure] = []
        for batch in _batches(items, reading):
            found, failures = run(batch)
            chunks += [(*chunk[:-1], keep(chunk[-1])) for chunk in found]
            if failures:
                break
        if len(chunks) == before and not failures:
            break
        for number, failure in {failure.number: failure for failure in failures}.items():
            files[number].failed(failure)
            files[number].open()
    return sorted(chunks, key=lambda chunk: chunk[:2])


def _batches(items: list[WorkItem], reading: ReadingSettings) -> Iterator[list[WorkItem]]:
    """Cut into what is in memory at once: enough for all workers to be busy most of the time."""
    size = 1 if reading.executor == "iterative" else CHUNKS_PER_WORKER * reading.workers
    for first in range(0, len(items), size):
        yield items[first : first + size]


def _left(files: list[ReplicatedFile], chunks: list[Any], events_per_chunk: int) -> list[WorkItem]:
    done = {(number, start) for number, start, _, _ in chunks}
    return [item for file in files for item in file.items(events_per_chunk, done)]


def _check_complete(part: PartManifest, chunks: list[Any], manifest: Path) -> None:
    """Raise InputError unless every event came back once."""
    for number, entry in enumerate(part.good):
        expected = 0
        for _, start, stop, result in (chunk for chunk in chunks if chunk[0] == number):
            if start != expected or len(result["weight"]) != stop - start:
                break
            expected = stop
        if expected != entry.events:
            raise InputError(
                f"{entry.path}: only {expected} of {entry.events} events were read; "
                "nothing is written, run the step again"
            )
    expected_sum = part.sum_of_event_weights
    if expected_sum is None:
        return
    weights = np.concatenate([np.zeros(0), *(chunk[-1]["weight"] for chunk in chunks)])
    total = math.fsum(weights)
    # weights of both signs cancel in the sum, their rounding does not
    if abs(total - expected_sum) > WEIGHT_TOLERANCE * math.fsum(np.abs(weights)):
        raise InputError(
            f"{manifest}: says a sum of weights of {expected_sum}, the events have {total}; "
            "the files changed, make the manifest again"
        )


def _join(
    part: PartManifest, chunks: list[dict[str, Any]], files: list[ReplicatedFile]
) -> PartResult:
    variations = list(chunks[0]["tables"]) if chunks else [NOMINAL]
    tables = Tables({name: [chunk["tables"][name] for chunk in chunks] for name in variations})
    weight = np.concatenate([np.zeros(0), *(chunk["weight"] for chunk in chunks)])
    cutflow = {name: {"all": _count(weight)} for name in variations}
    for name in variations:
        for cut in chunks[0]["passed"][name] if chunks else ():
            passed = np.concatenate([chunk["passed"][name][cut] for chunk in chunks])
            cutflow[name][cut] = _count(weight[passed])
    events_read = {file.path: file.entry.events for file in files}
    absent = sorted({name for chunk in chunks for name in chunk["absent"]})
    return PartResult(part, tables, events_read, cutflow, absent)


def _count(weight: Any) -> dict[str, float]:
    # exactly rounded sums do not depend on the order, hence not on the chunks
    return {"events": len(weight), "sum_of_weights": math.fsum(weight)}


def report(result: PartResult) -> None:
    """Print how many jets there are, for the log."""
    for name, counts in result.cutflow.items():
        cuts = ", ".join(f"{cut} {count['events']}" for cut, count in counts.items())
        rows = result.tables.rows(name)
        print(f"{name}: {rows} jets; events: {cuts}", file=sys.stderr)
