"""Peak memory of steps against the number of events of a sample, up to a million.

Run it with a finished run of the test configuration (or any other with the samples)::

    python benchmarks/scale/million_events.py results/test --events 10000 100000 1000000

The jets and scores of two samples of that run are repeated under shifted event numbers until there
are as many events as asked for, in parts of 10 000 events: the physics repeats itself, the size is
real. Flat steps get jets without constituents (lists of length zero: they do not read them), so
that a million events take some gigabytes of disk instead of tens. `jets cluster` works on one part
at a time whatever the size of the sample: it is measured on parts of several sizes, made of one
ROOT file under several names.

Of each step it prints the peak resident memory of its process (`ru_maxrss`), which other work on
the machine does not change, and its CPU time, which it hardly does; and fails where a step needs
more than the limit.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fullchain.ntuples.manifests import PartManifest, read_part, write_part

EVENTS_PER_PART = 10_000
NEXT = 1_000_000
"""Shift of the event numbers from one copy to the next."""

SAMPLES = ("qcd", "tt")


@dataclass(frozen=True)
class Measured:
    """Peak resident memory [MB] and CPU time [s] of one process."""

    memory: float
    cpu: float


ALONE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=sys.stderr)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime]))
sys.exit(done.returncode)
"""
"""A small process between: the peak of a process counts that of the one it was forked from."""


def run(step: str, log: Path, *words: object) -> Measured:
    """Run a step in a process of its own; ends this program where it fails."""
    step_command = [sys.executable, "-m", "fullchain", *step.split(), *map(str, words)]
    command = [sys.executable, "-c", ALONE, *step_command]
    with log.open("wb") as output:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=output, check=False)
    if done.returncode:
        sys.exit(f"{step} failed:\n{log.read_text()[-2000:]}")
    return Measured(*json.loads(done.stdout))


def settings(values: dict[str, Any], *paths: str) -> str:
    """The settings at dotted paths as JSON, as a rule passes them."""
    from fullchain.dag.parts import text

    return text(values, *paths)


def repeated(table: pa.Table, copies: range) -> Iterator[pa.Table]:
    """Give copies of a table of jets or scores, each with event numbers of its own."""
    place = table.schema.get_field_index("event")
    for copy in copies:
        numbers = pa.array(table["event"].to_numpy() + np.uint64(copy * NEXT), pa.uint64())
        yield table.set_column(place, table.schema.field(place), numbers)


def without_lists(table: pa.Table) -> pa.Table:
    """Give a table of jets with constituents and Lund planes of length zero."""
    for name in ("constituents", "lund"):
        place = table.schema.get_field_index(name)
        kind = table.schema.field(place).type
        values = pa.array([[]] * table.num_rows, kind)
        table = table.set_column(place, table.schema.field(place), values)
    return table


