"""What the start of processes costs over all jobs of a configuration, cold and with a warm server.

Run it in the project's folder; with a finished run whose jobs started warm (``make run``) it also
says which share of the CPU time of all jobs that is, warm and as if they had started cold: the
record of a warm job has the work without the start::

    python benchmarks/scale/start_up.py [--configfile config/test.yaml] [--repeat 5]
        [--results results/default] [--numbers start_up.json]

The cost of one start is what ``fullchain <stage> <step> --help`` takes: the command is found, all
that the step imports is imported, and its command line is made; the step itself does not run.
The jobs are those of a dry run that is told to do everything. Medians of the repetitions; the
range of a total is that of the sums of the least and of the largest.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from command_time import command_time

from fullchain.cli import steps
from fullchain.dag.plan import in_order, planned
from fullchain.warm_start import driver

COMMAND = [sys.executable, "-c", "from fullchain.entry import main; main()"]


def jobs(configfiles: list[Path]) -> Counter[str]:
    """Number of jobs of each step."""
    known = {f"{stage}.{step}" for stage, all in steps().items() for step in all}
    counted: Counter[str] = Counter()
    with planned(Path("Snakefile"), configfiles, [], {}) as dag:
        for job in in_order(dag):
            words = (job.shellcmd or "").split()
            if "fullchain" not in words:
                continue
            place = words.index("fullchain")
            step = f"{words[place + 1]}.{words[place + 2].replace('-', '_')}"
            if step not in known:
                sys.exit(f"rule {job.rule.name}: no step is called {step}")
            counted[step] += 1
    return counted


def of_server() -> float:
    """CPU time [s] of the server, its templates and the jobs that they have waited for."""
    spent = 0.0
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        spent += times.user + times.system + times.children_user + times.children_system
    return spent


def once(step: str, server: str | None) -> tuple[float, float]:
    """Wall and CPU time of one start [s]."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment.pop(driver.ADDRESS, None)
    if server:
        environment[driver.ADDRESS] = server
    spent = of_server()
    words = [*COMMAND, *step.split("."), "--help"]
    # A job that its server does not take starts cold, and says so.
    wall, cpu = command_time(words, Path.cwd(), environment, silent=True)
    return wall, cpu + of_server() - spent


def recorded(results: Path) -> tuple[float, int]:
    """CPU seconds of the work of all jobs of a finished run, and their number."""
    records = [json.loads(path.read_text()) for path in results.rglob("*.provenance.json")]
    return sum(record["cpu_seconds"] for record in records), len(records)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, nargs="+", default=[])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--results", type=Path, help="a finished warm run of this configuration")
    parser.add_argument("--steps", nargs="+", help="only these, for example jets.cluster")
    parser.add_argument("--numbers", type=Path, help="where to write the numbers as JSON")
    chosen = parser.parse_args()
    counted = jobs(chosen.configfile)
    if chosen.steps:
        counted = Counter({step: counted[step] for step in chosen.steps})
    end = driver.start()
    server = os.environ[driver.ADDRESS]
    first = time.perf_counter()
    once(next(iter(counted)), server)
    template = time.perf_counter() - first
    print(
        f"{'step':<28}{'jobs':>6}{'cold [s]':>10}{'warm [s]':>10}{'cold CPU':>10}{'warm CPU':>10}"
    )
    kinds = ("cold", "warm", "cold CPU", "warm CPU")
    totals = {kind: [0.0, 0.0, 0.0] for kind in kinds}
    numbers: dict[str, dict[str, object]] = {}
    for step, number in sorted(counted.items()):
        # Once for what the first start alone pays: byte code, and files read from the disk.
        once(step, None)
        # In turn, for the two to see the same machine.
        both = [(once(step, None), once(step, server)) for _ in range(chosen.repeat)]
        taken = {
            "cold": sorted(cold[0] for cold, _ in both),
            "warm": sorted(warm[0] for _, warm in both),
            "cold CPU": sorted(cold[1] for cold, _ in both),
            "warm CPU": sorted(warm[1] for _, warm in both),
        }
        middle = {kind: statistics.median(values) for kind, values in taken.items()}
        for kind, values in taken.items():
            for place, value in enumerate((middle[kind], values[0], values[-1])):
                totals[kind][place] += number * value
        numbers[step] = {"jobs": number, **taken}
        columns = "".join(f"{middle[kind]:>10.2f}" for kind in kinds)
        print(f"{step:<28}{number:>6}{columns}", flush=True)
    end()
    print(f"\n{counted.total()} jobs; the first warm job waits {template:.1f} s for the template")
    for kind, (median, least, largest) in totals.items():
        print(f"{kind:<10}{median:>9.1f} s  ({least:.1f} to {largest:.1f})")
    print(f"warm / cold: {totals['warm'][0] / totals['cold'][0]:.3f}", end="; ")
    print(f"of CPU: {totals['warm CPU'][0] / totals['cold CPU'][0]:.3f}")
    if chosen.results:
        total, number = recorded(chosen.results)
        if number == 0:
            sys.exit(f"{chosen.results}: no records of provenance there")
        print(f"{number} records, {total:.0f} s of CPU time for the work; the share of starts:")
        for kind in ("cold", "warm"):
            shares = [100 * start / (total + start) for start in totals[f"{kind} CPU"]]
            print(f"{kind}: {shares[0]:.1f} % ({shares[1]:.1f} to {shares[2]:.1f})")
    if chosen.numbers:
        chosen.numbers.write_text(json.dumps({"steps": numbers, "totals": totals}, indent=1))


if __name__ == "__main__":
    main()
