"""From the generator to the content of events, block by block."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fullchain.ntuples import detector, pythia_events, truth
from fullchain.ntuples.detector_settings import DetectorSettings
from fullchain.ntuples.event_content import Collections, Simulated, collections
from fullchain.ntuples.generation_settings import (
    BLOCK,
    BeamSettings,
    GeneratedSample,
    ObjectSettings,
)
from fullchain.ntuples.particles import concatenate
from fullchain.ntuples.pileup_overlay import Overlay, Pool, draw_means, overlay
from fullchain.seeds import derive, stream

if TYPE_CHECKING:
    from fullchain.ntuples.shower_response import Showering


class Simulation:
    """A sample's generator, pile-up and detector.

    Block i holds events i*BLOCK to (i+1)*BLOCK of the sample. Its random numbers come from streams
    of its own, one for each part of the simulation: a block is the same in whichever job it is
    made.

    Parameters
    ----------
    pythia
        Initialised generator.
    name, sample
        The sample.
    seed
        The seed of the configuration.
    pool
        Minimum-bias collisions; needed by a sample with pile-up.
    showers
        Response of the electromagnetic calorimeter; None: the resolution formula.
    """

    def __init__(
        self,
        pythia: Any,
        name: str,
        sample: GeneratedSample,
        seed: int,
        *,
        beams: BeamSettings,
        detector: DetectorSettings,
        objects: ObjectSettings,
        pool: Pool | None = None,
        showers: "Showering | None" = None,
    ) -> None:
        if sample.has_pileup and pool is None:
            raise ValueError(f"sample {name} has pile-up, but no pool was given")
        self.pythia = pythia
        self.name = name
        self.sample = sample
        self.seed = seed
        self.beams = beams
        self.detector = detector
        self.objects = objects
        self.pool = pool
        self.showers = showers

    def blocks(self, first: int, number: int) -> Iterator[Collections]:
        """Make `number` blocks of events, from block `first`."""
        for block in range(first, first + number):
            yield collections(self.simulate(block), self.objects)

    def random(self, purpose: str, block: int) -> np.random.Generator:
        """Give the stream of one part of the simulation of a block."""
        return stream(self.seed, "ntuples", self.name, purpose, block)

    def records(self, block: int) -> pythia_events.Records:
        """Generate the hard collisions of a block."""
        seed = derive(self.seed, "ntuples", self.name, block)
        batch = pythia_events.generate(self.pythia, seed, BLOCK)
        weighted = self.sample.shower_weights
        variations = pythia_events.weight_columns(self.pythia) if weighted else []
        return pythia_events.flatten(batch, variations)

    def simulate(self, block: int) -> Simulated:
        """Make a block of events."""
        records = self.records(block)
        vertex_z = self.random("vertex", block).normal(0.0, self.beams.spot_length, BLOCK)
        particles = truth.detector_particles(records, vertex_z)
        mean, number = np.zeros(BLOCK), np.zeros(BLOCK, dtype=np.int64)
        if self.sample.has_pileup:
            added = self._pileup(block)
            mean, number = added.mean, added.number
            particles = concatenate([particles, added.particles])
        showers = self.showers and self.showers.of_block(self.random("showers", block))
        reconstructed = detector.reconstruct(
            particles, BLOCK, self.detector, self.random("detector", block), showers
        )
        return Simulated(
            block=block,
            number=block * BLOCK,
            records=records,
            reconstructed=reconstructed,
            vertex_z=vertex_z,
            pileup_mean=mean,
            pileup_number=number,
        )

    def _pileup(self, block: int) -> Overlay:
        assert self.pool is not None
        random = self.random("pile-up", block)
        means = draw_means(BLOCK, self.sample.pileup, self.sample.pileup_profile, random)
        return overlay(self.pool, means, self.beams.spot_length, random)
