"""Time per shower of the parameterisation in the calorimeters that come with fullchain.

Usage: python benchmarks/calorimetry/parameterisation.py [--showers 1 100 10000] [--rounds 5] \
    [--detectors set1_photons set2_electrons crystal] [--json timing.json]

Showers are drawn with numpy on one thread, so many at once as a batch has (in pieces of 500, as the
step `shower` does), of energies whose logarithm is uniform. Calorimeters and batches are taken in
turn in each round, after one that does not count. Printed are milliseconds per shower of CPU time,
mean and standard deviation over the rounds, and the parts of gamma numbers and of all else.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from fullchain.calorimetry import detector as detectors
from fullchain.calorimetry import gflash
from fullchain.calorimetry.detector_settings import default_detectors
from fullchain.calorimetry.shower_blocks import BLOCK

LOW, HIGH = 1e3, 1e6
"""Energies [MeV]."""

LEAST = 200
"""Showers that a measurement takes at least, in as many batches as that needs."""


class Stopwatch(np.random.Generator):
    """Random numbers that know how long gamma numbers took."""

    seconds = 0.0

    def standard_gamma(self, *arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return super().standard_gamma(*arguments, **options)
        finally:
            self.seconds += time.process_time() - start


def milliseconds(
    detector: gflash.Detector, batch: int, random: Stopwatch, photons: bool
) -> tuple[float, float]:
    """CPU time per shower, and that of gamma numbers in it."""
    repeats = max(1, -(-LEAST // batch))
    energies = np.exp(random.uniform(np.log(LOW), np.log(HIGH), (repeats, batch)))
    random.seconds = 0.0
    start = time.process_time()
    for row in energies:
        for first in range(0, batch, BLOCK):
            gflash.showers(row[first : first + BLOCK], detector, random, photons)
    total = time.process_time() - start
    scale = 1000.0 / (repeats * batch)
    return scale * total, scale * random.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detectors", nargs="+", default=list(default_detectors()))
    parser.add_argument("--showers", type=int, nargs="+", default=[1, 100, 10_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    built = {name: detectors.build(default_detectors()[name]) for name in arguments.detectors}
    random = Stopwatch(np.random.PCG64(1))
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    threadpool_limits(1)
    for number in range(arguments.rounds + 1):
        for name, detector in built.items():
            for batch in arguments.showers:
                measured = milliseconds(detector, batch, random, name != "set2_electrons")
                if number:
                    found.setdefault((name, batch), []).append(measured)
    rows = []
    print(f"{'calorimeter':<16}{'voxels':>8}{'batch':>8}{'ms per shower':>20}{'gamma numbers':>16}")
    for (name, batch), values in found.items():
        totals, gammas = zip(*values, strict=True)
        mean, gamma = statistics.mean(totals), statistics.mean(gammas)
        spread = statistics.stdev(totals) if len(totals) > 1 else 0.0
        voxels = built[name].geometry.voxels
        print(f"{name:<16}{voxels:>8}{batch:>8}{mean:>12.4f} +- {spread:.4f}{gamma / mean:>15.0%}")
        rows.append(
            {"detector": name, "voxels": voxels, "batch": batch, "ms": mean, "spread": spread}
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
