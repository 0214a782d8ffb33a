"""What steps that hold showers take in memory, for each MB of voxels in single precision.

Runs each step on two numbers of showers of the parameterisation, in processes of their own, and
divides the difference of their peaks by that of the voxels::

    python benchmarks/calorimetry/memory_of_showers.py --showers 2000 6000 train classify

`rules/calorimetry.smk` asks for memory in proportion to this size. Networks are small here: what
large ones take comes on top.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fullchain.calorimetry import detector, geometry, gflash, shower_file
from fullchain.calorimetry.detector_settings import default_detectors
from fullchain.calorimetry.shower_file import Showers

GEOMETRY = "set2_electrons"
SHORT = {"epochs": 1, "batch_size": 50}
NETWORK = {"layers": [32], "training": SHORT, "replicas": 2, "trees": False}
MODELS: dict[str, dict[str, Any]] = {
    "coupling": {"kind": "coupling", "blocks": 2, "width": 8, "depth": 1, "training": SHORT},
    "matching": {
        "kind": "matching",
        "energies": {"width": 16, "blocks": 1, "hidden": [16], "training": SHORT},
        "shower": {"network": "resnet", "width": 16, "blocks": 1},
        "training": SHORT,
    },
    "vae": {"kind": "vae", "latent": 2, "encoder": [16], "decoder": [16], "training": SHORT},
}
PAIR = ["--generated", "other.h5", "--test", "showers.h5", "--geometry-xml", "geometry.xml"]
JUDGED = ["--name", "x", *PAIR, "--threshold", "0.01515"]
STEPS = {
    "evaluate": [*JUDGED, "--role", "reference", "--evaluation", "out.json"],
    "classify": [*JUDGED, "--showers-set", "x", "--output", "out.json", "--model", "out.pt"],
    "official": [*JUDGED, "--showers-set", "x", "--output", "out.json", "--model", "out.pt"],
    "trees": [*JUDGED, "--showers-set", "x", "--output", "out.json", "--model", "out.pt"],
}
for kind in ("trees", "network"):
    STEPS[f"control:{kind}"] = [
        *(*JUDGED, "--showers-set", "x", "--output", "out.json", "--resampled", "out.h5")
    ]
for kind in MODELS:
    STEPS[f"train:{kind}"] = [
        *("--showers", "showers.h5", "--geometry", "geometry.xml", "--model", kind),
        *("--trained", "model.pt", "--history", "out.json"),
    ]

PEAK = """
import resource, sys
from fullchain.calorimetry import classifier_training, classifier_trees
from fullchain.entry import main
# The rows are what is measured, not the training.
classifier_training.OFFICIAL_LAYERS = (32,)
classifier_training.OFFICIAL_TRAINING["epochs"] = 1
classifier_trees.ITERATIONS = 1
try:
    main()
finally:
    which = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    print("peak", max(resource.getrusage(one).ru_maxrss for one in which))
"""


def settings(step: str) -> dict[str, Any]:
    """Settings of a step, with small networks."""
    low = {"levels": ["low"]}
    classifiers = {
        "classify": NETWORK | low,
        "trees": NETWORK | low | {"trees": True},
        "official": {"mode": "official", "trees": False, "replicas": 2} | low,
    }
    models = {
        name: model | {"preprocessing": {"threshold": 0.01515}} for name, model in MODELS.items()
    }
    return {
        "seed": 1,
        "calorimetry": {
            "models": models,
            "evaluation": {
                "bootstraps": 10,
                "coverage_size": 200,
                "frechet": {"smallest": 200, "largest": 400},
            },
            "classifiers": classifiers.get(step, NETWORK),
            "control": {
                "discriminator": "network" if step == "control:network" else "trees",
                "classifier": NETWORK | low | {"trees": True},
                "folds": 2,
                "replicas": 2,
            },
        },
    }


def peak(step: str, number: int, folder: Path) -> float:
    """Give the largest resident memory [MB] of a step with so many showers."""
    shape = geometry.load(GEOMETRY)
    build = detector.build(default_detectors()[GEOMETRY])
    for seed, name in enumerate(("showers", "other")):
        random = np.random.default_rng(seed)
        energies = np.exp(random.uniform(np.log(1e3), np.log(1e6), number))
        blocks = [gflash.showers(some, build, random) for some in np.array_split(energies, 10)]
        shower_file.write(folder / f"{name}.h5", Showers(energies, np.concatenate(blocks)))
    geometry.write(shape, folder / "geometry.xml")
    own = "classify" if step in ("official", "trees") else step.partition(":")[0]
    command = ["calorimetry", own, *STEPS[step], "--settings", json.dumps(settings(step))]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *command], cwd=folder, capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("peak")]
    if done.returncode or not lines:
        raise SystemExit(f"{step}: {done.stderr[-2000:]}")
    return int(lines[-1].split()[1]) / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("steps", nargs="*", default=list(STEPS), help=", ".join(STEPS))
    parser.add_argument("--showers", type=int, nargs=2, default=[2000, 6000])
    chosen = parser.parse_args()
    size = geometry.load(GEOMETRY).voxels * 4 / 1e6
    for step in chosen.steps:
        with tempfile.TemporaryDirectory() as folder:
            few, many = (peak(step, number, Path(folder)) for number in chosen.showers)
        slope = (many - few) / (size * (chosen.showers[1] - chosen.showers[0]))
        print(
            f"{step}: {few:.0f} and {many:.0f} MB with {size * chosen.showers[0]:.0f} and "
            f"{size * chosen.showers[1]:.0f} MB of voxels: {slope:.2f} times more",
            flush=True,
        )


if __name__ == "__main__":
    main()
