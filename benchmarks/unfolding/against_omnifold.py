"""MultiFold against the package omnifold (TensorFlow) on the same events: time, memory, result.

    bash benchmarks/unfolding/prepare_omnifold.sh omnifold
    python benchmarks/unfolding/against_omnifold.py --python omnifold/bin/python \
        --output comparison --case gaussian --events 100000 --rounds 3

Cases: `gaussian`, `six` (correlated Gaussians, see `samples.py`), and `tables`, the events of
tables that `unfolding select` wrote:

    ... --case tables --simulation events/zmumu/*.parquet --data events/zmumu_a14/*.parquet \
        --observables observables.json

where the file has the section `unfolding.observables` of the configuration, or part of it.

Both sides get the same events and weights and do the same number of iterations with ensembles of
the same size; sizes of the networks, batches, epochs, patience, rate and the part that trains are
the same unless they are given another value for the other side (`--their-...`), or for ours
(`--ours-also`, JSON on top of the settings of the method). Ours is the whole step from tables to
the file of weighted events; theirs is a script that reads prepared arrays and keeps the weights.
Each is a process of its own with one thread. In each round the random numbers of the networks are
others, and the sides are taken in turn, beginning with the other one each time. On a machine that
others use, time on the clock is theirs as much as ours: CPU time (user and system) is shown too.

What differs: omnifold averages the weights of the ensemble within each step, ours those of fits
that are independent to the end; omnifold leaves the weights of events that fail a level as they
were, ours gives them the mean weight of like events, for which it trains two classifiers more in
each iteration; omnifold keeps events of weight zero in its batches; its two copies of one event may
be on both sides of the division into training and validation. "ours_plain" leaves such weights as
they were, too (`inefficiency` and `fakes`: unchanged), and so trains the same classifiers as
omnifold. There is no background here, whose subtraction omnifold does not have.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "tagging"))

import our_side
from cost import Cost, measured

HERE = Path(__file__).resolve().parent
VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours_plain": {"inefficiency": "unchanged", "fakes": "unchanged"},
}
SIDES = (*VARIANTS, "omnifold")
TOYS = {"gaussian": 1, "six": 6}
TOY_RANGE = {"label": "$x$", "low": -3.0, "high": 3.0, "bins": 50}
THEIRS = ("epochs", "batch_size", "learning_rate", "patience")
"""What may be given to the other side in particular."""
COMMON = (*THEIRS, "iterations", "ensemble", "layers", "members_at_once", "train_fraction", "seed")


def their_unfolding(python: Path, number: int, folder: Path, how: dict[str, Any]) -> Cost:
    """Unfold the arrays with the package, with the random numbers of a round."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(python), str(HERE / "omnifold_side.py")]
    command += ["--arrays", str(folder.parents[1] / "events" / "arrays.npz")]
    command += ["--output", str(folder), "--activation", "gelu", "--threads", "1"]
    command += ["--layers", *map(str, how["layers"]), "--seed", str(how["seed"] + number)]
    names = ("iterations", "ensemble", "train_fraction")
    values = {**{name: how[name] for name in names}, **how["theirs"]}
    for name, value in values.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    return measured(command, folder / "unfold.log")


def script(name: str, arguments: list[str], log: Path) -> dict[str, Any]:
    """Run one of the scripts beside this one; give the JSON of its last line."""
    measured([sys.executable, str(HERE / name), *arguments], log)
    found: dict[str, Any] = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    return found


def events(
    chosen: argparse.Namespace, measurement: dict[str, Any]
) -> tuple[dict[str, list[Path]], dict[str, int]]:
    """Make the arrays, and the tables of a toy. Give the tables and the numbers of events."""
    folder = chosen.output / "events"
    folder.mkdir(parents=True, exist_ok=True)
    arguments = ["--case", chosen.case, "--events", str(chosen.events), "--fakes", chosen.fakes]
    arguments += ["--seed", str(chosen.seed), "--output", str(folder)]
    arguments += ["--measurement", json.dumps(measurement)]
    tables = {name: [folder / f"{name}.parquet"] for name in ("simulation", "data")}
    if chosen.case == "tables":
        tables = {"simulation": chosen.simulation, "data": chosen.data}
        for name, paths in tables.items():
            arguments += [f"--{name}", *map(str, paths)]
    return tables, script("samples.py", arguments, folder / "samples.log")


