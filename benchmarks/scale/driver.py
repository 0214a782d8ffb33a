"""What Snakemake itself takes for each job: bare, and with what every rule of this project has.

Both workflows run the same trivial command, ``echo``, in so many jobs with one input, one output
and two parameters. Ours has besides them what each rule has: the checked configuration, ``code``
and ``settings`` as long texts, a log, a benchmark table, a message, resources, a profile::

    python benchmarks/scale/driver.py [--jobs 50 200] [--repeat 5]

A run of few jobs is subtracted from one of many, so that the start of Snakemake does not count. The
two are measured in turn; the ratio is that of each pair: its median and range.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from command_time import command_time

PROJECT = Path(__file__).resolve().parents[2]
LIMIT = 1.5

BARE = """
rule all:
    input:
        expand("trivial/{part}.txt", part=[f"{n:04d}" for n in range(int(config["jobs"]))]),

rule trivial:
    input:
        "start",
    output:
        "trivial/{part}.txt",
    params:
        one="a",
        two="b",
    shell:
        "echo {wildcards.part} > {output:q}"
"""

OURS = """
JOBS = int(config.pop("jobs"))
workflow.config_settings.config.pop("jobs", None)

configfile: "config/config.yaml"

include: "rules/common.smk"

rule all:
    input:
        [result(f"trivial/{n:04d}.txt") for n in range(JOBS)],
    default_target: True

rule trivial:
    input:
        "start",
    output:
        result("trivial/{part}.txt"),
    log:
        log_of("trivial", "{part}"),
    benchmark:
        bench_of("trivial", "{part}")
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
        gpu=0,
    params:
        code=code("jets.cluster"),
        settings=settings("seed", "jets"),
    message:
        "part {wildcards.part}"
    shell:
        "echo {wildcards.part} > {output:q} 2> {log:q}"
"""

WORKFLOWS = {"bare": BARE, "ours": OURS}


def run(kind: str, jobs: int) -> tuple[float, float]:
    """Wall and CPU time [s] of a run from nothing, jobs included."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "Snakefile").write_text(WORKFLOWS[kind])
        (folder / "start").write_text("")
        if kind == "ours":
            for name in ("rules", "config", "workflow", "profiles"):
                (folder / name).symlink_to(PROJECT / name)
        times = command_time(
            [*(sys.executable, "-m", "snakemake", "--cores", "1"), "--config", f"jobs={jobs}"],
            folder,
            {**os.environ, "PYTHONPATH": str(PROJECT / "src")},
        )
        if len(list(folder.rglob("trivial/*.txt"))) != jobs:
            sys.exit(f"{kind}: not all of {jobs} jobs have run")
    return times


def per_job(kind: str, few: int, many: int) -> tuple[float, float]:
    """Wall and CPU time [s] of one job more."""
    less, more = run(kind, few), run(kind, many)
    return (more[0] - less[0]) / (many - few), (more[1] - less[1]) / (many - few)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs=2, default=[50, 200])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--numbers", type=Path, help="where to write the numbers as JSON")
    chosen = parser.parse_args()
    # Once for byte code and the analyses of the sources.
    run("ours", 1)
    taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in WORKFLOWS}
    for _ in range(chosen.repeat):
        for kind in WORKFLOWS:
            taken[kind].append(per_job(kind, *chosen.jobs))
    print(f"{'for each job':<16}{'median':>10}{'min':>10}{'max':>10}")
    for place, title in enumerate(("wall [ms]", "CPU [ms]")):
        for kind, pairs in taken.items():
            values = sorted(1000 * pair[place] for pair in pairs)
            middle = statistics.median(values)
            print(f"{kind + ', ' + title:<16}{middle:>10.1f}{values[0]:>10.1f}{values[-1]:>10.1f}")
        both = zip(taken["ours"], taken["bare"], strict=True)
        ratios = sorted(ours[place] / bare[place] for ours, bare in both)
        print(
            f"{'ratio':<16}{statistics.median(ratios):>10.2f}{ratios[0]:>10.2f}{ratios[-1]:>10.2f}"
            f"   (at most {LIMIT} is promised)"
        )
    if chosen.numbers:
        chosen.numbers.write_text(json.dumps({"jobs": chosen.jobs, **taken}, indent=1))


if __name__ == "__main__":
    main()
