"""Select the events of one part that are unfolded, and measure their jets at both levels."""

import json
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.jets.part import read_whole
from fullchain.jets.settings import JetsSettings, ReadingSettings
from fullchain.ntuples.layouts.registry import get_layout
from fullchain.ntuples.manifests import read_part
from fullchain.step import Given, Input, Option, Output
from fullchain.unfolding import event_table
from fullchain.unfolding.event_processor import EventProcessor
from fullchain.unfolding.jet_observables import UNITS
from fullchain.unfolding.joined import joined
from fullchain.unfolding.selection_settings import SelectionSettings
from fullchain.unfolding.selection_summary import check, count, rates, report


def main(
    *,
    manifest: Annotated[Path, Input("part manifest of the ntuples")],
    events: Annotated[Path, Output("Parquet file, one row for each event that passes a level")],
    summary: Annotated[Path, Output("events read, cut flow at both levels, efficiency, fakes")],
    weights: Annotated[
        list[Path], Input("pile-up weights of the part, if the mitigation needs them: one file")
    ] = [],  # noqa: B006
    executor: Annotated[str, Option("coffea executor, if not that of the settings")] = "",
    workers: Annotated[int, Option("its processes, if not as in the settings")] = 0,
    dask: Annotated[str, Option("settings jets.reading.dask as JSON, likewise")] = "",
    events_per_chunk: Annotated[int, Option("events read at once, likewise")] = 0,
    settings: Given,
) -> None:
    """Make the table of events of one part.

    Uses the settings seed, jets.clustering.mitigation, jets.shifts and unfolding.selection. How the
    events are read may come as options, as in `jets cluster`: it does not change the result.

    Raises
    ------
    InputError
        A file of the part is missing, damaged, or not what its manifest says; it has no particles
        of the whole event, or no muons; or no simulated event passes at one of the levels.
    """
    # What the stage shares with `jets`, read as the options say.
    shared = JetsSettings.model_validate(
        {
            "clustering": {"mitigation": settings["jets.clustering.mitigation"]},
            "shifts": settings["jets.shifts"],
            "reading": ReadingSettings.given(
                settings["jets"].get("reading", {}),
                executor=executor,
                workers=workers,
                dask=dask,
                events_per_chunk=events_per_chunk,
            ),
        }
    )
    selection = settings.model("unfolding.selection", SelectionSettings)
    part = read_part(manifest)
    task = EventProcessor(
        get_layout(part.layout),
        shared,
        selection,
        settings.seed,
        sample=part.sample,
        is_data=part.is_data,
        weights=next(iter(weights), None),
    )
    files, chunks = read_whole(part, manifest, task)
    if not chunks:
        raise InputError(f"{manifest}: the part has no events; leave it out of the sample")
    cutflow = count(chunks)
    report(cutflow)
    check(manifest, cutflow, sum(chunk["muons"] for chunk in chunks), is_data=part.is_data)
    rows = joined([chunk["rows"] for chunk in chunks])
    about = {
        "sample": part.sample,
        "part": part.part,
        "is_data": part.is_data,
        "events": part.events,
        "sum_of_weights": part.sum_of_weights,
        "cross_section_pb": part.cross_section_pb,
    }
    event_table.write(events, rows, UNITS, about)
    content = {
        **about,
        "layout": part.layout,
        "files": [{"path": file.path, "events_read": file.entry.events} for file in files],
        "files_skipped": [{"path": f.path, "reason": f.reason} for f in part.skipped],
        "rows": len(rows),
        "factors": list(rows.factors),
        "cutflow": cutflow,
        "rates": rates(rows),
    }
    write_text(summary, json.dumps(content, indent=1) + "\n")