def result_of(
    folders: dict[str, Path],
    tables: dict[str, list[Path]],
    measurement: dict[str, Any],
    observables: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Compare both results of a round with the truth."""
    arguments = ["--measurement", json.dumps(measurement)]
    arguments += ["--observables", json.dumps(observables), "--seed", str(seed)]
    for side in VARIANTS:
        arguments += ["--ours", side, str(folders[side] / "unfolded.parquet")]
    arguments += ["--omnifold", str(folders["omnifold"] / "weights.npy")]
    for name, paths in tables.items():
        arguments += [f"--{name}", *map(str, paths)]
    return script("quality.py", arguments, folders["ours"] / "quality.log")


def ratio(rounds: list[dict[str, dict[str, float]]], side: str, name: str) -> str:
    """Median and range over rounds of theirs over ours."""
    found = [one["omnifold"][name] / one[side][name] for one in rounds]
    text = f"{statistics.median(found):.2f}"
    return text if len(found) == 1 else f"{text} ({min(found):.2f}-{max(found):.2f})"


def cost_lines(rounds: list[dict[str, dict[str, float]]]) -> list[str]:
    """Medians of all rounds, and how many times as much the other side took."""
    lines = [f"  {'':<24}" + "".join(f"{side:>12}" for side in SIDES) + "   omnifold / ours"]
    for name, text in (
        ("wall", "time on the clock [s]"),
        ("cpu", "CPU time [s]"),
        ("peak_mb", "peak memory [MB]"),
    ):
        values = [statistics.median(one[side][name] for one in rounds) for side in SIDES]
        ratios = "; ".join(f"{side} {ratio(rounds, side, name)}" for side in VARIANTS)
        lines.append(f"  {text:<24}" + "".join(f"{v:>12.1f}" for v in values) + f"   {ratios}")
    return lines


def quality_lines(results: list[dict[str, Any]]) -> list[str]:
    """Triangular discriminators: mean of the rounds, their spread, and the bootstrap's error."""
    lines = ["  1000 x triangular discriminator: mean of rounds +- spread (bootstrap)"]
    for name in results[0]:
        parts = []
        for side in ("prior", *SIDES):
            values = [one[name][side]["discriminator"] for one in results]
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            error = statistics.mean(one[name][side]["error"] for one in results)
            parts.append(f"{side} {statistics.mean(values):.3f} +- {spread:.3f} ({error:.3f})")
        lines.append(f"  {name:<13}" + ", ".join(parts))
        means = []
        for side in ("truth", *SIDES):
            values = [[one[name][side][key] for one in results] for key in ("mean", "width")]
            means.append(
                f"{side} {statistics.mean(values[0]):.4f}, {statistics.mean(values[1]):.4f}"
            )
        lines.append(f"  {'':<13}mean, width: " + "; ".join(means))
    return lines


def versions(python: Path) -> dict[str, str]:
    """Versions of what both sides are made of."""
    names = {python: ("omnifold", "tensorflow", "keras"), Path(sys.executable): ("torch",)}
    found = {"python": platform.python_version()}
    for program, packages in names.items():
        code = "from importlib.metadata import version; "
        code += f"print(*(version(name) for name in {packages}))"
        answer = subprocess.run([program, "-c", code], capture_output=True, text=True, check=True)
        found |= dict(zip(packages, answer.stdout.split(), strict=True))
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", type=Path, required=True, help="Python of their environment")
    parser.add_argument("--output", type=Path, required=True, help="folder for all files")
    parser.add_argument("--case", choices=(*TOYS, "tables"), default="gaussian")
    parser.add_argument("--events", type=int, default=100_000, help="of a toy, in each table")
    parser.add_argument("--fakes", choices=("fixed", "alike"), default="fixed", help="of a toy")
    parser.add_argument("--simulation", type=Path, nargs="+", help="tables of simulated events")
    parser.add_argument("--data", type=Path, nargs="+", help="tables of (pseudo-)data with truth")
    parser.add_argument("--observables", type=Path, help="settings of observables, JSON file")
    parser.add_argument(
        "--parts",
        type=json.loads,
        default={},
        help='JSON of simulation and data of the measurement: {"data": {"samples": ["data"], ...}}',
    )
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--ensemble", type=int, default=3)
    parser.add_argument("--layers", type=int, nargs="+", default=[64, 128, 64])
    for name, default in (("epochs", 50), ("patience", 10), ("batch-size", 500)):
        parser.add_argument(f"--{name}", type=int, default=default)
        parser.add_argument(f"--their-{name}", type=int, help="default: as ours")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--their-learning-rate", type=float, help="default: as ours")
    parser.add_argument("--train-fraction", type=float, default=0.8)
    parser.add_argument("--members-at-once", type=int, default=8)
    parser.add_argument("--ours-also", type=json.loads, default={}, help="JSON, of our method")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.case == "tables" and not (chosen.simulation and chosen.data and chosen.observables):
        parser.error("--case tables needs --simulation, --data and --observables")
    # Not resolved: the Python of an environment is a link, and only its place says which one.
    chosen.python = chosen.python.absolute()
    chosen.output = chosen.output.absolute()
    return chosen


def main() -> None:
    chosen = arguments()
    chosen.output.mkdir(parents=True, exist_ok=True)
    if chosen.case == "tables":
        observables = json.loads(chosen.observables.read_text(encoding="utf-8"))
    else:
        observables = {f"x{number}": TOY_RANGE for number in range(TOYS[chosen.case])}
    how = {name: getattr(chosen, name) for name in COMMON}
    how["ours_also"] = chosen.ours_also
    how["theirs"] = {
        name: how[name] if (own := getattr(chosen, f"their_{name}")) is None else own
        for name in THEIRS
    }
    measurement = our_side.measurement(observables, chosen.parts)
    tables, sizes = events(chosen, measurement)
    about = {
        "case": chosen.case,
        "fakes": chosen.fakes,
        "how": how,
        "events": sizes,
        "versions": versions(chosen.python),
    }
    print(json.dumps(about), flush=True)
    our_side.warm_up(chosen.output)
    measured(
        [str(chosen.python), str(HERE / "omnifold_side.py"), "--help"], chosen.output / "w.log"
    )
    rounds, results, loads = [], [], []
    for number in range(chosen.rounds):
        folders = {side: chosen.output / f"round_{number}" / side for side in SIDES}
        costs = {}
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            loads.append(os.getloadavg()[0])
            if side in VARIANTS:
                own = {**how, "ours_also": {**chosen.ours_also, **VARIANTS[side]}}
                costs[side] = our_side.unfold(
                    number, tables, folders[side], own, observables, chosen.parts
                )
            else:
                costs[side] = their_unfolding(chosen.python, number, folders[side], how)
        rounds.append({side: cost.as_dict() for side, cost in costs.items()})
        results.append(result_of(folders, tables, measurement, observables, chosen.seed))
        content = {**about, "load": loads, "rounds": rounds, "results": results}
        text = json.dumps(content, indent=1) + "\n"
        (chosen.output / "result.json").write_text(text, encoding="utf-8")
    print("\n".join([*cost_lines(rounds), *quality_lines(results)]))
    print(f"  load average before each run: {', '.join(f'{load:.1f}' for load in loads)}")


if __name__ == "__main__":
    main()