class Source:
    """One part of a sample of the finished run."""

    def __init__(self, results: Path, sample: str, tagger: str) -> None:
        self.sample = sample
        path = results / f"jets/{sample}/0000.parquet"
        self.summary = json.loads(path.with_suffix(".json").read_text())
        self.events = int(self.summary["events"])
        self.jets = [pq.ParquetFile(path).read_row_group(group) for group in range(_groups(path))]
        rows = sum(table.num_rows for table in self.jets)
        self.scores = pq.read_table(results / f"tagging/{tagger}/scores/{sample}.parquet")[:rows]
        self.manifest = results / f"ntuples/{sample}/0000.json"
        whole = json.loads((results / f"ntuples/{sample}/manifest.json").read_text())
        self.cross_section = whole["cross_section_pb"]

    def write(self, folder: Path, events: int, lists: bool) -> tuple[list[Path], Path, Path]:
        """Write parts of jets, their scores and a manifest of `events` events, about."""
        paths = []
        scores = folder / f"scores/{self.sample}.parquet"
        scores.parent.mkdir(parents=True, exist_ok=True)
        per_part = EVENTS_PER_PART // self.events
        total = round(events / self.events)
        tables = self.jets if lists else [without_lists(table) for table in self.jets]
        with pq.ParquetWriter(scores, self.scores.schema, compression="zstd") as writer:
            for part, first in enumerate(range(0, total, per_part)):
                copies = range(first, min(first + per_part, total))
                path = folder / f"jets/{self.sample}/{part:04d}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                paths.append(path)
                start = 0
                with pq.ParquetWriter(path, tables[0].schema, compression="zstd") as jets:
                    for table in tables:
                        group = pa.concat_tables(repeated(table, copies))
                        jets.write_table(group, row_group_size=max(1, group.num_rows))
                        rows = self.scores.slice(start, table.num_rows)
                        writer.write_table(pa.concat_tables(repeated(rows, copies)))
                        start += table.num_rows
        content = {
            "sample": self.sample,
            "events": total * self.events,
            "sum_of_weights": self.summary["sum_of_weights"] * total,
            "cross_section_pb": self.cross_section,
        }
        manifest = folder / f"ntuples/{self.sample}/manifest.json"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps(content))
        return paths, scores, manifest

    def write_part(self, folder: Path, files: int) -> tuple[Path, int]:
        """Write a part manifest of the ROOT file of the finished run, under several names."""
        part = read_part(self.manifest)
        (entry,) = part.good
        listed = []
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(files):
            link = folder / f"{number:04d}.root"
            link.symlink_to((self.manifest.parent / entry.path).resolve())
            listed.append(type(entry)(**{**vars(entry), "path": link.name}))
        path = folder / "0000.json"
        write_part(path, PartManifest(part.sample, part.part, part.layout, tuple(listed)))
        return path, files * entry.events


def _groups(path: Path) -> int:
    return int(pq.ParquetFile(path).num_row_groups)


