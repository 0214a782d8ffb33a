"""Compute the pile-up weights of all candidates of one part of a sample."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.jets.arrays import sums
from fullchain.ntuples.manifests import read_part
from fullchain.pileup.association import LEADING, PILEUP
from fullchain.pileup.classical_settings import ClassicalSettings
from fullchain.pileup.events import Events
from fullchain.pileup.methods import CLASSICAL, origins_of
from fullchain.pileup.reading import covers_whole_event, read_chunks
from fullchain.pileup.weight_file import weight_writer
from fullchain.progress import progress
from fullchain.step import Given, Input, Option, Output

EVENTS_PER_CHUNK = 500


def main(
    *,
    manifest: Annotated[Path, Input("part manifest of the ntuples")],
    method: Annotated[str, Option("puppi, softkiller, chs or none")],
    weights: Annotated[Path, Output("Parquet file, one row for each event")],
    summary: Annotated[Path, Output("events without vertex or pile-up, sums of pT")],
    settings: Given,
) -> None:
    """Weigh the candidates of one part.

    Of files with the candidates of their jets only, no weights are computed: the file has no rows,
    and the stage `jets` takes these jets as they are stored.

    Raises
    ------
    InputError
        The method is not known, or a file of the part is not what it should be.
    """
    if method not in CLASSICAL:
        raise InputError(f"--method {method}: known are {', '.join(CLASSICAL)}")
    chosen = settings.model("pileup.classical", ClassicalSettings)
    part = read_part(manifest)
    whole = covers_whole_event(part)
    counts: dict[str, float] = {}
    seconds = 0.0
    with (
        weight_writer(weights, method, part.sample, whole=whole) as writer,
        progress(f"{method}, {part.sample} {part.part}", total=part.events) as advance,
    ):
        for chunk in read_chunks(manifest, events_per_chunk=EVENTS_PER_CHUNK) if whole else ():
            start = time.process_time()
            found = CLASSICAL[method](chunk.events, chosen)
            seconds += time.process_time() - start
            events = chunk.events
            ids = (events.run, events.luminosity_block, events.event)
            writer.write(chunk.file, chunk.first, ids, found, events.event_offsets)
            for name, value in count(events, found, chosen).items():
                counts[name] = counts.get(name, 0) + value
            advance(len(events))
    content = {"sample": part.sample, "part": part.part, "method": method, **counts}
    if not whole:
        content["not_computed"] = f"layout {part.layout} has the candidates of its jets only"
    write_text(summary, json.dumps(content, indent=1) + "\n")
    print(f"{1e3 * seconds / max(part.events, 1):.2f} ms per event in the method, with compilation")


def count(events: Events, weights: Any, settings: ClassicalSettings) -> dict[str, float]:
    """Count what a user should know of some events: what is missing, and what was kept."""
    origin = origins_of(events, settings)

    def without(code: int) -> int:
        found = sums((origin == code).astype(np.float64), events.event_offsets)
        return int(np.sum(found == 0))

    return {
        "events": len(events),
        "candidates": len(events.pt),
        "candidates_kept": int(np.sum(weights > 0)),
        "pt_sum": float(np.nansum(events.pt)),
        "pt_sum_kept": float(np.nansum(events.pt * weights)),
        "events_without_tracks_of_the_leading_vertex": without(LEADING),
        "events_without_tracks_of_pileup": without(PILEUP),
    }
