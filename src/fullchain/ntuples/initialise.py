"""Initialise Pythia for a sample: multiparton interactions and the cross section."""

import json
from pathlib import Path
from typing import Annotated

from fullchain.atomic import atomic, write_text
from fullchain.ntuples import processes, pythia_events
from fullchain.ntuples.generation_settings import BeamSettings, GeneratedSample
from fullchain.seeds import derive
from fullchain.step import Given, Option, Output


def main(
    *,
    sample: Annotated[str, Option("name of the sample")],
    initialisation: Annotated[Path, Output("initialisation of multiparton interactions")],
    generator: Annotated[Path, Output("cross section, JSON")],
    settings: Given,
) -> None:
    """Write what all jobs of a sample share, so that no job depends on what another one did.

    The cross section is integrated once, over hard processes alone, and not in the jobs: it is more
    precise than what a few thousand events give, and the same for any number of jobs.
    """
    beams = settings.model("ntuples.beams", BeamSettings)
    chosen = settings.model(f"ntuples.samples.{sample}", GeneratedSample)
    lines = processes.sample_lines(chosen, beams)
    with atomic(initialisation) as temporary:
        # Pythia asks for a name without a folder-dependent meaning; a relative path is one.
        pythia_events.open_pythia([*lines, *processes.reuse_lines(str(temporary), write=True)])
    value, error = pythia_events.cross_section(
        processes.process_level_lines(lines),
        settings["ntuples.cross_section_events"],
        derive(settings.seed, "ntuples", sample, "cross section"),
    )
    content = {
        "sample": sample,
        "process": chosen.process,
        "cross_section_pb": value,
        "cross_section_error_pb": error,
    }
    write_text(generator, json.dumps(content, indent=1) + "\n")