class Trial:
    """The steps at one number of events."""

    def __init__(self, values: dict[str, Any], results: Path, tagger: str) -> None:
        self.values, self.results, self.tagger = values, results, tagger
        self.sources = [Source(results, sample, tagger) for sample in SAMPLES]

    def flat(self, folder: Path, events: int) -> Iterator[tuple[str, Callable[[], Measured]]]:
        """Steps that read no constituents."""
        jets: list[Path] = []
        names: list[str] = []
        scores, manifests = [], []
        for source in self.sources:
            own, score, manifest = source.write(folder, events, lists=False)
            jets += own
            names += [source.sample] * len(own)
            scores.append(score)
            manifests.append(manifest)
        log = folder / "log"
        values = self.values
        yield "jets histograms", lambda: run(
            "jets histograms", log, "--jets", *jets, "--histograms", folder / "h.root",
            "--metrics", folder / "m.json", "--accounts", folder / "a.json", "--settings",
            settings(values, "seed", "jets.measurement", "jets.selection",
                     "jets.clustering.radius"),
        )  # fmt: skip
        yield "tagging evaluate", lambda: run(
            "tagging evaluate", log, "--jets", *jets, "--samples", *names, "--scores", *scores,
            "--tagger", self.tagger, "--performance", folder / "p.json", "--settings",
            settings(values, "seed", "tagging.selection", "tagging.evaluation",
                     f"tagging.taggers.{self.tagger}"),
        )  # fmt: skip
        yield "inference templates", lambda: run(
            "inference templates", log, "--jets", *jets, "--scores", *scores,
            "--manifests", *manifests, "--analysis", "ttbar", "--templates", folder / "t.root",
            "--summary", folder / "t.json", "--settings",
            settings(values, "inference.analyses.ttbar.tagger",
                     "inference.analyses.ttbar.selection",
                     f"tagging.taggers.{self.tagger}.classes"),
        )  # fmt: skip
        pairs = {"sample": "tt", "label": None, "fully_contained": False}
        yield "unfolding pair", lambda: run(
            "unfolding pair", log, "--jets", *(p for p in jets if p.parent.name == "tt"),
            "--name", "tops", "--events", folder / "pairs.parquet", "--settings",
            json.dumps({"unfolding": {"pairs": {"tops": pairs}}}),
        )  # fmt: skip

    def whole(self, folder: Path, events: int) -> Iterator[tuple[str, Callable[[], Measured]]]:
        """Steps that read constituents, of one sample."""
        log = folder / "log"
        (source,) = [one for one in self.sources if one.sample == "tt"]
        jets, _, _ = source.write(folder, events, lists=True)
        model = self.results / f"tagging/{self.tagger}/fold0_seed0/model.pt"
        yield "tagging predict", lambda: run(
            "tagging predict", log, "--jets", *jets, "--sample", "tt", "--models", model,
            "--scores", folder / "s.parquet", "--settings",
            settings(self.values, "seed", "tagging.split", "tagging.training.device",
                     "tagging.training.threads", "tagging.evaluation"),
        )  # fmt: skip
        yield "firmware observe (one part)", lambda: run(
            "firmware observe", log, "--jets", jets[0], "--sample", "tt", "--output",
            folder / "o.h5", "--settings", settings(self.values, "firmware.inputs"),
        )  # fmt: skip

    def cluster(self, folder: Path, files: int) -> tuple[int, Measured]:
        """`jets cluster` of a part of some files."""
        (source,) = [one for one in self.sources if one.sample == "tt"]
        manifest, events = source.write_part(folder, files)
        paths = ("seed", *(f"jets.{name}" for name in
                 ("clustering", "selection", "substructure", "truth", "shifts")))  # fmt: skip
        return events, run(
            "jets cluster", folder / "log", "--manifest", manifest, "--jets", folder / "j.parquet",
            "--summary", folder / "j.json", "--settings", settings(self.values, *paths),
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("results", type=Path, help="folder of a finished run, such as results/test")
    parser.add_argument(
        "--configfile",
        nargs="*",
        type=Path,
        default=[Path("config/config.yaml"), Path("config/test.yaml")],
    )
    parser.add_argument("--events", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--constituents", nargs="*", type=int, default=[10_000, 30_000])
    parser.add_argument("--cluster-files", nargs="*", type=int, default=[1, 4, 16])
    parser.add_argument("--only", nargs="*", default=[], help="names of steps; default: all")
    parser.add_argument("--tagger", default="bdt")
    parser.add_argument("--limit-mb", type=float, default=2000.0)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; default: /tmp")
    chosen = parser.parse_args()
    from fullchain.settings import load

    values = load(*chosen.configfile).model_dump(mode="json")
    values["tagging"]["evaluation"]["alternatives"] = {}  # only two samples are there
    trial = Trial(values, chosen.results, chosen.tagger)
    too_much = []

    def show(step: str, events: int, measured: Measured) -> None:
        print(
            f"{step:30s}{events:>10,d}{measured.memory:>9.0f} MB{measured.cpu:>9.1f} s", flush=True
        )
        if measured.memory > chosen.limit_mb:
            too_much.append(f"{step} at {events:,d} events")

    print(f"{'step':30s}{'events':>10s}{'peak':>12s}{'CPU':>11s}")
    for number in chosen.events:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            for step, action in trial.flat(Path(folder), number):
                if not chosen.only or step in chosen.only:
                    show(step, number, action())
    for number in chosen.constituents:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            for step, action in trial.whole(Path(folder), number):
                if not chosen.only or step in chosen.only:
                    show(step, number, action())
    for files in chosen.cluster_files:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            if not chosen.only or "jets cluster" in chosen.only:
                show("jets cluster (one part)", *trial.cluster(Path(folder), files))
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'this program itself':30s}{'':>10s}{own:>9.0f} MB")
    if too_much:
        sys.exit(f"more than {chosen.limit_mb:.0f} MB: {'; '.join(too_much)}")


if __name__ == "__main__":
    main()
