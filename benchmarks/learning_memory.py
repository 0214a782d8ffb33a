"""Training on more rows than a budget of memory: jets per second and memory, against in memory.

    python benchmarks/learning_memory.py [--budget-mb 20] [--times 10] [--network pfn] [--epochs 3]
        [--source root]

Made-up jets of 64 particles, `--times` the budget in all, are appended batch by batch and train
once from memory and once under the budget, each in a process of its own. With `--source root` they
are first written to a ROOT file in the layout of JetClass and read from there as the taggers do;
then the rate of reading, from the file to tensors in place, is given too. "Own memory" is the peak
of what cannot be dropped (RssAnon in /proc: without pages of files), less what the process has
before the first jet. The small network makes the reading of rows weigh most; `pfn` is a Particle
Flow Network of the published size. Both end with the same loss, to the bit.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from fullchain.learning.checkpoint import fingerprint
from fullchain.learning.rows import Rows
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import initialised, train
from fullchain.tagging.jets_reading import stream

PARTICLES, FEATURES = 64, 4
JET_BYTES = 4 * PARTICLES * FEATURES + 8
SIZES = {"small": ((16,), (16,)), "pfn": ((100, 100, 256), (100, 100, 100))}


class Network(nn.Module):
    def __init__(self, phi: tuple[int, ...], f: tuple[int, ...]) -> None:
        super().__init__()
        self.phi, self.f = dense(FEATURES, phi), dense(phi[-1], f)
        self.output = nn.Linear(f[-1], 1)

    def forward(self, particles: Tensor) -> Tensor:
        return self.output(self.f(self.phi(particles).mean(dim=1))).squeeze(-1)


def dense(inputs: int, sizes: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in sizes:
        layers += [nn.Linear(inputs, size), nn.ReLU()]
        inputs = size
    return nn.Sequential(*layers)


def objective(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    losses = binary_cross_entropy_with_logits(
        model(batch["particles"]), batch["signal"], reduction="none"
    )
    return {"loss": (losses * batch["weight"]).mean()}


def jets(number: int, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    generator = np.random.default_rng(seed)
    particles = generator.normal(size=(number, PARTICLES, FEATURES)).astype(np.float32)
    signal = (particles[:, :, 0].mean(axis=1) > 0).astype(np.float32)
    return {"particles": particles, "signal": signal, "weight": np.ones(number, np.float32)}


def write_root(path: Path, number: int) -> None:
    """Write jets of 40 to 64 particles in the layout of JetClass, a thousand at a time."""
    import awkward as ak
    import uproot

    with uproot.recreate(path) as file:
        for first in range(0, number, 1000):
            generator = np.random.default_rng(first + 1)
            counts = generator.integers(40, PARTICLES + 1, min(1000, number - first))
            signal = np.arange(len(counts)) % 2
            total = int(counts.sum())
            pt = generator.exponential(10.0, total) + 0.1
            width = np.repeat(0.1 + 0.1 * signal, counts)
            eta, phi = generator.normal(size=(2, total)) * width
            momenta = {
                "part_px": pt * np.cos(phi),
                "part_py": pt * np.sin(phi),
                "part_pz": pt * np.sinh(eta),
                "part_energy": pt * np.cosh(eta),
            }
            columns = {
                name: ak.unflatten(values.astype(np.float32), counts)
                for name, values in momenta.items()
            }
            jet = np.repeat(np.arange(len(counts)), counts)
            columns["jet_pt"] = np.bincount(jet, pt).astype(np.float32)
            columns["label_Tbqq"] = signal.astype(np.float32)
            if first == 0:
                file.mktree("tree", {name: ak.type(c).content for name, c in columns.items()})
            file["tree"].extend(columns)


def from_root(path: Path) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    for batch in stream(path, ["label"], PARTICLES, batch_rows=1000):
        particles = batch.constituents
        particles[..., 0] /= 100.0
        signal = (batch.scalars["label"] == 5).astype(np.float32)
        yield {
            "particles": particles,
            "signal": signal,
            "weight": np.ones(len(signal), np.float32),
        }


def made_up(number: int) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    for first in range(0, number, 1000):
        yield jets(min(1000, number - first), first + 1)


class Peak:
    """Watches the process's own memory [MB] from a thread."""

    def __init__(self) -> None:
        self.start = self.highest = own_memory()
        self.running = True
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self.running:
            self.highest = max(self.highest, own_memory())
            time.sleep(0.01)

    def end(self) -> float:
        self.running = False
        return self.highest - self.start


