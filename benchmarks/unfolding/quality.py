"""How near both results come to the truth: triangular discriminators, means and widths.

Prints JSON. In a process of its own, for the one that measures memory should stay small.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from fullchain.seeds import stream
from fullchain.unfolding import unfolded_file
from fullchain.unfolding.measurement_settings import MeasurementSettings
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.problem import pose
from fullchain.unfolding.sample import Array, Problem
from fullchain.unfolding.triangular import discriminator

REPLICAS = 100
"""Poisson replicas of truth and simulation, the same for both sides."""


def spectra(values: Array, weight: Array, edges: Array, factors: Array) -> Array:
    """Counts (1 + replicas, bins): as it is, and with the factors (replicas, events)."""
    place = np.searchsorted(edges, values, side="right") - 1
    inside = (place >= 0) & (place < len(edges) - 1)
    rows = [np.bincount(place[inside], weight[inside], len(edges) - 1)]
    for factor in factors:
        rows.append(np.bincount(place[inside], (weight * factor)[inside], len(edges) - 1))
    return np.array(rows)


def moments(values: Array, weight: Array) -> dict[str, float]:
    mean = np.average(values, weights=weight)
    return {
        "mean": float(mean),
        "width": float(np.sqrt(np.average((values - mean) ** 2, weights=weight))),
    }


def compared(
    problem: Problem, weights: dict[str, Array], observables: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Give numbers for each observable and each of `weights`, of events at particle level."""
    truth = problem.truth
    if truth is None:
        raise SystemExit("the data have no particle level: there is no truth to compare with")
    events = problem.simulation.gen.values[problem.simulation.gen.passed]
    factors = {
        name: stream(seed, "benchmark", name).poisson(1.0, (REPLICAS, size)).astype(np.float32)
        for name, size in (("truth", len(truth.weight)), ("simulation", len(events)))
    }
    found: dict[str, Any] = {}
    for number, (name, chosen) in enumerate(observables.items()):
        settings = ObservableSettings.model_validate(chosen)
        edges = np.linspace(settings.low, settings.high, settings.bins + 1)
        true = spectra(truth.values[:, number], truth.weight, edges, factors["truth"])
        rows: dict[str, Any] = {"truth": moments(truth.values[:, number], truth.weight)}
        replicas = {}
        for side, weight in weights.items():
            counts = spectra(events[:, number], weight, edges, factors["simulation"])
            values = discriminator(counts, true, edges)
            replicas[side] = values[1:]
            rows[side] = {
                "discriminator": float(values[0]),
                "error": float(values[1:].std(ddof=1)),
                **moments(events[:, number], weight),
            }
        for side in weights:
            # The same replicas on both sides: fluctuations that they share are not in this error.
            difference = replicas[side] - replicas["omnifold"]
            rows[side]["difference_error"] = float(difference.std(ddof=1))
        found[name] = rows
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulation", type=Path, nargs="+", required=True)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--measurement", required=True)
    parser.add_argument("--observables", required=True)
    parser.add_argument(
        "--ours", nargs=2, action="append", required=True, help="name, unfolded.parquet"
    )
    parser.add_argument("--omnifold", type=Path, required=True, help="weights.npy")
    parser.add_argument("--seed", type=int, required=True)
    chosen = parser.parse_args()
    settings = MeasurementSettings.model_validate(json.loads(chosen.measurement))
    problem = pose(chosen.simulation, chosen.data, [], settings, chosen.seed)
    passed = problem.simulation.gen.passed
    prior = problem.simulation.weight[passed]
    weights = {"prior": prior}
    for name, path in chosen.ours:
        ours = unfolded_file.read(Path(path))
        if not np.array_equal(ours.ids, problem.simulation.ids[passed]):
            raise SystemExit(f"{path}: other events than those of the simulation")
        weights[name] = ours.weights["nominal"]
    weights["omnifold"] = prior * np.load(chosen.omnifold)[passed]
    print(json.dumps(compared(problem, weights, json.loads(chosen.observables), chosen.seed)))


if __name__ == "__main__":
    main()
