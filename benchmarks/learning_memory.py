"""Training on more rows than a budget of memory: jets per second and memory, against in memory.

    python benchmarks/learning_memory.py [--budget-mb 20] [--times 10] [--network pfn] [--epochs 3]

Made-up jets of 64 particles, `--times` the budget in all, are appended batch by batch and train
once from memory and once under the budget, each in a process of its own. "Own memory" is the peak
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


def one(chosen: argparse.Namespace, budget: float | None) -> dict[str, Any]:
    torch.set_num_threads(1)
    number = round(1e6 * chosen.budget_mb * chosen.times / JET_BYTES)
    settings = TrainingSettings(epochs=chosen.epochs, shuffle_block=chosen.shuffle_block)
    model = initialised(1, lambda: Network(*SIZES[chosen.network]))
    validation = {name: torch.from_numpy(values) for name, values in jets(1000, 0).items()}
    train(model, objective, validation, validation, TrainingSettings(epochs=1), seed=1)
    ends = []

    def clock(_: int = 0) -> None:
        ends.append((time.perf_counter(), time.process_time()))

    peak = Peak()
    with tempfile.TemporaryDirectory() as folder, Rows("train", Path(folder), budget) as rows:
        for first in range(0, number, 1000):
            rows.append(jets(min(1000, number - first), first + 1))
        table = rows.finish()
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
    parser.add_argument("--only", choices=("memory", "budget"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.only:
        print(json.dumps(one(chosen, None if chosen.only == "memory" else chosen.budget_mb)))
        return
    found = {}
    for kind in ("memory", "budget"):
        command = [sys.executable, __file__, *sys.argv[1:], "--only", kind]
        found[kind] = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
    memory, budget = found["memory"], found["budget"]
    size = JET_BYTES * memory["jets"] / 1e6
    print(f"{memory['jets']:,} jets of {size:.0f} MB, budget {chosen.budget_mb:g} MB")
    for name, values in (("in memory", memory), ("in files", budget)):
        rate, own = values["rate"], values["own_memory"]
        print(f"{name:<10}{rate:10,.0f} jets/s (best epoch){own:8.0f} MB of own memory at most")
    print(
        f"in files / in memory: rate {budget['rate'] / memory['rate']:.2f}, "
        f"per CPU second {budget['rate_of_cpu'] / memory['rate_of_cpu']:.2f}, "
        f"own memory {budget['own_memory'] / memory['own_memory']:.2f}; "
        f"same loss: {budget['loss'] == memory['loss']}"
    )


if __name__ == "__main__":
    main()
