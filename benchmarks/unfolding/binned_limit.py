"""What OmniFold gives for one observable if its classifiers are perfect: histograms in their place.

    python benchmarks/unfolding/binned_limit.py --simulation comparison/events/simulation.parquet \
        --data comparison/events/data.parquet --observable x0 --low -3 --high 3

A ratio of histograms in fine bins is the best classifier of one observable. So this tells what
part of a distance from the truth is of the algorithm, after so many iterations, and what of the
training; for several treatments of events that fail a level.
"""

import argparse
from pathlib import Path

import numpy as np

from fullchain.unfolding import event_table
from fullchain.unfolding.sample import Array, Flags, Integers, Simulation
from fullchain.unfolding.triangular import discriminator

TREATMENTS = ("unchanged", "inefficient", "classifier")
"""Events that fail a level keep their weight; those that fail the detector level get the mean
weight of like events; those that fail the particle level do, too."""


def places(values: Array, passed: Flags, edges: Array) -> Integers:
    """Give numbers of bins, with what is below and above in bins of its own; 0 where it fails."""
    found: Integers = np.where(passed, np.digitize(np.nan_to_num(values), edges), 0)
    return found


def mean_of(values: Array, weight: Array, place: Integers, use: Flags, bins: int) -> Array:
    """Weighted mean of values in each bin, for all events; 1 in bins without events."""
    sums = np.bincount(place[use], weight[use], bins)
    total = np.bincount(place[use], (weight * values)[use], bins)
    return np.divide(total, sums, out=np.ones(bins), where=sums > 0)[place]


def unfold(events: Simulation, data: Array, edges: Array, iterations: int, treatment: str) -> Array:
    """Weights (iterations, n) of the particle level after each iteration."""
    gen, reco = events.gen.passed, events.reco.passed
    both = gen & reco
    bins = len(edges) + 1
    z = places(events.gen.values[:, 0], gen, edges)
    x = places(events.reco.values[:, 0], reco, edges)
    wanted = np.bincount(np.digitize(data, edges), minlength=bins)
    weight = events.weight * len(data) / events.weight[reco].sum()
    nu = np.ones(len(events))
    found = []
    for _ in range(iterations):
        seen = np.bincount(x[reco], (weight * nu)[reco], bins)
        ratio = np.divide(wanted, seen, out=np.ones(bins), where=seen > 0)
        omega = nu * np.where(reco, ratio[x], 1.0)
        if treatment != "unchanged":
            omega = np.where(reco, omega, mean_of(omega, weight, z, both, bins))
        nu = np.where(gen, mean_of(omega, weight, z, gen, bins), 1.0)
        if treatment == "classifier":
            nu = np.where(gen, nu, mean_of(nu, weight, x, both, bins))
        found.append(weight * nu)
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulation", type=Path, nargs="+", required=True)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--observable", required=True)
    parser.add_argument("--low", type=float, required=True)
    parser.add_argument("--high", type=float, required=True)
    parser.add_argument("--bins", type=int, default=50, help="in which spectra are compared")
    parser.add_argument("--fine", type=int, default=40, help="bins in place of a classifier")
    parser.add_argument("--iterations", type=int, default=5)
    chosen = parser.parse_args()
    events = event_table.read(chosen.simulation, [chosen.observable])
    measured = event_table.read(chosen.data, [chosen.observable])
    data = measured.reco.values[measured.reco.passed, 0]
    edges = np.linspace(chosen.low, chosen.high, chosen.bins + 1)
    truth = np.histogram(measured.gen.values[measured.gen.passed, 0], edges)[0]
    fine = np.linspace(chosen.low, chosen.high, chosen.fine + 1)
    values = events.gen.values[events.gen.passed, 0]
    for treatment in TREATMENTS:
        for number, weight in enumerate(unfold(events, data, fine, chosen.iterations, treatment)):
            own = weight[events.gen.passed]
            distance = discriminator(np.histogram(values, edges, weights=own)[0], truth, edges)
            mean = np.average(values, weights=own)
            width = np.sqrt(np.average((values - mean) ** 2, weights=own))
            print(
                f"{treatment:<12}iteration {number + 1}: discriminator {distance:.2f}, "
                f"mean {mean:.4f}, width {width:.4f}"
            )


if __name__ == "__main__":
    main()
