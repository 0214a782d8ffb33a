"""The step that trains, for taggers of particles, of three classes, and against two variables."""

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
from fullchain.learning.distance_correlation import distance_correlation
from fullchain.step import Given
from fullchain.tagging import predict
from fullchain.tagging.score_files import read_scores

JETS, PARTICLES = 1600, 10
LABELS = {"wjet": 3, "qcd": 0, "tt": 5}
CLASSES = {"W": ("wjet", "W"), "qcd": ("qcd", "gluon"), "top": ("tt", "top")}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def particles(
    generator: np.random.Generator, pt: np.ndarray, mass: np.ndarray, *, even: bool
) -> pyarrow.Array:
    """Particles about the axis: how far tells the mass over pT, how they share pT the class."""
    shares = generator.dirichlet([4.0 if even else 1.0] * PARTICLES, JETS)
    share = np.sort(shares, axis=1)[:, ::-1]
    angle = generator.uniform(0.0, 2.0 * np.pi, (JETS, PARTICLES))
    distance = 2.0 * (mass / pt)[:, None] * generator.uniform(0.7, 1.3, (JETS, PARTICLES))
    fields = {
        "pt": share * pt[:, None],
        "eta": distance * np.cos(angle),
        "phi": distance * np.sin(angle),
        "mass": np.full((JETS, PARTICLES), 0.13957),
    }
    each = pyarrow.StructArray.from_arrays(
        [pyarrow.array(values.ravel().astype(np.float32)) for values in fields.values()],
        names=list(fields),
    )
    return pyarrow.ListArray.from_arrays(
        pyarrow.array(np.arange(0, JETS * PARTICLES + 1, PARTICLES, dtype=np.int32)), each
    )


