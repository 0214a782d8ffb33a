"""Events to compare on: tables for our side, and the same events as arrays for the other one.

The Gaussian case has a simulation N(0, 1) and a truth N(0.2, 0.8), smeared by 0.5, with 10 % of the
events lost and 10 % of those that are seen without a true one: N(0, 1.2) in both, or like the
others. No background, for which the package omnifold has nothing. Of six, each observable is such a
Gaussian with another shift, and neighbours are correlated, more so in the truth. Reads tables of
events, too, if they are given.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from fullchain.seeds import stream
from fullchain.unfolding import event_table
from fullchain.unfolding.measurement_settings import MeasurementSettings
from fullchain.unfolding.problem import pose
from fullchain.unfolding.sample import Array, Flags, Level, Problem, Simulation

SMEARING = 0.5
INEFFICIENCY = 0.1
FAKES = 0.1
FAKE_WIDTH = 1.2
SHIFTS = {"gaussian": (0.2,), "six": (0.2, -0.2, 0.1, 0.2, -0.1, 0.15)}
TRUE_WIDTH = 0.8
CORRELATION = {"simulation": 0.3, "data": 0.5}


def toy(case: str, which: str, events: int, seed: int, fakes: str = "fixed") -> Simulation:
    """Draw events of the simulation or of the (pseudo-)data of a case.

    `fakes` tells how events that fail the particle level are seen: `fixed`, the same in simulation
    and data; `alike`, as those that pass.
    """
    random = stream(seed, "benchmark", case, which)
    shifts = np.array(SHIFTS[case])
    number = len(shifts)
    distance = np.abs(np.subtract.outer(np.arange(number), np.arange(number)))
    gen = random.multivariate_normal(
        np.zeros(number), CORRELATION[which] ** distance, events, method="cholesky"
    )
    if which == "data":
        gen = shifts + TRUE_WIDTH * gen
    reco = gen + SMEARING * random.standard_normal(gen.shape)
    # Of all events, for FAKES is their part of those that are seen.
    part = FAKES * (1 - INEFFICIENCY) / (1 - FAKES * INEFFICIENCY)
    fake = random.uniform(size=events) < part
    seen = fake | (random.uniform(size=events) >= INEFFICIENCY)
    if fakes == "fixed":
        reco[fake] = FAKE_WIDTH * random.standard_normal((fake.sum(), number))
    names = tuple(f"x{number}" for number in range(number))
    ids = np.stack([np.full(events, n) for n in (1, 1)] + [np.arange(events)], axis=1)
    return Simulation(names, _level(gen, ~fake), _level(reco, seen), np.ones(events), ids)


def _level(values: Array, passed: Flags) -> Level:
    return Level(np.where(passed[:, None], values, np.nan), passed)


def arrays(problem: Problem) -> dict[str, Array]:
    """Give what the other side reads: float32, standardised by the simulation, no NaN."""
    found: dict[str, Array] = {"weight": problem.simulation.weight}
    found["data_weight"] = problem.data.weight
    for name, level in (("gen", problem.simulation.gen), ("reco", problem.simulation.reco)):
        weight = problem.simulation.weight[level.passed]
        values = level.values[level.passed]
        mean = np.average(values, axis=0, weights=weight)
        width = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weight))
        found[name] = np.where(level.passed[:, None], (level.values - mean) / width, 0.0)
        if name == "reco":
            found["data"] = (problem.data.values - mean) / width
        found[f"pass_{name}"] = level.passed
    flags = ("pass_gen", "pass_reco")
    return {n: v if n in flags else v.astype(np.float32) for n, v in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=(*SHIFTS, "tables"), required=True)
    parser.add_argument("--events", type=int, default=0, help="of a toy: simulated, and measured")
    parser.add_argument("--fakes", choices=("fixed", "alike"), default="fixed", help="of a toy")
    parser.add_argument("--simulation", type=Path, nargs="*", help="tables of simulated events")
    parser.add_argument("--data", type=Path, nargs="*", help="tables of (pseudo-)data")
    parser.add_argument("--measurement", required=True, help="settings of the measurement, JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True, help="folder")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    tables = {"simulation": chosen.simulation, "data": chosen.data}
    if chosen.case != "tables":
        for which in tables:
            events = toy(chosen.case, which, chosen.events, chosen.seed, chosen.fakes)
            tables[which] = [chosen.output / f"{which}.parquet"]
            units = dict.fromkeys(events.names, "")
            event_table.write(tables[which][0], events, units, {"case": chosen.case})
    settings = MeasurementSettings.model_validate(json.loads(chosen.measurement))
    problem = pose(tables["simulation"], tables["data"], [], settings, chosen.seed)
    np.savez(chosen.output / "arrays.npz", **arrays(problem))
    sizes = {"simulation": len(problem.simulation), "data": len(problem.data)}
    print(json.dumps(sizes))


if __name__ == "__main__":
    main()
