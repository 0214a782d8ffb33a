"""Toy jets and scores on disk: W jets on a falling background, scores that follow the mass or not.

A module that needs them asks for the fixture `toys`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from fullchain.learning import split
from fullchain.tagging import score_files
from fullchain.tagging.settings import TaggerSettings

SEED = 11


@dataclass(frozen=True)
class Toys:
    """Files of jets and of scores by name of the sample, and manifests."""

    jets: dict[str, Path]
    scores: dict[str, Path]
    manifests: list[Path]


def masses(generator: np.random.Generator, jets: int, *, signal: bool) -> np.ndarray:
    """Soft-drop masses [GeV]: a peak at 80, or a spectrum that falls from 50 to 300."""
    if signal:
        return np.clip(generator.normal(80.0, 9.0, jets), 51.0, 299.0)
    return 50.0 + 250.0 * generator.beta(0.8, 2.5, jets)


def toy_scores(
    generator: np.random.Generator, mass: np.ndarray, *, signal: bool, sculpting: float, seeds: int
) -> np.ndarray:
    """Scores (seeds, jets) in (0, 1): an observable free of the mass, and `sculpting` of it."""
    free = generator.normal(1.0 if signal else -1.0, 1.0, len(mass))
    peak = np.exp(-0.5 * ((mass - 80.0) / 25.0) ** 2)
    noise = generator.normal(0.0, 0.2, (seeds, len(mass)))
    return 1.0 / (1.0 + np.exp(-(1.5 * free + sculpting * (peak - 0.5) + noise)))


def write_toys(
    folder: Path,
    *,
    sculpting: float = 0.0,
    jets: int = 3000,
    seeds: int = 1,
    seed: int = 1,
    weight: Callable[[np.ndarray], np.ndarray] = np.ones_like,
    change: Callable[[dict[str, Any], str], dict[str, Any]] | None = None,
) -> Toys:
    """Write jets, scores and manifests of the samples wjet and qcd; `change` may alter columns."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Path]] = {"jets": {}, "scores": {}}
    manifests = []
    for number, (name, label, cross_section) in enumerate((("wjet", 3, 1.0), ("qcd", 0, 15.0))):
        generator = np.random.default_rng([seed, number])
        signal = name == "wjet"
        mass = masses(generator, jets, signal=signal)
        event = np.arange(jets) // 2
        columns: dict[str, Any] = {
            "run": np.ones(jets, dtype=np.uint32),
            "luminosityBlock": np.ones(jets, dtype=np.uint32),
            "event": event.astype(np.uint64),
            "variation": np.full(jets, "nominal"),
            "jet": (np.arange(jets) % 2).astype(np.int32),
            "weight": weight(mass).astype(float),
            "pt": generator.uniform(500.0, 700.0, jets),
            "eta": generator.uniform(-1.5, 1.5, jets),
            "phi": generator.uniform(-3.0, 3.0, jets),
            "mass": mass,
            "msoftdrop": mass,
            "label": np.full(jets, label, dtype=np.int8),
            "label_fully_contained": np.full(jets, signal),
        }
        single = toy_scores(generator, mass, signal=signal, sculpting=sculpting, seeds=seeds)
        if change is not None:
            columns = change(columns, name)
        found["jets"][name] = folder / f"{name}_jets.parquet"
        pyarrow.parquet.write_table(pyarrow.table(columns), found["jets"][name])
        fold = split.fold(columns["run"], columns["luminosityBlock"], columns["event"], SEED)
        found["scores"][name] = folder / f"{name}.parquet"
        with score_files.ScoreWriter(found["scores"][name], ["W", "qcd"], seeds) as writer:
            chances = np.stack([single, 1.0 - single], axis=2)
            writer.write(
                {
                    **columns,
                    **score_files.named_columns(chances, ["W", "qcd"]),
                    "fold": fold,
                    "split": split.parts(fold, 0.15, 0.7),
                }
            )
        manifests.append(folder / f"{name}_manifest.json")
        manifests[-1].write_text(
            f'{{"sample": "{name}", "events": {jets}, "sum_of_weights": {jets}.0, '
            f'"cross_section_pb": {cross_section}}}'
        )
    return Toys(found["jets"], found["scores"], manifests)


@pytest.fixture(scope="session")
def toys() -> Callable[..., Toys]:
    """The function `write_toys`."""
    return write_toys


@pytest.fixture(scope="session")
def values() -> dict[str, Any]:
    """Settings as a rule passes them to `decorrelation evaluate`."""
    classes = {
        "W": {"samples": ["wjet"], "labels": ["W"], "fully_contained": True},
        "qcd": {"samples": ["qcd"], "labels": ["gluon", "light", "b"]},
    }
    tagger = TaggerSettings.model_validate({"classes": classes, "signal": "W"})
    return {
        "seed": SEED,
        "tagging": {
            "selection": {
                "pt_min": 500.0,
                "pt_max": 700.0,
                "abs_eta_max": 2.0,
                "ranges": {"msoftdrop": [50.0, 300.0]},
            },
            "taggers": {"w": tagger.model_dump(mode="json")},
        },
        "decorrelation": {
            "against": ["msoftdrop"],
            "classifiers": {
                "disco": {"tagger": "w", "method": {"kind": "disco", "strengths": [1.0, 10.0]}},
                "mode": {"tagger": "w", "method": {"kind": "mode", "strengths": [5.0], "order": 1}},
            },
            "evaluation": {
                "replicas": 30,
                "random_cuts": 60,
                "working_points": [0.3],
                "mass_fit": {
                    "toys": 60,
                    "replicas": 12,
                    "truth_order": 6,
                    "largest_order": 3,
                    "least_jets": 8,
                },
            },
        },
    }
