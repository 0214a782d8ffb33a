"""What building the DAG takes, beside a bare workflow with as many jobs and inputs.

Run it in the project's folder, or in one with links to Snakefile, rules, config and profiles::

    python benchmarks/scale/dag.py [--configfile config/paper.yaml] [--repeat 5]

Both are dry runs in which everything has to be done, for the paper configuration if no other is
named. The bare workflow has one rule whose jobs stand in layers of a hundred; each reads the
outputs of so many jobs of the layer before as ours have inputs on average. In a folder with a
finished run ours is what a run with nothing to do takes.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from command_time import command_time

from fullchain.dag.plan import in_order, planned

LIMIT = 30
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


def dry_run(folder: Path, *options: str) -> tuple[float, float]:
    """Wall and CPU time [s]."""
    words = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", "--quiet", "all", *options]
    return command_time(words, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, nargs="+", default=[Path("config/paper.yaml")])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--numbers", type=Path, help="where to write the numbers as JSON")
    chosen = parser.parse_args()
    with planned(Path("Snakefile"), chosen.configfile, [], {}) as dag:
        jobs = in_order(dag)
        inputs = round(statistics.mean(len(job.input) for job in jobs))
    sizes = {"layer": LAYER, "jobs": len(jobs), "inputs": inputs}
    taken: dict[str, list[tuple[float, float]]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "Snakefile").write_text(BARE)
        bare = ["--config", *(f"{name}={value}" for name, value in sizes.items())]
        ours = ["--configfile", *map(str, chosen.configfile)]
        for _ in range(chosen.repeat):
            taken["ours"].append(dry_run(Path.cwd(), *ours))
            taken["bare"].append(dry_run(Path(place), *bare))
    print(f"{len(jobs)} jobs with {inputs} inputs each; at most {LIMIT} s are promised")
    for kind, pairs in taken.items():
        for title, values in zip(("wall", "CPU"), zip(*pairs, strict=True), strict=True):
            middle = statistics.median(values)
            print(f"{kind}, {title:<5}{middle:>7.1f} s  ({min(values):.1f} to {max(values):.1f})")
    if chosen.numbers:
        chosen.numbers.write_text(json.dumps({**sizes, **taken}, indent=1))


if __name__ == "__main__":
    main()