def own_memory() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1e3


def size_of(chosen: argparse.Namespace) -> int:
    return round(1e6 * chosen.budget_mb * chosen.times / JET_BYTES)


def one(chosen: argparse.Namespace, budget: float | None) -> dict[str, Any]:
    torch.set_num_threads(1)
    number = size_of(chosen)
    settings = TrainingSettings(epochs=chosen.epochs, shuffle_block=chosen.shuffle_block)
    model = initialised(1, lambda: Network(*SIZES[chosen.network]))
    validation = {name: torch.from_numpy(values) for name, values in jets(1000, 0).items()}
    train(model, objective, validation, validation, TrainingSettings(epochs=1), seed=1)
    ends = []

    def clock(_: int = 0) -> None:
        ends.append((time.perf_counter(), time.process_time()))

    if chosen.file:
        # What reading imports is there before the first jet.
        next(from_root(chosen.file))
    peak = Peak()
    with tempfile.TemporaryDirectory() as folder, Rows("train", Path(folder), budget) as rows:
        begin = time.perf_counter(), time.process_time()
        for batch in from_root(chosen.file) if chosen.file else made_up(number):
            rows.append(batch)
        table = rows.finish()
        read = time.perf_counter() - begin[0], time.process_time() - begin[1]
        fingerprint({}, table)
        clock()
        history = train(
            model,
            objective,
            table,
            validation,
            settings,
            seed=1,
            after_epoch=clock,
        )
    return {
        "jets": number,
        "on_disk": table.on_disk,
        "read": number / read[0],
        "read_of_cpu": number / read[1],
        "rate": max(number / (stop[0] - start[0]) for start, stop in pairwise(ends)),
        "rate_of_cpu": max(number / (stop[1] - start[1]) for start, stop in pairwise(ends)),
        "own_memory": peak.end(),
        "loss": history.train[-1]["loss"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget-mb", type=float, default=20)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--network", choices=SIZES, default="small")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--shuffle-block", type=int)
    parser.add_argument("--source", choices=("memory", "root"), default="memory")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=("memory", "budget"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.only:
        print(json.dumps(one(chosen, None if chosen.only == "memory" else chosen.budget_mb)))
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments = sys.argv[1:]
        if chosen.source == "root":
            path = Path(folder) / "jets.root"
            write_root(path, size_of(chosen))
            arguments += ["--file", str(path)]
        found = {}
        for kind in ("memory", "budget"):
            command = [sys.executable, __file__, *arguments, "--only", kind]
            found[kind] = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
    memory, budget = found["memory"], found["budget"]
    size = JET_BYTES * memory["jets"] / 1e6
    print(f"{memory['jets']:,} jets of {size:.0f} MB, budget {chosen.budget_mb:g} MB")
    for name, values in (("in memory", memory), ("in files", budget)):
        rate, own = values["rate"], values["own_memory"]
        print(f"{name:<10}{rate:10,.0f} jets/s (best epoch){own:8.0f} MB of own memory at most")
        if chosen.source == "root":
            of_cpu = values["read_of_cpu"]
            print(f"{'':<10}{values['read']:10,.0f} jets/s read ({of_cpu:,.0f} per CPU second)")
    print(
        f"in files / in memory: rate {budget['rate'] / memory['rate']:.2f}, "
        f"per CPU second {budget['rate_of_cpu'] / memory['rate_of_cpu']:.2f}, "
        f"own memory {budget['own_memory'] / memory['own_memory']:.2f}; "
        f"same loss: {budget['loss'] == memory['loss']}"
    )


if __name__ == "__main__":
    main()
