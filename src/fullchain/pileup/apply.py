"""Weigh all candidates of a part of a sample with a trained method.

The weight is the mean over the trainings that are given: all of a method, or one of them, so that
the spread over seeds can be measured.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np

from fullchain.learning import device
from fullchain.ntuples.manifests import read_part
from fullchain.pileup import learned_file
from fullchain.pileup.candidate_events import CandidateEvents, candidate_events
from fullchain.pileup.learned_file import Trained
from fullchain.pileup.learned_weights import learned_weights
from fullchain.pileup.reading import covers_whole_event, read_chunks
from fullchain.pileup.weight_file import checked, weight_writer
from fullchain.progress import progress
from fullchain.step import Given, Input, Option, Output

EVENTS = 50  # read at a time


def main(
    *,
    manifest: Annotated[Path, Input("part manifest of the ntuples")],
    models: Annotated[list[Path], Input("model.pt of trainings of one method")],
    method: Annotated[str, Option("name of the weights, such as graph or graph_seed0")],
    weights: Annotated[Path, Output("Parquet file, one row for each event")],
    settings: Given,
) -> None:
    """Read candidates piece by piece, write their weights.

    Of files with the candidates of their jets only, no weights are computed: the file has no rows.

    Raises
    ------
    InputError
        A part that cannot be read, a model that is none, or one that gives what is no weight.
    """
    trained = learned_file.read_models(models)
    chosen = trained[0].settings
    place = device.choose(chosen.training.device)
    for one in trained:
        one.network.to(place)
    part = read_part(manifest)
    whole = covers_whole_event(part)
    seconds = 0.0
    with (
        device.repeatable(chosen.training.threads),
        device.keeping_memory(),
        weight_writer(weights, method, part.sample, whole=whole) as writer,
        progress(f"{method}, {part.sample} {part.part}", total=part.events) as advance,
    ):
        for chunk in read_chunks(manifest, events_per_chunk=EVENTS) if whole else ():
            start = time.process_time()
            candidates = candidate_events(chunk.events, chosen.association)
            found = np.mean([_weights(one, candidates, models) for one in trained], axis=0)
            seconds += time.process_time() - start
            ids = (chunk.events.run, chunk.events.luminosity_block, chunk.events.event)
            writer.write(chunk.file, chunk.first, ids, found, chunk.events.event_offsets)
            advance(len(chunk.events))
    print(f"{1e3 * seconds / max(part.events, 1):.2f} ms per event in {len(trained)} trainings")


def _weights(trained: Trained, events: CandidateEvents, models: list[Path]) -> np.ndarray:
    found = learned_weights(trained.network, events, trained.settings)
    return checked(found, f"{', '.join(map(str, models))}, training seed{trained.member}")
