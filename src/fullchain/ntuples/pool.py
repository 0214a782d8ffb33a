"""Generate the minimum-bias collisions from which pile-up is drawn."""

from pathlib import Path
from typing import Annotated

from fullchain.atomic import atomic
from fullchain.ntuples import pool_file, processes, pythia_events
from fullchain.ntuples.generation_settings import BLOCK, BeamSettings, PoolSettings
from fullchain.progress import track
from fullchain.seeds import derive
from fullchain.step import Given, Output


def main(
    *,
    pool: Annotated[Path, Output("pool of minimum-bias collisions, ROOT")],
    settings: Given,
) -> None:
    """Generate inelastic collisions in blocks, each from its own seed, and keep final particles."""
    chosen = settings.model("ntuples.pool", PoolSettings)
    beams = settings.model("ntuples.beams", BeamSettings)
    pythia = pythia_events.open_pythia(processes.pool_lines(chosen, beams))
    blocks = []
    for block in track(range(chosen.events // BLOCK), "minimum bias", unit=f"x {BLOCK} events"):
        seed = derive(settings.seed, "ntuples", "pool", block)
        records = pythia_events.flatten(pythia_events.generate(pythia, seed, BLOCK), [])
        blocks.append(pool_file.pool_particles(records, chosen.eta_max))
    with atomic(pool) as temporary:
        pool_file.write(temporary, blocks, BLOCK)
