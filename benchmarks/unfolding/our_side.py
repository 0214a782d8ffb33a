"""Our part of the comparison: the step that unfolds tables of events by OmniFold."""

import json
import sys
from pathlib import Path
from typing import Any

from cost import Cost, measured

MEASUREMENT = "comparison"


def measurement(observables: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """Settings of the measurement: `parts` may give samples, halves, stress of both tables."""
    both = {"simulation": {"samples": ["simulation"]}, "data": {"samples": ["data"]}}
    return {**both, **parts, "observables": list(observables)}


def settings(
    method: str, how: dict[str, Any], observables: dict[str, Any], parts: dict[str, Any]
) -> dict[str, Any]:
    """What the step needs to know.

    Random numbers follow from the name of the method, which has the number of the round in it. No
    replicas and no shifts: the other side does one ensemble.
    """
    omnifold = {
        "kind": "omnifold",
        "inputs": "multifold",
        "iterations": how["iterations"],
        "ensemble": how["ensemble"],
        "data_replicas": 0,
        "simulation_replicas": 0,
        "layers": how["layers"],
        "members_at_once": how["members_at_once"],
        "training": {
            "epochs": how["epochs"],
            "patience": how["patience"],
            # Both sides stop by their validation losses.
            "tolerance": 1.0,
            "batch_size": how["batch_size"],
            "learning_rate": how["learning_rate"],
            "schedule": "constant",
            "validation": 1 - how["train_fraction"],
        },
    }
    omnifold = _merged(omnifold, how["ours_also"])
    return {
        "seed": how["seed"],
        "unfolding": {
            "measurements": {MEASUREMENT: measurement(observables, parts)},
            "observables": observables,
            "methods": {method: omnifold},
        },
    }


def unfold(
    number: int,
    tables: dict[str, list[Path]],
    folder: Path,
    how: dict[str, Any],
    observables: dict[str, Any],
    parts: dict[str, Any],
) -> Cost:
    """Unfold with the random numbers of a round."""
    folder.mkdir(parents=True, exist_ok=True)
    method = f"round_{number}"
    command = [sys.executable, "-m", "fullchain", "unfolding", "reweight"]
    for name, paths in tables.items():
        command += [f"--{name}", *map(str, paths)]
    command += ["--measurement", MEASUREMENT, "--method", method]
    command += ["--unfolded", str(folder / "unfolded.parquet")]
    command += ["--history", str(folder / "history.json")]
    given = settings(method, how, observables, parts)
    return measured([*command, "--settings", json.dumps(given)], folder / "unfold.log")


def warm_up(folder: Path) -> None:
    """Have Python keep the byte code of all modules, as it does in a first run."""
    command = [sys.executable, "-m", "fullchain", "unfolding", "reweight", "--help"]
    measured(command, folder / "warm_up_ours.log")


def _merged(base: dict[str, Any], also: dict[str, Any]) -> dict[str, Any]:
    found = {**base, **also}
    for name, value in also.items():
        if isinstance(value, dict) and isinstance(base.get(name), dict):
            found[name] = _merged(base[name], value)
    return found
