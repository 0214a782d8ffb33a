"""How long a second user waits who shares a cache with the first.

Runs a configuration twice, in two new folders with one new cache, and compares::

    python benchmarks/scale/shared_cache.py [--configfile config/test.yaml] [--cores 2]
        [--folder DIR] [targets ...]

Prints wall and CPU time of both runs with their ratios, how many jobs of the second were restored,
and which rules took most of its time. The exit status is 1 where the second takes a fifth of the
first or more, or where a file differs that was restored.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from command_time import command_time
from linked import link

PROMISED = 0.2


@dataclass
class Run:
    """Folder and cost [s] of one run."""

    folder: Path
    wall: float
    cpu: float


def run(folder: Path, cache: Path, command: list[str]) -> Run:
    folder.mkdir(parents=True)
    link(folder)
    environment = {**os.environ, "FULLCHAIN_CACHE": str(cache)}
    return Run(folder, *command_time(command, folder, environment))


def restored(folder: Path) -> dict[Path, bool]:
    """Whether each job was restored, by its log."""
    return {
        log.relative_to(folder): "restored from" in log.read_text(errors="replace")
        for log in folder.glob("results/*/logs/**/*.log")
    }


def seconds_by_rule(folder: Path) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for table in folder.glob("results/*/benchmarks/**/*.tsv"):
        rule = table.relative_to(folder).parts[3]
        found[rule] += float(table.read_text().splitlines()[1].split("\t")[0])
    return dict(sorted(found.items(), key=lambda one: -one[1]))


def files(folder: Path) -> dict[Path, str]:
    """Checksum of each result, without logs, times and records."""
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("results/*/**/*")
        if path.is_file()
        and path.relative_to(folder).parts[2] not in ("logs", "benchmarks")
        and not path.name.endswith(".provenance.json")
    }


def restored_files(folder: Path) -> set[Path]:
    """Outputs whose record says that they were restored."""
    records = [json.loads(path.read_text()) for path in folder.rglob("*.provenance.json")]
    return {Path(path) for one in records if "restored" in one for path in one["outputs"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile")
    parser.add_argument("--cores", default="2")
    parser.add_argument("--folder", type=Path, help="for both runs; default: a temporary one")
    parser.add_argument("targets", nargs="*")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix="shared_cache.") as name:
        place = Path(name)
        cache = place / "cache"
        cache.mkdir()
        command = ["snakemake", "--cores", chosen.cores, "--logger", "rich"]
        command += ["--configfile", chosen.configfile] if chosen.configfile else []
        command += ["--", *chosen.targets] if chosen.targets else []
        first, second = (run(place / user, cache, command) for user in ("first", "second"))
        report(first, second, cache)


def report(first: Run, second: Run, cache: Path) -> None:
    jobs = restored(second.folder)
    before, after = files(first.folder), files(second.folder)
    other = sorted(path for path in before if before[path] != after.get(path))
    wrong = restored_files(second.folder) & set(other)
    size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) / 1e6
    print(f"{'':<12}{'first':>10}{'second':>10}{'ratio':>9}{'promised':>10}")
    wall, cpu = second.wall / first.wall, second.cpu / first.cpu
    print(f"{'wall':<12}{first.wall:>8.1f} s{second.wall:>8.1f} s{wall:>9.3f}{PROMISED:>10.3f}")
    print(f"{'CPU':<12}{first.cpu:>8.1f} s{second.cpu:>8.1f} s{cpu:>9.3f}")
    print(f"{sum(jobs.values())} of {len(jobs)} jobs restored, {size:.0f} MB in the cache")
    print("computed: " + ", ".join(sorted({p.parts[3] for p, kept in jobs.items() if not kept})))
    print(f"{len(before)} files, {len(other)} of them differ: {', '.join(map(str, other)) or '-'}")
    print("wall time of the second run by rule, with waiting for the other core:")
    for rule, taken in list(seconds_by_rule(second.folder).items())[:12]:
        print(f"  {rule:<32}{taken:>8.2f} s")
    if wrong:
        sys.exit(f"restored, but not equal: {', '.join(map(str, sorted(wrong)))}")
    if wall >= PROMISED:
        sys.exit("the second run takes a fifth of the first, or more")


if __name__ == "__main__":
    main()
