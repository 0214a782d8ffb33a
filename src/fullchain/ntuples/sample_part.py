"""One part of a generated sample: from the generator to the file and its manifest."""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fullchain.atomic import atomic
from fullchain.checksums import checksum
from fullchain.errors import InputError
from fullchain.ntuples import manifests, pool_file, processes, pythia_events
from fullchain.ntuples.detector_settings import DetectorSettings
from fullchain.ntuples.event_content import Collections
from fullchain.ntuples.generation_settings import (
    BLOCK,
    BeamSettings,
    GeneratedSample,
    ObjectSettings,
)
from fullchain.ntuples.nanoaod import Writer
from fullchain.ntuples.simulation import Simulation
from fullchain.progress import progress
from fullchain.step import Given

if TYPE_CHECKING:
    from fullchain.ntuples.shower_response import Showering

# Blocks that are written at once: enough for well-compressed baskets, little enough memory.
BLOCKS_PER_WRITE = 5


def write_part(
    *,
    initialisation: Path,
    generator: Path,
    pool: list[Path],
    sample: str,
    part: str,
    ntuple: Path,
    manifest: Path,
    settings: Given,
    showers: "Showering | None" = None,
) -> None:
    """Generate one part of a sample and describe it in a part manifest.

    Parameters
    ----------
    initialisation, generator, pool, sample, part, ntuple, manifest, settings
        As of the step `ntuples generate`.
    showers
        Response of the electromagnetic calorimeter; None: the resolution formula.
    """
    chosen = settings.model(f"ntuples.samples.{sample}", GeneratedSample)
    objects = settings.model("ntuples.objects", ObjectSettings)
    first, number = blocks_of(sample, chosen, part)
    beams = settings.model("ntuples.beams", BeamSettings)
    lines = processes.sample_lines(chosen, beams)
    pythia = pythia_events.open_pythia(
        [*lines, *processes.reuse_lines(str(initialisation), write=False)]
    )
    simulation = Simulation(
        pythia,
        sample,
        chosen,
        settings.seed,
        beams=beams,
        detector=settings.model("ntuples.detector", DetectorSettings),
        objects=objects,
        pool=_pool(sample, chosen, pool),
        showers=showers,
    )
    known = _cross_section(generator)
    with atomic(ntuple) as temporary:
        weights = write_blocks(temporary, simulation, first, number, objects.mantissa_bits, known)
        if showers is not None:
            showers.check()
            print(showers.summary(), file=sys.stderr)
        digest, size = checksum(temporary), temporary.stat().st_size
    file = manifests.SourceFile(
        path=ntuple.name,
        tree="Events",
        events=len(weights),
        sum_of_weights=math.fsum(weights),
        sha256=digest,
        size=size,
        entries=len(weights),
        sum_of_event_weights=math.fsum(weights),
    )
    with atomic(manifest) as temporary:
        manifests.write_part(
            temporary,
            manifests.PartManifest(
                sample=sample,
                part=part,
                layout="pfnano",
                files=(file,),
                cross_section_pb=known["cross_section_pb"],
            ),
        )


def blocks_of(name: str, sample: GeneratedSample, part: str) -> tuple[int, int]:
    """First block and number of blocks of a part.

    Raises
    ------
    InputError
        The sample has no such part.
    """
    begin = int(part) * sample.events_per_job
    end = min(begin + sample.events_per_job, sample.events)
    if begin >= end:
        raise InputError(
            f"sample {name} with {sample.events} events in jobs of {sample.events_per_job} has no "
            f"part {part}"
        )
    return begin // BLOCK, (end - begin) // BLOCK


def write_blocks(
    path: Path,
    simulation: Simulation,
    first: int,
    number: int,
    mantissa_bits: int,
    cross_section: dict[str, Any],
) -> list[float]:
    """Simulate blocks of events into a ROOT file; give the weights of the events."""
    writer = Writer(path, mantissa_bits)
    waiting: list[Collections] = []
    weights: list[float] = []
    with progress(f"{simulation.name}", number * BLOCK, "events") as advance:
        for block in simulation.blocks(first, number):
            waiting.append(block)
            weights += np.asarray(block[""].values["genWeight"]).tolist()
            if len(waiting) == BLOCKS_PER_WRITE:
                writer.write(waiting)
                waiting = []
            advance(BLOCK)
    if waiting:
        writer.write(waiting)
    writer.close(
        {
            "run": 1,
            "genEventCount": len(weights),
            "genEventSumw": math.fsum(weights),
            "genEventSumw2": math.fsum(weight**2 for weight in weights),
            "genCrossSection": cross_section["cross_section_pb"],
            "genCrossSectionError": cross_section["cross_section_error_pb"],
        },
        np.arange(first, first + number) + 1,
    )
    return weights


def _pool(name: str, sample: GeneratedSample, paths: list[Path]) -> Any:
    if not sample.has_pileup:
        return None
    if len(paths) != 1:
        raise InputError(f"sample {name} has pile-up: give one pool with --pool, not {len(paths)}")
    return pool_file.read(paths[0])


def _cross_section(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {key: float(content[key]) for key in ("cross_section_pb", "cross_section_error_pb")}
    except FileNotFoundError:
        raise InputError(f"{path}: missing; the rule ntuples_initialise writes it") from None
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as problem:
        raise InputError(f"{path}: holds no cross section ({problem}); remove it") from None
