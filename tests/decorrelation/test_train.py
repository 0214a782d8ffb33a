"""The step that trains decorrelated classifiers, with each method, on small files."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from fullchain.decorrelation import train
from fullchain.decorrelation.divergence import jensen_shannon
from fullchain.errors import InputError
from fullchain.step import Given
from fullchain.tagging import predict
from fullchain.tagging.model_file import load
from fullchain.tagging.score_files import read_scores

JETS = 4000
METHODS: dict[str, dict[str, Any]] = {
    "disco": {"kind": "disco"},
    "mode": {"kind": "mode", "bins": 8},
    "adversary": {"kind": "adversary", "components": 5, "layers": [16]},
    "planing": {"kind": "planing"},
    "uniform": {"kind": "boosting", "trees": 40, "max_depth": 3},
}
STRENGTHS = {"disco": 50.0, "mode": 300.0, "adversary": 10.0, "planing": 0.0, "uniform": 60.0}
# Factors of the divergence. Planing takes the mass away and not what moves with it; an adversary
# has hardly begun after 40 epochs.
LESS = {"disco": 4.0, "mode": 4.0, "adversary": 1.4, "planing": 1.1, "uniform": 2.0}
SAMPLES = ("wjet", "qcd")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def write_jets(path: Path, *, signal: bool, constant: bool = False) -> Path:
    """One jet an event; tau21 tells of class and mass, d2 of the class alone."""
    generator = np.random.default_rng(3 if signal else 4)
    falling = 50.0 + 250.0 * generator.beta(0.8, 2.0, JETS)
    mass = np.clip(generator.normal(80.0, 9.0, JETS), 51.0, 299.0) if signal else falling
    if constant:
        mass = np.full(JETS, 80.0)
    columns = {
        "run": np.ones(JETS, dtype=np.uint32),
        "luminosityBlock": np.ones(JETS, dtype=np.uint32),
        "event": np.arange(JETS, dtype=np.uint64) + (0 if signal else 10**6),
        "variation": np.full(JETS, "nominal"),
        "jet": np.zeros(JETS, dtype=np.int32),
        "weight": np.ones(JETS),
        "pt": generator.uniform(500.0, 700.0, JETS),
        "eta": generator.uniform(-1.5, 1.5, JETS),
        "phi": generator.uniform(-3.0, 3.0, JETS),
        "mass": mass,
        "msoftdrop": mass,
        "tau21": np.abs(mass - 80.0) / 100.0 + generator.normal(0.0, 0.1, JETS),
        "d2": generator.normal(1.0 if signal else -1.0, 1.5, JETS),
        "label": np.full(JETS, 3 if signal else 0, dtype=np.int8),
        "label_fully_contained": np.full(JETS, signal),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("jets")
    return [
        write_jets(folder / "wjet.parquet", signal=True),
        write_jets(folder / "qcd.parquet", signal=False),
    ]


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    """Settings as the rules pass them."""
    training = {
        **{"epochs": 40, "batch_size": 800, "learning_rate": 0.01, "schedule": "one_cycle"},
        **{"patience": 40, "device": "cpu", "threads": 1},
    }
    return {
        "seed": 11,
        "tagging": {
            "selection": {"ranges": {"msoftdrop": [50.0, 300.0]}},
            "split": {"validation": 0.2, "test": 0.4},
            "training": training,
            "taggers": {
                "w": {
                    "architecture": {
                        **{"kind": "mlp", "features": ["msoftdrop", "tau21", "d2"]},
                        **{"layers": [16, 16], "dropout": [0.0]},
                    },
                    "classes": {
                        "W": {"samples": ["wjet"], "labels": ["W"]},
                        "qcd": {"samples": ["qcd"], "labels": ["gluon"]},
                    },
                    "signal": "W",
                }
            },
        },
        "decorrelation": {
            "against": ["msoftdrop"],
            "classifiers": {
                **{name: {"tagger": "w", "method": method} for name, method in METHODS.items()},
                "none": {"tagger": "w", "method": {"kind": "disco"}},
                "flow": {"tagger": "w", "method": {"kind": "flow"}},
            },
        },
    }


def run(
    folder: Path, jets: list[Path], values: dict[str, Any], name: str, strength: float
) -> tuple[Path, dict[str, Any]]:
    """Train a classifier; its model, and its history."""
    folder.mkdir(parents=True, exist_ok=True)
    model, history = folder / "model.pt", folder / "history.json"
    train.main(
        jets=jets,
        samples=list(SAMPLES),
        classifier=name,
        strength=strength,
        member="fold0_seed0",
        model=model,
        history=history,
        settings=Given(values),
    )
    return model, json.loads(history.read_text())


def divergence(folder: Path, jets: list[Path], values: dict[str, Any], model: Path) -> float:
    """JSD [bit] of the mass of background that passes and fails at 50 % signal efficiency."""
    found = {}
    for path, sample in zip(jets, SAMPLES, strict=True):
        scores = folder / f"{sample}.parquet"
        predict.main(
            jets=[path], sample=sample, models=[model], scores=scores, settings=Given(values)
        )
        read = read_scores(scores)
        test = read["split"] == "test"
        mass = pyarrow.parquet.read_table(path)["msoftdrop"].to_numpy()
        found[sample] = (read["score"][test], mass[test])
    cut = np.median(found["wjet"][0])
    score, mass = found["qcd"]
    edges = np.linspace(50.0, 300.0, 16)
    passed, failed = (np.histogram(mass[one], edges)[0] for one in (score >= cut, score < cut))
    return float(jensen_shannon(passed.astype(float), failed.astype(float)))


@pytest.fixture(scope="module")
def unconstrained(
    tmp_path_factory: pytest.TempPathFactory, jets: list[Path], values: dict[str, Any]
) -> float:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("none")
    model, _ = run(folder, jets, values, "none", 0.0)
    return divergence(folder, jets, values, model)


@pytest.mark.parametrize("name", METHODS)
def test_each_method_leaves_less_of_the_mass(
    tmp_path: Path, jets: list[Path], values: dict[str, Any], unconstrained: float, name: str
) -> None:
    model, record = run(tmp_path, jets, values, name, STRENGTHS[name])
    assert record["method"]["kind"] == METHODS[name]["kind"]
    assert record["against"] == ["msoftdrop"]
    assert load(model).settings.class_names == ("W", "qcd")
    left = divergence(tmp_path, jets, values, model)
    assert left < unconstrained / LESS[name]


def test_what_cannot_be_trained_is_refused(
    tmp_path: Path, jets: list[Path], values: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="decorrelation flatten"):
        run(tmp_path, jets, values, "flow", 0.0)
    small = copy.deepcopy(values)
    small["decorrelation"]["classifiers"]["disco"]["batch_size"] = 20
    with pytest.raises(InputError, match=r"batch of 20 has about 10 background jets"):
        run(tmp_path, jets, small, "disco", 10.0)
    alike = [write_jets(tmp_path / "same.parquet", signal=False, constant=True)]
    for name in ("disco", "planing", "uniform"):
        with pytest.raises(InputError, match="msoftdrop is 80 for all"):
            run(tmp_path, [jets[0], *alike], values, name, 10.0)
    empty = copy.deepcopy(values)
    empty["tagging"]["selection"]["ranges"] = {"msoftdrop": [120.0, 300.0]}
    with pytest.raises(InputError, match=r"no W jets in samples wjet.*msoftdrop 120-300"):
        run(tmp_path, jets, empty, "disco", 10.0)
    table = pyarrow.parquet.read_table(jets[1])
    place = table.schema.get_field_index("d2")
    broken = np.where(np.arange(JETS) % 10 == 7, np.inf, table["d2"].to_numpy())
    path = tmp_path / "infinite.parquet"
    pyarrow.parquet.write_table(table.set_column(place, "d2", [broken]), path)
    for name in ("disco", "uniform"):
        with pytest.raises(
            InputError, match=r"infinite\.parquet: the jet .*event \d+.*: d2 is inf"
        ):
            run(tmp_path, [jets[0], path], values, name, 10.0)
    particles = copy.deepcopy(values)
    particles["tagging"]["taggers"]["w"]["architecture"] = {"kind": "pfn"}
    with pytest.raises(InputError, match="boosting looks at observables"):
        run(tmp_path, jets, particles, "uniform", 10.0)
