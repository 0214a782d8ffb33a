"""Reading one part of a sample with coffea: which chunks, by which executor, and whether all came.

An incomplete reading is an error: every event of the manifest must come back exactly once, and the
sum of weights must be that of the manifest.
"""

import math
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import uproot
from coffea import processor
from coffea.processor.executor import WorkItem

from fullchain.errors import InputError
from fullchain.jets.columns import SCHEMA
from fullchain.jets.processor import NOMINAL, JetProcessor
from fullchain.jets.settings import JetsSettings, ReadingSettings
from fullchain.ntuples.layouts.base import Layout
from fullchain.ntuples.layouts.registry import get_layout
from fullchain.ntuples.manifests import PartManifest, SourceFile, read_part, resolve
from fullchain.progress import progress

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
    tables: dict[str, pa.Table]
    files: dict[str, int]
    cutflow: dict[str, dict[str, dict[str, float]]]
    absent: list[str] = field(default_factory=list)


def read(manifest: Path, settings: JetsSettings, seed: int) -> PartResult:
    """Read all files of a part and make its jets.

    Parameters
    ----------
    manifest
        Part manifest as `fullchain.ntuples.manifests` writes it.

    Raises
    ------
    InputError
        A file cannot be read, is not what the manifest says, or was not read whole.
    """
    part = read_part(manifest)
    layout = get_layout(part.layout)
    items = list(_chunks(part, manifest, layout, settings.reading.events_per_chunk))
    task = JetProcessor(layout, settings, seed)
    with progress(f"{part.sample} {part.part}", total=part.events) as advance:
        output = _run(items, task, layout, settings.reading, advance)
    if output["failures"]:
        raise InputError("\n".join(sorted(output["failures"])))
    chunks = sorted(output["chunks"], key=lambda chunk: chunk[:2])
    _check_complete(part, chunks, manifest)
    return _join(part, [chunk[-1] for chunk in chunks], items)


def _chunks(
    part: PartManifest, manifest: Path, layout: Layout, events_per_chunk: int
) -> Iterator[WorkItem]:
    """Cut the files into chunks after a look at each: it must be as when the manifest was made."""
    for number, entry in enumerate(part.good):
        path, identity = _open(part, manifest, entry, layout)
        for start in range(0, entry.events, events_per_chunk):
            stop = min(start + events_per_chunk, entry.events)
            yield WorkItem(part.sample, path, entry.tree, start, stop, identity, {"number": number})


def _open(
    part: PartManifest, manifest: Path, entry: SourceFile, layout: Layout
) -> tuple[str, bytes]:
    """Find the first replica that is there and whole; give its path and its identity."""
    reasons = []
    for replica in (entry.path, *entry.replicas):
        path = resolve(part, manifest, replica)
        try:
            return path, _inspect(path, entry, layout)
        except InputError as problem:
            reasons.append(str(problem))
    raise InputError("\n".join(reasons))


def _inspect(path: str, entry: SourceFile, layout: Layout) -> bytes:
    try:
        with uproot.open(path) as file:
            if f"{entry.tree};1" not in file.keys(cycle=True) and entry.tree not in file:
                raise InputError(f"{path}: has no tree '{entry.tree}'")
            tree = file[entry.tree]
            # the weight of recorded data is not needed, and ingestion knew which it is
            layout.check(path, tree, is_data="genWeight" not in set(tree.keys()))
            entries = tree.num_entries
            identity = file.file.uuid.bytes
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the manifest lists it") from None
    except Exception as problem:
        raise InputError(
            f"{path}: cannot be opened as a ROOT file ({type(problem).__name__}: {problem})"
        ) from None
    if entries < entry.events:
        raise InputError(
            f"{path}: tree '{entry.tree}' has {entries} entries, the manifest says {entry.events}; "
            "the file changed, make the manifest again"
        )
    return bytes(identity)


