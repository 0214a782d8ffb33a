"""Cluster, measure and select the jets of one part of a sample, with all object shifts."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq

from fullchain.atomic import atomic, write_text
from fullchain.jets.columns import SCHEMA
from fullchain.jets.part import PartResult, read, report
from fullchain.jets.settings import JetsSettings, ReadingSettings
from fullchain.step import Given, Input, Option, Output

COMPRESSION_LEVEL = 3

ROWS_PER_GROUP = 32_768
"""Most rows of a group: its jets are in memory while they are written, and when they are read."""


def main(
    *,
    manifest: Annotated[Path, Input("part manifest of the ntuples")],
    jets: Annotated[Path, Output("Parquet file, one row for each jet and variation")],
    summary: Annotated[Path, Output("events read, cut flow, columns that the input lacks")],
    weights: Annotated[
        list[Path], Input("pile-up weights of the part, if the mitigation needs them: one file")
    ] = [],  # noqa: B006
    executor: Annotated[str, Option("coffea executor, if not that of the settings")] = "",
    workers: Annotated[int, Option("its processes, if not as in the settings")] = 0,
    dask: Annotated[str, Option("settings jets.reading.dask as JSON, likewise")] = "",
    events_per_chunk: Annotated[int, Option("events read at once, likewise")] = 0,
    settings: Given,
) -> None:
    """Make the jets of one part.

    How the events are read may come as options: it does not change the result, and what a rule
    passes as settings does make it run again.

    Raises
    ------
    InputError
        A file of the part is missing, damaged, or not what its manifest says.
    """
    reading = ReadingSettings.given(
        settings["jets"].get("reading", {}),
        executor=executor,
        workers=workers,
        dask=dask,
        events_per_chunk=events_per_chunk,
    )
    chosen = JetsSettings.model_validate({**settings["jets"], "reading": reading})
    start = time.monotonic()
    jets.parent.mkdir(parents=True, exist_ok=True)
    result = read(manifest, chosen, settings.seed, next(iter(weights), None), jets.parent)
    write_jets(jets, result)
    write_text(summary, json.dumps(describe(result), indent=1) + "\n")
    report(result)
    events = result.manifest.events
    print(f"{1e3 * (time.monotonic() - start) / max(events, 1):.2f} ms per event")


def write_jets(path: Path, result: PartResult) -> None:
    """Write groups of rows of one variation each, so that a reader of one skips the others."""
    with (
        atomic(path) as temporary,
        pq.ParquetWriter(
            temporary, SCHEMA, compression="zstd", compression_level=COMPRESSION_LEVEL
        ) as writer,
    ):
        for name in result.tables:
            for table in result.tables.groups(name, ROWS_PER_GROUP):
                writer.write_table(table, row_group_size=max(len(table), 1))


def describe(result: PartResult) -> dict[str, Any]:
    """Give the content of the summary."""
    part = result.manifest
    return {
        "sample": part.sample,
        "part": part.part,
        "layout": part.layout,
        "events": part.events,
        "sum_of_weights": part.sum_of_weights,
        "cross_section_pb": part.cross_section_pb,
        "files": [{"path": path, "events_read": n} for path, n in result.files.items()],
        "files_skipped": [{"path": f.path, "reason": f.reason} for f in part.skipped],
        "jets": {name: result.tables.rows(name) for name in result.tables},
        "cutflow": result.cutflow,
        "absent": result.absent,
    }
