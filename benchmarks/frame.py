"""How long the frame itself takes: start-up, import closures, and a run with nothing to do.

Run it in a folder with a finished run of the same configuration::

    python benchmarks/frame.py [--configfile config/test.yaml] [--repeat 5]

Prints the median and the range of each, with the promised limit beside it.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

PROMISED = {"fullchain --help": 0.5, "snakemake with nothing to do": 5.0}


def seconds(action: Callable[[], object], repeat: int) -> list[float]:
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return sorted(taken)


def command(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run(words, check=True, capture_output=True)


def all_closures() -> None:
    from fullchain.cli import steps
    from fullchain.dag import closure

    closure.code.cache_clear()
    for stage, modules in steps().items():
        for step in modules:
            closure.code(f"{stage}.{step}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", default="config/config.yaml")
    parser.add_argument("--repeat", type=int, default=5)
    chosen = parser.parse_args()
    overlay = ["--configfile", chosen.configfile]
    run = ["snakemake", "--cores", "1", *overlay]
    dry = subprocess.run([*run, "--dry-run", "--quiet"], capture_output=True, text=True)
    if "Nothing to be done" not in dry.stdout + dry.stderr:
        sys.exit("there is something to do in this folder: finish the run first")
    measured = {
        "fullchain --help": command("fullchain", "--help"),
        "import closures of all steps": all_closures,
        "fullchain why": command("fullchain", "why", *overlay),
        "snakemake with nothing to do": command(*run),
    }
    print(f"{'':<32}{'median':>9}{'min':>9}{'max':>9}{'promised':>10}")
    for name, action in measured.items():
        taken = seconds(action, chosen.repeat)
        limit = f"{PROMISED[name]:.1f} s" if name in PROMISED else "-"
        median = statistics.median(taken)
        print(f"{name:<32}{median:>7.2f} s{taken[0]:>7.2f} s{taken[-1]:>7.2f} s{limit:>10}")


if __name__ == "__main__":
    main()
