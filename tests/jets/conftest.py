"""Small events with known content, written as NanoAOD, and their part manifests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part

TREE = "Events"


def candidates_of_jet(
    rng: np.random.Generator, pt: float, eta: float, phi: float, n: int
) -> dict[str, np.ndarray]:
    """Candidates of about the jet's total pT within 0.5 of its axis."""
    share = rng.dirichlet(np.full(n, 0.5))
    charge = rng.choice([-1, 0, 1], n, p=[0.3, 0.4, 0.3])
    return {
        "pt": pt * share + 0.3,
        "eta": eta + rng.normal(0, 0.15, n),
        "phi": (phi + rng.normal(0, 0.15, n) + np.pi) % (2 * np.pi) - np.pi,
        "mass": np.where(charge == 0, 0.0, 0.1396),
        "charge": charge,
        "pdgId": np.where(charge == 0, 22, 211 * charge),
    }


def one_event(rng: np.random.Generator) -> dict[str, Any]:
    """Two jets back to back and soft particles everywhere."""
    phi, eta = rng.uniform(-np.pi, np.pi), rng.normal(0, 0.6)
    pt = rng.uniform(480, 720)
    soft = candidates_of_jet(rng, 30, 0, 0, 20)
    soft["eta"], soft["phi"] = rng.uniform(-3, 3, 20), rng.uniform(-np.pi, np.pi, 20)
    blocks = [
        candidates_of_jet(rng, pt, eta, phi, 40),
        candidates_of_jet(rng, pt * rng.normal(1, 0.05), -eta, phi + np.pi, 30),
        soft,
    ]
    cands = {k: np.concatenate([b[k] for b in blocks]) for k in blocks[0]}
    n = len(cands["pt"])
    cands |= {
        "d0": rng.normal(0, 0.01, n),
        "d0Err": np.full(n, 0.005),
        "dz": rng.normal(0, 0.01, n),
        "dzErr": np.full(n, 0.006),
        "fromPV": np.where((cands["charge"] != 0) & (rng.uniform(size=n) < 0.05), 0, 3),
        "pvAssocQuality": np.full(n, 7),
    }
    direction = (phi + np.pi) % (2 * np.pi) - np.pi
    return {
        "PFCands": cands,
        "GenPart": {
            "pt": [pt],
            "eta": [eta],
            "phi": [direction],
            "mass": [0.0],
            "pdgId": [21],
            "status": [23],
            "statusFlags": [1 << 7],
            "genPartIdxMother": [-1],
        },
        "GenJetAK8": {"pt": [pt * 1.02], "eta": [eta], "phi": [direction], "mass": [60.0]},
    }


_INTEGERS = {
    "charge": np.int32,
    "pdgId": np.int32,
    "fromPV": np.int32,
    "pvAssocQuality": np.int32,
    "status": np.int32,
    "statusFlags": np.int32,
    "genPartIdxMother": np.int32,
}


def write_events(path: Path, events: list[dict[str, Any]], first: int = 1) -> None:
    """Write events as PFNano."""
    n = len(events)
    content: dict[str, Any] = {
        "run": np.ones(n, np.uint32),
        "luminosityBlock": np.ones(n, np.uint32),
        "event": np.arange(first, first + n, dtype=np.uint64),
        "genWeight": np.linspace(0.5, 1.5, n).astype(np.float32),
    }
    for table in events[0]:
        columns = {
            name: ak.values_astype(
                ak.Array([list(e[table][name]) for e in events]), _INTEGERS.get(name, np.float32)
            )
            for name in events[0][table]
        }
        content[table] = ak.zip(columns)
    with uproot.recreate(path) as file:
        file.mktree(TREE, content)


def write_manifest(folder: Path, *files: Path) -> Path:
    """Write the manifest of a part that consists of these files."""
    entries = []
    for path in files:
        weights = uproot.open(path)[TREE]["genWeight"].array(library="np")
        total = float(np.sum(weights, dtype=np.float64))
        entries.append(
            SourceFile(
                path.name,
                TREE,
                len(weights),
                total,
                entries=len(weights),
                sum_of_event_weights=total,
            )
        )
    manifest = folder / "0000.json"
    write_part(manifest, PartManifest("toy", "0000", "pfnano", tuple(entries)))
    return manifest


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of two files with 30 and 17 events."""
    folder = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(7)
    for name, count, first in (("a.root", 30, 1), ("b.root", 17, 31)):
        write_events(folder / name, [one_event(rng) for _ in range(count)], first)
    return write_manifest(folder, folder / "a.root", folder / "b.root")


@pytest.fixture(scope="session")
def write_toy() -> Callable[[Path, int], Path]:
    """Function that writes a number of random events to a file."""

    def write(path: Path, number: int) -> Path:
        rng = np.random.default_rng(3)
        write_events(path, [one_event(rng) for _ in range(number)])
        return path

    return write


@pytest.fixture
def make_part(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes events to one file and gives the manifest of it."""

    def make(events: list[dict[str, Any]]) -> Path:
        write_events(tmp_path / "events.root", events)
        return write_manifest(tmp_path, tmp_path / "events.root")

    return make
