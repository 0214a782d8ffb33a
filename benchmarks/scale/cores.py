"""Wall time of generation and jets with one core and with two.

A sample of top quark pairs is generated in equal parts and its jets are clustered, in a folder of
its own, by the rules of the workflow; what all parts share (the initialisation of Pythia) is made
before and is not counted, the start of Snakemake is::

    python benchmarks/scale/cores.py [--parts 8] [--events 500] [--repeat 3]
    # jobs of a cluster instead of cores, two parts of jets in each
    python benchmarks/scale/cores.py --profile profiles/slurm -- --group-components jets=2

Prints the median and range of each, and of the ratio of each pair of runs. With
``FULLCHAIN_WARM=1`` the jobs start warm.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import yaml
from command_time import command_time
from linked import link

PROMISED = 1.8
RUN = "scaling"


def prepare(folder: Path, parts: int, events: int) -> list[str]:
    """Lay out a folder for the workflow; give the files to make."""
    link(folder)
    sample = {"events": parts * events, "events_per_job": events}
    overlay = {"run": RUN, "ntuples": {"samples": {"tt": sample}}}
    (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay))
    return [f"results/{RUN}/jets/tt/{number:04d}.parquet" for number in range(parts)]


def snakemake(folder: Path, targets: list[str], *options: str) -> float:
    """Run the workflow; give its wall time [s]."""
    words = [sys.executable, "-m", "snakemake", *targets, *options]
    words += ["--configfile", "config/test.yaml", "overlay.yaml"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return command_time(words, folder, {**os.environ, "PATH": path})[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--events", type=int, default=500, help="in each part")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cores", type=int, nargs=2, default=[1, 2])
    parser.add_argument("--profile", help="of a cluster; --cores is then the number of its jobs")
    parser.add_argument("--folder", type=Path, help="where to work: shared with the nodes")
    parser.add_argument("--numbers", type=Path, help="where to write the numbers as JSON")
    parser.add_argument("options", nargs="*", help="further options of Snakemake, after --")
    chosen = parser.parse_args()
    taken: dict[int, list[float]] = {cores: [] for cores in chosen.cores}
    with tempfile.TemporaryDirectory(dir=chosen.folder) as place:
        folder = Path(place)
        targets = prepare(folder, chosen.parts, chosen.events)
        # The first part makes what the others share, and compiles what is compiled once.
        snakemake(folder, targets[:1], "--cores", "1")
        for _ in range(chosen.repeat):
            for cores in chosen.cores:
                for path in (folder / "results" / RUN).glob("*/tt/0*"):
                    path.unlink()
                shutil.rmtree(folder / "results" / RUN / "jets")
                how = ["--cores", str(cores)]
                if chosen.profile:
                    how = ["--profile", chosen.profile, "--jobs", str(cores)]
                taken[cores].append(snakemake(folder, targets, *how, *chosen.options))
    kind = "jobs at once" if chosen.profile else "cores"
    print(f"{chosen.parts} parts of {chosen.events} events; wall time [s]")
    for cores, values in taken.items():
        middle, least, largest = statistics.median(values), min(values), max(values)
        print(f"{cores} {kind}: {middle:.1f} ({least:.1f} to {largest:.1f})")
    one, more = (taken[cores] for cores in chosen.cores)
    ratios = [slow / fast for slow, fast in zip(one, more, strict=True)]
    print(
        f"ratio: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f});"
        f" at least {PROMISED} is promised"
    )
    if chosen.numbers:
        chosen.numbers.write_text(json.dumps({"parts": chosen.parts, "wall": taken}, indent=1))


if __name__ == "__main__":
    main()
