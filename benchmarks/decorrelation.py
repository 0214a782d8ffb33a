"""How long the distance correlation of N jets takes, and how much memory, against dcor.

    python benchmarks/decorrelation.py [--jets 300 1000 3000 10000 100000 1000000] [--repeat 3]

One column on each side. For ours a step of a training, which is the value and its gradient; dcor
gives the value only, by its fast algorithm (AVL, compiled) and, while all pairs fit, by its naive
one. Each of our ways is also timed for the value alone. Times are medians in processor time on one
thread, memory is the peak of what a process of its own allocates beyond its input. `ratio` is to
the fast dcor of the same run: of the medians, and between the quotients of the least and the
largest times. `difference` is the absolute one of the values.
"""

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

WAYS = ("sorting", "blocks", "dense", "dcor", "dcor naive")
JETS = [300, 1000, 3000, 10_000, 100_000, 1_000_000]
MOST = {"blocks": 10_000, "dense": 3000, "dcor naive": 3000}
"""Numbers of jets beyond which a way that takes N^2 operations, or N^2 memory, is left out."""


def columns(jets: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    mass = 50.0 + 250.0 * generator.beta(1.0, 3.0, jets)
    score = 1.0 / (1.0 + np.exp(-generator.normal(-2.0 + mass / 100.0, 1.0)))
    return mass, score


def calculation(way: str, jets: int, *, gradient: bool) -> Callable[[], float]:
    mass, score = columns(jets)
    if way.startswith("dcor"):
        import dcor

        method = "naive" if way.endswith("naive") else "avl"
        return lambda: float(dcor.distance_correlation_sqr(mass, score, method=method))
    import torch

    from fullchain.learning.distance_correlation import distance_correlation
    from fullchain.learning.large_distance_correlation import by_blocks, by_sorting

    torch.set_num_threads(1)
    x, y = torch.from_numpy(mass), torch.from_numpy(score).requires_grad_(gradient)
    ways: dict[str, Callable[[], torch.Tensor]] = {
        "sorting": lambda: by_sorting(x, y),
        "blocks": lambda: by_blocks(x[:, None], y[:, None]),
        "dense": lambda: distance_correlation(x[:, None], y[:, None]),
    }

    def step() -> float:
        found = ways[way]()
        if gradient:
            y.grad = None
            found.backward()
        return float(found.detach())

    return step


def measure(queue: Any, way: str, jets: int, repeat: int) -> None:
    """In a process of its own, whose peak of memory is then that of one way."""
    step = calculation(way, jets, gradient=not way.startswith("dcor"))
    small = calculation(way, 100, gradient=not way.startswith("dcor"))
    small()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    value = step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    value_only = calculation(way, jets, gradient=False)
    queue.put((value, seconds(step, repeat), seconds(value_only, repeat), peak / 1024))


def seconds(action: Callable[[], object], repeat: int) -> list[float]:
    taken = []
    for _ in range(repeat):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return taken


def ratio(ours: list[float], theirs: list[float]) -> str:
    middle = statistics.median(ours) / statistics.median(theirs)
    least, most = min(ours) / max(theirs), max(ours) / min(theirs)
    return f"{middle:.2f} ({least:.2f}-{most:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jets", type=int, nargs="+", default=JETS)
    parser.add_argument("--repeat", type=int, default=3)
    chosen = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(
        f"{'jets':>8} {'':<11}{'step':>11}{'ratio':>23}{'value':>11}{'ratio':>23}{'memory':>10}"
        f"{'per jet':>9}{'difference':>12}",
        flush=True,
    )
    for jets in chosen.jets:
        found = {}
        for way in WAYS:
            if jets > MOST.get(way, jets):
                continue
            queue = context.SimpleQueue()
            process = context.Process(target=measure, args=(queue, way, jets, chosen.repeat))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{way} with {jets} jets ended with {process.exitcode}")
            found[way] = queue.get()
        fast, _, fast_seconds, _ = found["dcor"]
        for way, (value, step, value_only, memory) in found.items():
            ours = not way.startswith("dcor")
            text = f"{'':>34}"
            if ours:
                text = f"{statistics.median(step):>10.4f}s{ratio(step, fast_seconds):>23}"
            print(
                f"{jets:>8} {way:<11}{text}{statistics.median(value_only):>10.4f}s"
                f"{ratio(value_only, fast_seconds):>23}"
                f"{memory:>7.0f} MB{1e6 * memory / jets:>7.0f} B{abs(value - fast):>12.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