def write_jets(path: Path, sample: str) -> Path:
    """One jet an event: tau21 tells of the mass, tau32 of pT, d2 and the particles of the class."""
    generator = np.random.default_rng(LABELS[sample])
    signal = sample == "wjet"
    centre = {"wjet": (80.0, 9.0), "tt": (170.0, 20.0)}
    mass = (
        generator.normal(*centre[sample], JETS)
        if sample in centre
        else 50.0 + 250.0 * generator.beta(0.8, 2.0, JETS)
    )
    mass = np.clip(mass, 51.0, 299.0)
    pt = 500.0 + 200.0 * (
        generator.beta(2.0, 1.0, JETS) if signal else generator.beta(1.0, 2.0, JETS)
    )
    columns = {
        "run": np.ones(JETS, dtype=np.uint32),
        "luminosityBlock": np.ones(JETS, dtype=np.uint32),
        "event": np.arange(JETS, dtype=np.uint64) + 10**6 * LABELS[sample],
        "variation": np.full(JETS, "nominal"),
        "jet": np.zeros(JETS, dtype=np.int32),
        "weight": np.ones(JETS),
        "pt": pt,
        "eta": np.zeros(JETS),
        "phi": np.zeros(JETS),
        "mass": mass,
        "msoftdrop": mass,
        "tau21": np.abs(mass - 80.0) / 100.0 + generator.normal(0.0, 0.1, JETS),
        "tau32": (pt - 600.0) / 100.0 + generator.normal(0.0, 0.2, JETS),
        "d2": generator.normal(1.0 if signal else -1.0, 1.5, JETS),
        "label": np.full(JETS, LABELS[sample], dtype=np.int8),
        "label_fully_contained": np.full(JETS, signal),
        "constituents": particles(generator, pt, mass, even=signal),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("jets")
    return {sample: write_jets(folder / f"{sample}.parquet", sample) for sample in LABELS}


MLP = {
    **{"kind": "mlp", "features": ["msoftdrop", "tau21", "tau32", "d2"]},
    **{"layers": [16, 16], "dropout": [0.0]},
}
PFN = {"kind": "pfn", "phi": [16, 16], "f": [16]}


def settings(
    architecture: dict[str, Any], classes: tuple[str, ...], method: dict[str, Any], *against: str
) -> dict[str, Any]:
    """Settings as a rule passes them, without weights that make the classes alike in pT."""
    training = {
        **{"epochs": 40, "batch_size": 320, "learning_rate": 0.01, "schedule": "one_cycle"},
        **{"patience": 40, "device": "cpu", "threads": 1},
    }
    tagger = {
        "architecture": architecture,
        "classes": {
            name: {"samples": [CLASSES[name][0]], "labels": [CLASSES[name][1]]} for name in classes
        },
        "signal": "W",
        "reweighting": {"reference": "none"},
        "n_constituents": PARTICLES,
    }
    return {
        "seed": 11,
        "tagging": {
            "selection": {"ranges": {"msoftdrop": [50.0, 300.0]}},
            "split": {"validation": 0.2, "test": 0.4},
            "training": training,
            "taggers": {"w": tagger},
        },
        "decorrelation": {
            "against": list(against),
            "classifiers": {"mine": {"tagger": "w", "method": method}},
        },
    }


def dependence(
    folder: Path, jets: dict[str, Path], values: dict[str, Any], strength: float
) -> dict[str, float]:
    """Train; squared distance correlation of score and each variable of background of the test."""
    folder.mkdir(parents=True)
    model, history = folder / "model.pt", folder / "history.json"
    classes = values["tagging"]["taggers"]["w"]["classes"]
    samples = [one["samples"][0] for one in classes.values()]
    train.main(
        jets=[jets[sample] for sample in samples],
        samples=samples,
        classifier="mine",
        strength=strength,
        member="fold0_seed0",
        model=model,
        history=history,
        settings=Given(values),
    )
    against = values["decorrelation"]["against"]
    record = json.loads(history.read_text())
    assert record["against"] == against and set(record["jets"]["train"]) == set(classes)
    score, columns = [], []
    for sample in samples[1:]:
        scores = folder / f"{sample}.parquet"
        predict.main(
            jets=[jets[sample]],
            sample=sample,
            models=[model],
            scores=scores,
            settings=Given(values),
        )
        read = read_scores(scores)
        test = read["split"] == "test"
        table = pyarrow.parquet.read_table(jets[sample], columns=against)
        score.append(read["score"][test])
        columns.append(np.stack([table[name].to_numpy()[test] for name in against], axis=1))
    values_of = torch.from_numpy(np.concatenate(columns))
    found = torch.from_numpy(np.concatenate(score))[:, None].double()
    return {
        name: float(distance_correlation(values_of[:, [k]], found))
        for k, name in enumerate(against)
    }


DISCO = {"kind": "disco"}
ADVERSARY = {"kind": "adversary", "components": 5, "layers": [16]}
BOOSTING = {"kind": "boosting", "trees": 40, "max_depth": 3}
BOTH = ("msoftdrop", "pt")


@pytest.mark.parametrize(
    ("architecture", "classes", "method", "against", "strengths", "factor"),
    [
        pytest.param(PFN, ("W", "qcd"), DISCO, BOTH[:1], (0.0, 50.0), 6.0, id="particles"),
        pytest.param(MLP, tuple(CLASSES), DISCO, BOTH[:1], (0.0, 50.0), 20.0, id="three classes"),
        pytest.param(MLP, ("W", "qcd"), DISCO, BOTH, (0.0, 50.0), 2.5, id="two variables, disco"),
        pytest.param(
            MLP, ("W", "qcd"), ADVERSARY, BOTH, (1e-9, 20.0), 3.0, id="two variables, adversary"
        ),
        pytest.param(
            MLP, ("W", "qcd"), BOOSTING, BOTH, (0.01, 60.0), 1.7, id="two variables, boosting"
        ),
    ],
)
def test_a_penalty_leaves_less_of_each_variable(
    tmp_path: Path,
    jets: dict[str, Path],
    architecture: dict[str, Any],
    classes: tuple[str, ...],
    method: dict[str, Any],
    against: tuple[str, ...],
    strengths: tuple[float, float],
    factor: float,
) -> None:
    values = settings(copy.deepcopy(architecture), classes, method, *against)
    free = dependence(tmp_path / "free", jets, values, strengths[0])
    held = dependence(tmp_path / "held", jets, values, strengths[1])
    for name in against:
        assert held[name] < free[name] / factor, name
