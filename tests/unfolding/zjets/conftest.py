"""Small Z + jet events with known content, written as PFNano, and their part manifests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part

FIELDS = ("pt", "eta", "phi", "mass", "charge", "pdgId")
MUON_MASS, PION_MASS = 0.10566, 0.13957


def particles(rows: list[tuple[float, float, float, float, int, int]]) -> dict[str, np.ndarray]:
    """Columns of particles given as (pt, eta, phi, mass, charge, pdgId)."""
    return {name: np.array([row[k] for row in rows]) for k, name in enumerate(FIELDS)}


def muon_pair(pt: float, eta: float, phi: float) -> list[tuple[Any, ...]]:
    """Two muons of one pT, symmetric about (eta, phi), with the mass and about the pT of a Z."""
    # m^2 = 2 pT^2 (1 - cos(2 d)) for equal pT and rapidity, and pT(Z) = 2 pT cos(d)
    opening = np.arctan2(91.1876, pt)
    single = 0.5 * pt / np.cos(opening)
    return [(single, eta, phi + sign * opening, MUON_MASS, -sign, 13 * sign) for sign in (1, -1)]


def jet(
    rng: np.random.Generator, pt: float, eta: float, phi: float, n: int = 15
) -> list[tuple[Any, ...]]:
    """Pions and photons about an axis."""
    share = rng.dirichlet(np.full(n, 0.6))
    charge = rng.choice([-1, 0, 1], n)
    return [
        (
            pt * share[k] + 0.2,
            eta + rng.normal(0, 0.08),
            phi + rng.normal(0, 0.08),
            PION_MASS if charge[k] else 0.0,
            int(charge[k]),
            int(211 * charge[k]) if charge[k] else 22,
        )
        for k in range(n)
    ]


def zjet(rng: np.random.Generator, smear: bool = True) -> dict[str, Any]:
    """One event: gen particles, and candidates that differ from them by chance."""
    pt, phi, eta = rng.uniform(185, 290), rng.uniform(-np.pi, np.pi), rng.normal(0, 0.5)
    generated = muon_pair(pt, eta, phi) + jet(rng, pt, rng.normal(0, 0.8), phi + np.pi)
    generated += [(rng.exponential(1) + 0.3, rng.uniform(-3, 3), rng.uniform(-np.pi, np.pi),
                   PION_MASS, 1, 211) for _ in range(10)]  # fmt: skip
    seen = [
        (row[0] * (rng.normal(1, 0.05 if abs(row[5]) == 13 else 0.1) if smear else 1), *row[1:])
        for row in generated
        if not smear or abs(row[5]) == 13 or rng.random() < 0.9
    ]
    return {"GenCands": particles(generated), "PFCands": particles(seen)}


def write_events(path: Path, events: list[dict[str, Any]], *, drop: tuple[str, ...] = ()) -> None:
    """Write events as PFNano, without some of the branches or collections."""
    n = len(events)
    chance = np.random.default_rng(5)
    content: dict[str, Any] = {
        "run": np.ones(n, np.uint32),
        "luminosityBlock": np.ones(n, np.uint32),
        "event": np.arange(1, n + 1, dtype=np.uint64),
        "genWeight": np.linspace(0.5, 1.5, n).astype(np.float32),
        "PSWeight": ak.Array(chance.uniform(0.8, 1.2, (n, 4)).astype(np.float32).tolist()),
    }
    for table in ("GenCands", "PFCands"):
        columns = {}
        for name in events[0][table]:
            if f"{table}_{name}" in drop:
                continue
            kind = np.int32 if name in ("charge", "pdgId", "fromPV") else np.float32
            columns[name] = ak.values_astype(ak.Array([e[table][name] for e in events]), kind)
        content[table] = ak.zip(columns)
    with uproot.recreate(path) as file:
        file.mktree("Events", {k: v for k, v in content.items() if k not in drop})


@pytest.fixture
def make_part(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes events to one file and gives the manifest of it."""

    def make(events: list[dict[str, Any]], **changes: Any) -> Path:
        drop = changes.pop("drop", ())
        path = tmp_path / "events.root"
        write_events(path, events, drop=drop)
        n = len(events)
        total = float(n)
        if not changes.get("is_data"):
            weights = uproot.open(path)["Events"]["genWeight"].array(library="np")
            total = float(np.sum(weights, dtype=np.float64))
        entry = SourceFile(path.name, "Events", n, total, entries=n, sum_of_event_weights=total)
        layout = changes.pop("layout", "pfnano")
        write_part(tmp_path / "0000.json", PartManifest("toy", "0000", layout, (entry,), **changes))
        return tmp_path / "0000.json"

    return make


@pytest.fixture(scope="session")
def many() -> list[dict[str, Any]]:
    """Events on both sides of the cuts."""
    rng = np.random.default_rng(11)
    return [zjet(rng) for _ in range(60)]


@pytest.fixture
def one_jet() -> Callable[..., list[tuple[Any, ...]]]:
    """Function that makes the particles of a jet."""
    return jet


@pytest.fixture
def pair() -> Callable[..., list[tuple[Any, ...]]]:
    """Function that makes the two muons of a Z boson."""
    return muon_pair


@pytest.fixture
def columns() -> Callable[..., dict[str, np.ndarray]]:
    """Function that makes columns of rows of particles."""
    return particles
