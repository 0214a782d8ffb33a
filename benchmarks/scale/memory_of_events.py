"""What events for unfolding take in memory, for each MB of their Parquet tables.

Reads the tables of a finished run and adds up the most that Python with NumPy and the most that
Arrow held meanwhile, which for small tables says more than the memory of the process::

    python benchmarks/scale/memory_of_events.py results/test/unfolding/events/zmumu/*.parquet

`rules/unfolding.smk` asks for memory in proportion to this size. What a step needs beside its
events (replicas, networks) is not measured here.
"""

import argparse
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fullchain.unfolding import event_table


def measured(paths: list[Path], particles: bool) -> tuple[int, float, float]:
    """Give the number of events, and what is kept and the peak [MB]."""
    names = pq.read_schema(paths[0]).names
    if particles and "gen_particles" not in names:
        raise SystemExit(f"{paths[0]}: no particles")
    shifts = [one.removeprefix("pass_reco__") for one in names if one.startswith("pass_reco__")]
    factors = [one.removeprefix("w_") for one in names if one.startswith("w_")]
    observables = event_table.observables(paths[0])
    options = {"particles": particles, "shifts": shifts, "factors": factors}
    event_table.read(paths, observables, **options)  # the first read imports libraries
    pool = pa.system_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    found = event_table.read(paths, observables, **options)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    kept, peak = kept + pool.bytes_allocated(), peak + pool.max_memory()
    return len(found), kept / 1e6, peak / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--particles", action="store_true", help="read the particles, too")
    chosen = parser.parse_args()
    size = sum(path.stat().st_size for path in chosen.tables) / 1e6
    events, kept, peak = measured(chosen.tables, chosen.particles)
    print(
        f"{'with' if chosen.particles else 'without'} particles: {events} events, {size:.2f} MB of "
        f"files; kept {kept:.2f} MB, {kept / size:.1f} times; peak {peak / size:.1f} times"
    )


if __name__ == "__main__":
    main()
