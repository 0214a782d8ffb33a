"""Simulate the same events with each response of the calorimeter, and compare jets and MET."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.atomic import write_text
from fullchain.calorimetry import (
    downstream_events,
    downstream_statistics,
    learned_source,
    shower_sources,
)
from fullchain.calorimetry.detector_settings import DetectorSettings as ShowerDetectorSettings
from fullchain.calorimetry.downstream_events import Generated, Observed
from fullchain.calorimetry.downstream_settings import DownstreamSettings
from fullchain.errors import InputError
from fullchain.learning.bootstrap import event_factors
from fullchain.ntuples import detector, processes, pythia_events
from fullchain.ntuples.detector_settings import DetectorSettings
from fullchain.ntuples.electromagnetic_settings import ResolutionResponse
from fullchain.ntuples.generation_settings import (
    BLOCK,
    BeamSettings,
    GeneratedSample,
    ObjectSettings,
)
from fullchain.ntuples.shower_response import Showering
from fullchain.ntuples.simulation import Simulation
from fullchain.progress import progress
from fullchain.seeds import stream
from fullchain.step import Given, Input, Option, Output

RESOLUTION, PARAMETERISED = "resolution", "parameterised"
REFERENCE = PARAMETERISED


def main(
    *,
    initialisation: Annotated[Path, Input("initialisation of multiparton interactions")],
    models: Annotated[list[Path], Input("trained models, in the order of the settings")] = [],  # noqa: B006
    sample: Annotated[str, Option("name of the sample")],
    numbers: Annotated[Path, Output("numbers, histograms and times of each response, JSON")],
    settings: Given,
) -> None:
    """Generate the events once, and run the detector with each response.

    Raises
    ------
    InputError
        Models and settings disagree, or a model was trained for another geometry or other energies.
    """
    how = settings.model("calorimetry.downstream", DownstreamSettings)
    if len(models) != len(how.models):
        raise InputError(
            f"calorimetry.downstream.models names {len(how.models)} models "
            f"({', '.join(how.models) or 'none'}), and --models gives {len(models)}"
        )
    name = how.response.detector
    showers = settings.model(f"calorimetry.detectors.{name}", ShowerDetectorSettings)
    calo = _with_formula(settings.model("ntuples.detector", DetectorSettings))
    with ExitStack() as stack:
        # Models first: what is wrong with one shows before the events are made.
        sources = {PARAMETERISED: shower_sources.parameterised(name, showers)}
        for model, path in zip(how.models, models, strict=True):
            sources[model] = stack.enter_context(learned_source.opened(path, name, showers))
        responses: dict[str, Showering | None] = {RESOLUTION: None}
        for kind, source in sources.items():
            random = stream(settings.seed, "ntuples", "shower calibration")
            responses[kind] = Showering(source, how.response, random)
        simulation = _simulation(sample, initialisation, calo, settings)
        blocks = _generated(simulation, how)
        found = {
            kind: Response(simulation, blocks, how, response)
            for kind, response in responses.items()
        }
    content = {
        "sample": sample,
        "events": how.events,
        "reference": REFERENCE,
        "settings": how.model_dump(mode="json"),
        "edges": {name: edges.tolist() for name, edges in downstream_statistics.EDGES.items()},
        "responses": _described(found, how, settings.seed),
    }
    write_text(numbers, json.dumps(content, allow_nan=False) + "\n")


class Response:
    """Events with one response.

    Parameters
    ----------
    simulation, blocks, how
        Where streams of random numbers come from, the events, the settings.
    showers
        The response; None: the resolution formula.
    """

    def __init__(
        self,
        simulation: Simulation,
        blocks: list[Generated],
        how: DownstreamSettings,
        showers: Showering | None,
    ) -> None:
        self.showers = showers
        self.seconds: list[float] = []
        observed = list(self._observed(simulation, blocks, how))
        self.observed = downstream_events.put_together(observed, BLOCK)
        if showers is not None:
            showers.check()
            print(showers.summary(), file=sys.stderr)

    def _observed(
        self, simulation: Simulation, blocks: list[Generated], how: DownstreamSettings
    ) -> Iterator[dict[str, Observed]]:
        for block, events in enumerate(blocks):
            random = simulation.random("detector", block)
            showers = self.showers and self.showers.of_block(simulation.random("showers", block))
            begin = time.process_time()
            found = detector.reconstruct(
                events.particles, events.events, simulation.detector, random, showers
            )
            self.seconds.append(time.process_time() - begin)
            observed = downstream_events.observe(found.candidates, events, how)
            if showers is not None and showers.crystals is not None:
                crystals = showers.crystals
                observed["crystal_energy"] = Observed(crystals.event, crystals.energy)
            yield observed


def _with_formula(settings: DetectorSettings) -> DetectorSettings:
    """Give the detector, whose own response does not matter here."""
    calorimeter = settings.calorimeter.model_copy(update={"electromagnetic": ResolutionResponse()})
    return settings.model_copy(update={"calorimeter": calorimeter})


def _simulation(
    name: str, initialisation: Path, chosen: DetectorSettings, settings: Given
) -> Simulation:
    """Open the generator of a sample, without pile-up and without weights, which cost time."""
    sample = settings.model(f"ntuples.samples.{name}", GeneratedSample)
    sample = sample.model_copy(
        update={"pileup": 0.0, "pileup_profile": {}, "shower_weights": False}
    )
    beams = settings.model("ntuples.beams", BeamSettings)
    lines = processes.sample_lines(sample, beams)
    pythia = pythia_events.open_pythia(
        [*lines, *processes.reuse_lines(str(initialisation), write=False)]
    )
    return Simulation(
        pythia,
        name,
        sample,
        settings.seed,
        beams=beams,
        detector=chosen,
        objects=ObjectSettings(),
    )


def _generated(simulation: Simulation, how: DownstreamSettings) -> list[Generated]:
    blocks = []
    with progress(simulation.name, how.events, "events") as advance:
        for block in range(how.events // BLOCK):
            records = simulation.records(block)
            length = simulation.beams.spot_length
            vertex_z = simulation.random("vertex", block).normal(0.0, length, BLOCK)
            blocks.append(downstream_events.generated(records, vertex_z, how))
            advance(BLOCK)
    return blocks


def _described(
    responses: dict[str, Response], how: DownstreamSettings, seed: int
) -> dict[str, Any]:
    """Give the numbers of each response, and how they differ from those of the reference."""
    factors = np.stack(list(event_factors(np.arange(how.events), how.replicas, seed, "downstream")))
    values = {
        name: downstream_statistics.numbers(one.observed, factors)
        for name, one in responses.items()
    }
    histograms = {
        name: {
            what: downstream_statistics.histogram(one.observed[what], edges, factors)
            for what, edges in downstream_statistics.EDGES.items()
            if what in one.observed
        }
        for name, one in responses.items()
    }
    found = {}
    for name, one in responses.items():
        found[name] = {
            "numbers": {
                what: downstream_statistics.pair(replicas)
                for what, replicas in values[name].items()
            },
            "difference": {}
            if name == REFERENCE
            else {
                what: downstream_statistics.pair(replicas - values[REFERENCE][what])
                for what, replicas in values[name].items()
            },
            "histograms": {
                what: downstream_statistics.described(
                    replicas, None if name == REFERENCE else histograms[REFERENCE].get(what)
                )
                for what, replicas in histograms[name].items()
            },
            "time": _times(one),
            "showers": _showers(one),
        }
    return found


def _times(one: Response) -> dict[str, Any]:
    """CPU time of the whole detector for each event [ms], with its error over blocks."""
    each = 1000.0 * np.array(one.seconds) / BLOCK
    error = float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else None
    return {"ms_per_event": [float(each.mean()), error]}


def _showers(one: Response) -> dict[str, Any] | None:
    if one.showers is None:
        return None
    counts = one.showers.counts
    return {
        "particles": counts.number,
        "energy_gev": counts.energy,
        "calibration": one.showers.calibration.described(),
    }
