"""Our part of the comparison: the steps from the ROOT file to the scores."""

import json
import sys
from pathlib import Path
from typing import Any

from cost import Cost, measured

SAMPLE = "jets"
ARCHITECTURES = {
    "pfn": {"kind": "pfn"},
    "particlenet_lite": {
        "kind": "particlenet",
        "neighbours": 7,
        "blocks": [[32, 32, 32], [64, 64, 64]],
        "fc": [128],
    },
    "part_tiny": {
        "kind": "part",
        "embedding": [32, 64, 32],
        "pairs": [8, 8],
        "heads": 4,
        "blocks": 2,
        "class_blocks": 1,
    },
}
EVERYTHING = {"pt_min": 1.0, "pt_max": 1e5, "abs_eta_max": 5.0}
"""No cut: the jets of the file are those to compare on."""


def settings(model: str, number: int, how: dict[str, Any], epochs: int) -> dict[str, Any]:
    """What the steps need to know, and that weaver is given likewise.

    No rotation of the training jets, no weights, the published scale of the inputs, the same
    optimiser and rate. Random numbers follow from the name of the tagger, which has the number of
    the round in it; the parts of the jets follow from the seed, which is that of the file.
    """
    tagger = {
        "architecture": ARCHITECTURES[model],
        "jets_from": "ntuples",
        "classes": {
            "top": {"samples": [SAMPLE], "labels": ["top"]},
            "qcd": {"samples": [SAMPLE], "labels": ["gluon"]},
        },
        "signal": "top",
        "inputs": "kin",
        "standardisation": "published",
        "n_constituents": how["particles"],
        "rotate": False,
        "reweighting": {"reference": "none"},
    }
    return {
        "seed": how["seed"],
        "tagging": {
            "selection": EVERYTHING,
            "split": {"validation": how["validation"], "test": how["test"]},
            "training": {
                "epochs": epochs,
                "patience": epochs,
                "batch_size": how["batch_size"],
                "optimiser": "ranger",
                "learning_rate": how["learning_rate"],
                "schedule": "flat_then_decay",
                "threads": 1,
                "precision": how["precision"],
                "device": "cpu",
            },
            "evaluation": {"alternatives": {}},
            "taggers": {f"{model}_{number}": tagger},
        },
    }


def train(
    model: str, number: int, root: Path, folder: Path, how: dict[str, Any], epochs: int
) -> Cost:
    """Train on the jets of the ROOT file."""
    folder.mkdir(parents=True, exist_ok=True)
    step = ["tagging", "train", "--jets", root, "--samples", SAMPLE]
    step += ["--tagger", f"{model}_{number}", "--member", "fold0_seed0"]
    step += ["--model", folder / "model.pt", "--history", folder / "history.json"]
    return _step(step, settings(model, number, how, epochs), folder)


def predict(model: str, number: int, root: Path, folder: Path, how: dict[str, Any]) -> Cost:
    """Give a score to all jets of the file."""
    step = ["tagging", "predict", "--jets", root, "--sample", SAMPLE]
    step += ["--models", folder / "model.pt", "--scores", folder / "scores.parquet"]
    return _step(step, settings(model, number, how, 1), folder)


def warm_up(folder: Path) -> None:
    """Have Python keep the byte code of all modules, and numba machine code, as in a first run."""
    measured([sys.executable, str(Path(__file__))], folder / "warm_up_kernels.log")
    for step in ("train", "predict"):
        command = [sys.executable, "-m", "fullchain", "tagging", step, "--help"]
        measured(command, folder / f"warm_up_{step}.log")


def _step(words: list[Any], given: dict[str, Any], folder: Path) -> Cost:
    command = [sys.executable, "-m", "fullchain", *map(str, words)]
    command += ["--settings", json.dumps(given)]
    return measured(command, folder / f"{words[0]}_{words[1]}.log")


def scores(folder: Path) -> tuple[Any, Any]:
    """Numbers of the jets, which are their entries in the ROOT file, and their scores."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "scores.parquet", columns=["event", "score"])
    return table["event"].to_numpy(), table["score"].to_numpy()


def numbers(folder: Path) -> dict[str, Any]:
    """What training wrote: parameters and numbers of jets among it."""
    return dict(json.loads((folder / "history.json").read_text(encoding="utf-8")))


def compile_kernels() -> None:
    """Train one step of a small Particle Transformer, which compiles what is compiled but once."""
    import torch

    from fullchain.tagging.cloud import ParticleCloud
    from fullchain.tagging.particle_transformer import ParticleTransformer

    network = ParticleTransformer(3, 2, embedding=(8,), pairs=(4,), heads=2, blocks=1)
    values = torch.rand(4, 5, 9)
    mask = torch.ones(4, 5, dtype=torch.bool)
    network(ParticleCloud(values[..., :3], mask, values[..., :2], values[..., 5:])).sum().backward()


if __name__ == "__main__":
    compile_kernels()