def _run(
    items: list[WorkItem],
    task: JetProcessor,
    layout: Layout,
    settings: ReadingSettings,
    advance: Any,
) -> dict[str, list[Any]]:
    """Treat the chunks with the executor of the settings."""
    if not items:
        return {"chunks": [], "failures": []}
    with _executor(settings) as executor:
        runner = processor.Runner(executor=executor, schema=layout.schema)
        if settings.executor != "iterative":
            output = _quietly(runner, items, task)
            advance(sum(len(item) for item in items))
            return output
        # one chunk at a time, so that the progress shows and the first failure ends the job
        total: dict[str, list[Any]] = {"chunks": [], "failures": []}
        for item in items:
            output = _quietly(runner, [item], task)
            total = {name: total[name] + output[name] for name in total}
            advance(len(item))
            if total["failures"]:
                break
        return total


def _quietly(runner: Any, items: list[WorkItem], task: JetProcessor) -> dict[str, list[Any]]:
    """Run without coffea's own progress bar and without its remarks on columns we do not read."""
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="coffea")
        return dict(runner.run(items, task)["out"])


@contextmanager
def _executor(settings: ReadingSettings) -> Iterator[Any]:
    # a failed chunk fails again: no retries, which only hide what was wrong
    quiet = {"status": False, "retries": 0}
    if settings.executor == "iterative":
        yield processor.IterativeExecutor(status=False, retries=0)
    elif settings.executor == "futures":
        yield processor.FuturesExecutor(workers=settings.workers, **quiet)
    else:
        from distributed import Client, LocalCluster

        if settings.dask_scheduler:
            with Client(settings.dask_scheduler) as client:
                yield processor.DaskExecutor(client=client, **quiet)
        else:
            with (
                LocalCluster(
                    n_workers=settings.workers, threads_per_worker=1, dashboard_address=None
                ) as cluster,
                Client(cluster) as client,
            ):
                yield processor.DaskExecutor(client=client, **quiet)


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
    total = math.fsum(w for chunk in chunks for w in chunk[-1]["weight"])
    if not math.isclose(total, part.sum_of_weights, rel_tol=WEIGHT_TOLERANCE, abs_tol=1e-9):
        raise InputError(
            f"{manifest}: says a sum of weights of {part.sum_of_weights}, the events have {total}; "
            "the files changed, make the manifest again"
        )


def _join(part: PartManifest, chunks: list[dict[str, Any]], items: list[WorkItem]) -> PartResult:
    variations = list(chunks[0]["tables"]) if chunks else [NOMINAL]
    tables = {
        name: pa.concat_tables([SCHEMA.empty_table(), *(chunk["tables"][name] for chunk in chunks)])
        for name in variations
    }
    weight = np.concatenate([np.zeros(0), *(chunk["weight"] for chunk in chunks)])
    cutflow = {name: {"all": _count(weight)} for name in variations}
    for name in variations:
        for cut in chunks[0]["passed"][name] if chunks else ():
            passed = np.concatenate([chunk["passed"][name][cut] for chunk in chunks])
            cutflow[name][cut] = _count(weight[passed])
    files: dict[str, int] = {}
    for item in items:
        files[item.filename] = files.get(item.filename, 0) + len(item)
    absent = sorted({name for chunk in chunks for name in chunk["absent"]})
    return PartResult(part, tables, files, cutflow, absent)


def _count(weight: Any) -> dict[str, float]:
    # exactly rounded sums do not depend on the order, hence not on the chunks
    return {"events": len(weight), "sum_of_weights": math.fsum(weight)}


def report(result: PartResult) -> None:
    """Print how many jets there are, for the log."""
    for name, rows in result.tables.items():
        counts = result.cutflow[name]
        cuts = ", ".join(f"{cut} {count['events']}" for cut, count in counts.items())
        print(f"{name}: {len(rows)} jets; events: {cuts}", file=sys.stderr)
