"""What building the DAG takes, beside a bare workflow with as many jobs and inputs.

Run it in the project's folder, or in one with links to Snakefile, rules, config and profiles::

    python benchmarks/scale/dag.py [--configfile config/paper.yaml] [--repeat 5]

Both are dry runs in which everything has to be done, for the paper configuration if no other is
named. The bare workflow has one rule whose jobs stand in layers of a hundred; each reads the
outputs of so many jobs of the layer before as ours have inputs on average.

With ``--finished`` it measures ours where nothing is left to do instead: all outputs are there, as
empty files that ``snakemake --touch`` has marked as made by the present code and settings.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from command_time import command_time
from linked import link

from fullchain.dag.plan import in_order, planned

LIMIT = 30
LIMIT_FINISHED = 10
LAYER = 100

BARE = """
LAYER, JOBS, INPUTS = (int(config[name]) for name in ("layer", "jobs", "inputs"))

def before(wildcards):
    number = int(wildcards.number)
    first = (number // LAYER - 1) * LAYER
    return [f"out/{first + (number + i) % LAYER}" for i in range(INPUTS)] if first >= 0 else []

rule all:
    input:
        [f"out/{number}" for number in range(JOBS)],

rule one:
    input:
        before,
    output:
        "out/{number}",
    shell:
        "touch {output:q}"
"""


def run(folder: Path, *options: str) -> tuple[float, float]:
    """Wall and CPU time [s] of Snakemake with some options."""
    words = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all", *options]
    return command_time(words, folder)


def fill(folder: Path, jobs: list[Any]) -> None:
    """Write all outputs as empty files, each a second younger than the one before."""
    outputs = [folder / str(output) for job in jobs for output in job.output]
    start = time.time() - len(outputs)
    for number, path in enumerate(outputs):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (start + number, start + number))


def nothing_to_do(jobs: list[Any], options: list[str], repeat: int) -> list[tuple[float, float]]:
    """Wall and CPU time [s] of dry runs in a folder where all is done."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        link(folder)
        fill(folder, jobs)
        run(folder, "--touch", "--forceall", *options)
        taken = [run(folder, "-n", *options) for _ in range(repeat)]
        # Without --quiet, for the sentence that says so.
        words = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", *options]
        command_time(words, folder, expected="Nothing to be done")
    return taken


def everything_to_do(
    jobs: list[Any], options: list[str], repeat: int
) -> dict[str, list[tuple[float, float]]]:
    """Wall and CPU time [s] of dry runs of ours and of the bare workflow, in turn."""
    inputs = round(statistics.mean(len(job.input) for job in jobs))
    sizes = {"layer": LAYER, "jobs": len(jobs), "inputs": inputs}
    taken: dict[str, list[tuple[float, float]]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "Snakefile").write_text(BARE)
        bare = ["--config", *(f"{name}={value}" for name, value in sizes.items())]
        for _ in range(repeat):
            taken["ours"].append(run(Path.cwd(), "-n", *options))
            taken["bare"].append(run(Path(place), "-n", *bare))
    print(f"{inputs} inputs each on average")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, nargs="+", default=[Path("config/paper.yaml")])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--finished", action="store_true", help="with nothing left to do")
    parser.add_argument("--numbers", type=Path, help="where to write the numbers as JSON")
    chosen = parser.parse_args()
    with planned(Path("Snakefile"), chosen.configfile, [], {}) as dag:
        jobs = in_order(dag)
    limit = LIMIT_FINISHED if chosen.finished else LIMIT
    print(f"{len(jobs)} jobs; at most {limit} s are promised")
    options = ["--configfile", *(str(path.resolve()) for path in chosen.configfile)]
    if chosen.finished:
        taken = {"finished": nothing_to_do(jobs, options, chosen.repeat)}
    else:
        taken = everything_to_do(jobs, options, chosen.repeat)
    for kind, pairs in taken.items():
        for title, values in zip(("wall", "CPU"), zip(*pairs, strict=True), strict=True):
            middle = statistics.median(values)
            print(f"{kind}, {title:<5}{middle:>7.1f} s  ({min(values):.1f} to {max(values):.1f})")
    if chosen.numbers:
        chosen.numbers.write_text(json.dumps({"jobs": len(jobs), **taken}, indent=1))


if __name__ == "__main__":
    main()
