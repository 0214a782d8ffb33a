"""Toy jets on disk, in the schema of the stage jets: signal has three prongs, background one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

TRACK = ("d0", "d0_err", "dz", "dz_err")

PARTICLE = pyarrow.struct(
    [(name, pyarrow.float32()) for name in ("pt", "eta", "phi", "mass", *TRACK)]
    + [("charge", pyarrow.int8()), ("pdgId", pyarrow.int32())]
)


COLUMNS = (
    "run",
    "luminosityBlock",
    "event",
    "variation",
    "jet",
    "weight",
    "pt",
    "eta",
    "phi",
    "mass",
    "msoftdrop",
    "tau32",
    "npu",
    "label",
    "label_fully_contained",
    "constituents",
)


def prongs(generator: np.random.Generator, axes: int, particles: int) -> np.ndarray:
    """Particles around `axes` directions 0.3 to 0.6 apart; shape (particles, 4)."""
    angle = generator.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(axes) / axes
    distance = generator.uniform(0.2, 0.35) if axes > 1 else 0.0
    owner = generator.integers(0, axes, particles)
    spread = generator.normal(0, 0.05 if axes > 1 else 0.12, (2, particles))
    momenta = np.zeros((particles, 4))
    momenta[:, 0] = np.sort(generator.exponential(1.0, particles))[::-1]
    momenta[:, 1] = distance * np.cos(angle[owner]) + spread[0]
    momenta[:, 2] = distance * np.sin(angle[owner]) + spread[1]
    momenta[:, 3] = 0.13957
    return momenta


def toy_table(
    seed: int,
    events: int,
    *,
    signal: bool,
    axes: int | None = None,
    labels: tuple[int, ...] | None = None,
    first_event: int = 0,
    variations: tuple[str, ...] = ("nominal",),
    pt: tuple[float, float] = (450.0, 750.0),
) -> pyarrow.Table:
    """One jet per event and variation; events are numbered from `first_event`.

    `axes` prongs, by default three for signal and one for background; `labels` to draw from.
    """
    axes = axes or (3 if signal else 1)
    labels = labels or ((5,) if signal else (0, 1, 2))
    generator = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for event in range(first_event, first_event + events):
        jet_pt, eta, phi = (
            generator.uniform(*pt),
            generator.uniform(-2.2, 2.2),
            generator.uniform(-3, 3),
        )
        momenta = prongs(generator, axes, int(generator.integers(15, 40)))
        tau32 = float(np.clip(generator.normal(0.5 if signal else 0.75, 0.12), 0, 1))
        mass = generator.normal(172, 15) if signal else generator.exponential(60)
        label = labels[int(generator.integers(0, len(labels)))]
        for number, variation in enumerate(variations):
            scale = 1 + 0.02 * number
            here = momenta.copy()
            here[:, 0] *= scale * jet_pt / momenta[:, 0].sum()
            here[:, 1] += eta
            here[:, 2] = (here[:, 2] + phi + np.pi) % (2 * np.pi) - np.pi
            names = ("pt", "eta", "phi", "mass")
            # A neutral particle has no track: NaN stands where a charged one has numbers.
            kinds = (
                dict.fromkeys(TRACK, 0.01) | {"charge": 1, "pdgId": 211},
                dict.fromkeys(TRACK, float("nan")) | {"charge": 0, "pdgId": 22},
            )
            particles = [
                dict(zip(names, row, strict=True), **kinds[place % 2])
                for place, row in enumerate(here.tolist())
            ]
            values = (1, 1, event, variation, 0, 1.0, scale * jet_pt, eta, phi, abs(mass))
            values += (abs(mass), tau32, 10.0, label, signal, particles)
            for name, value in zip(rows, values, strict=True):
                rows[name].append(value)
    types = {
        "run": pyarrow.uint32(),
        "luminosityBlock": pyarrow.uint32(),
        "event": pyarrow.uint64(),
        "variation": pyarrow.string(),
        "jet": pyarrow.int32(),
        "label": pyarrow.int8(),
        "label_fully_contained": pyarrow.bool_(),
        "constituents": pyarrow.list_(PARTICLE),
    }
    return pyarrow.table(
        {
            name: pyarrow.array(values, type=types.get(name, pyarrow.float32()))
            for name, values in rows.items()
        }
    )


@pytest.fixture(scope="session")
def write_jets(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Function (table, name) that writes jets to a new folder and gives the path."""
    folder = tmp_path_factory.mktemp("jets")

    def write(table: pyarrow.Table, name: str, **options: Any) -> Path:
        path = folder / f"{name}.parquet"
        pyarrow.parquet.write_table(table, path, **options)
        return path

    return write


@pytest.fixture(scope="session")
def toy() -> Callable[..., pyarrow.Table]:
    """The function `toy_table`."""
    return toy_table


@pytest.fixture(scope="session")
def signal_jets(write_jets: Callable[..., Path]) -> list[Path]:
    """Two files of 300 events of three-prong jets."""
    return [
        write_jets(
            toy_table(1 + k, 300, signal=True, first_event=300 * k), f"tt_{k}", row_group_size=70
        )
        for k in range(2)
    ]


@pytest.fixture(scope="session")
def background_jets(write_jets: Callable[..., Path]) -> list[Path]:
    """One file of 700 events of one-prong jets, in two variations."""
    table = toy_table(7, 700, signal=False, variations=("nominal", "jes_up"))
    return [write_jets(table, "qcd_0")]


@pytest.fixture(scope="session")
def values() -> dict[str, Any]:
    """Settings of a small tagger, as a rule passes them."""
    from fullchain.tagging.settings import TaggerSettings, TaggingSettings

    small = TaggerSettings.model_validate(
        {
            "n_constituents": 24,
            "architecture": {"kind": "pfn", "phi": [16, 16], "f": [16], "dropout": 0.1},
        }
    )
    tagging = TaggingSettings.model_validate(
        {
            "taggers": {"pfn": small.model_dump(mode="json")},
            # One thread: a test must not wait for a second core that others use.
            "training": {
                "epochs": 8,
                "batch_size": 64,
                "learning_rate": 0.02,
                "device": "cpu",
                "threads": 1,
            },
            "evaluation": {
                "replicas": 40,
                "bins": {"pt": [500, 600, 700], "abs_eta": [0, 1, 2]},
                "alternatives": {},
            },
        }
    )
    return {"seed": 11, "tagging": tagging.model_dump(mode="json")}
