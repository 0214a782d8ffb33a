"""Small events with pile-up and truth, written as PFNano, and their part manifest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part

EVENTS = 40


def one_event(rng: np.random.Generator) -> dict[str, Any]:
    """Two jets back to back, and soft particles of pile-up everywhere."""
    blocks = []
    phi, eta, pt = rng.uniform(-np.pi, np.pi), rng.normal(0, 0.5), rng.uniform(480, 620)
    jets = [(eta, phi), (-eta, phi + np.pi)]
    for jet_eta, jet_phi in jets:
        share = rng.dirichlet(np.full(30, 0.5))
        charge = rng.choice([-1, 0, 1], 30, p=[0.3, 0.4, 0.3])
        blocks.append(
            {
                "pt": pt * share + 0.3,
                "eta": jet_eta + rng.normal(0, 0.12, 30),
                "phi": jet_phi + rng.normal(0, 0.12, 30),
                "charge": charge,
                "fromPV": np.full(30, 3),
                "dz": rng.normal(0, 0.01, 30),
                "hardFraction": np.ones(30),
            }
        )
    n = 900
    eta_pu = rng.uniform(-4.5, 4.5, n)
    charge = np.where(np.abs(eta_pu) < 2.5, rng.choice([-1, 0, 1], n, p=[0.3, 0.4, 0.3]), 0)
    blocks.append(
        {
            "pt": rng.exponential(0.7, n) + 0.2,
            "eta": eta_pu,
            "phi": rng.uniform(-np.pi, np.pi, n),
            "charge": charge,
            "fromPV": np.where(charge == 0, 3, 0),
            "dz": rng.normal(0, 4, n),
            "hardFraction": np.zeros(n),
        }
    )
    candidates = {key: np.concatenate([b[key] for b in blocks]) for key in blocks[0]}
    candidates["phi"] = (candidates["phi"] + np.pi) % (2 * np.pi) - np.pi
    candidates["mass"] = np.where(candidates["charge"] == 0, 0.0, 0.1396)
    candidates["pdgId"] = np.where(candidates["charge"] == 0, 22, 211 * candidates["charge"])
    candidates["d0"] = np.zeros(n + 60)
    candidates["d0Err"] = candidates["dzErr"] = np.full(n + 60, 0.01)
    gen = {
        "pt": [pt * 0.99] * 2,
        "eta": [e for e, _ in jets],
        "phi": [(f + np.pi) % (2 * np.pi) - np.pi for _, f in jets],
        "mass": [80.0] * 2,
    }
    return {"PFCands": candidates, "GenJetAK8": gen, "GenJet": gen}


def _single(values: np.ndarray, *fields: str) -> ak.Array:
    """One entry per event."""
    return ak.unflatten(ak.zip(dict.fromkeys(fields, values)), np.ones(len(values), int))


_INTEGERS = ("charge", "pdgId", "fromPV")


def columns(rng: np.random.Generator, events: int = EVENTS) -> dict[str, Any]:
    """The branches of some events."""
    made = [one_event(rng) for _ in range(events)]
    found: dict[str, Any] = {}
    for collection in ("PFCands", "GenJetAK8", "GenJet"):
        counts = [len(one[collection]["pt"]) for one in made]
        flat = {
            field: np.concatenate([one[collection][field] for one in made]).astype(
                np.int32 if field in _INTEGERS else np.float32
            )
            for field in made[0][collection]
        }
        found[collection] = ak.unflatten(ak.zip(flat), counts)
    each = np.arange(events)
    return found | {
        "run": np.ones(events, np.uint32),
        "luminosityBlock": np.ones(events, np.uint32),
        "event": (each + 1).astype(np.uint64),
        "genWeight": np.ones(events, np.float32),
        "Pileup_nPU": rng.poisson(50, events).astype(np.int32),
        "Pileup_nTrueInt": np.full(events, 50, np.float32),
        "PV_npvs": np.full(events, 35, np.int32),
        **{f"PV_{axis}": np.zeros(events, np.float32) for axis in "xyz"},
        "GenMET_pt": rng.uniform(0, 100, events).astype(np.float32),
        "GenMET_phi": rng.uniform(-3, 3, events).astype(np.float32),
        # of the layout PFNano; not used
        "FatJet": _single(np.ones(events, np.float32), "pt", "eta"),
        "FatJetPFCands": _single(np.zeros(events, np.int32), "jetIdx", "pFCandsIdx"),
    }


Make = Callable[..., Path]


@pytest.fixture(scope="session")
def make_part(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Write a part; `change` alters its branches before."""

    def make(change: Callable[[dict[str, Any]], None] | None = None, sample: str = "toy") -> Path:
        folder = tmp_path_factory.mktemp(sample)
        content = columns(np.random.default_rng(4))
        if change:
            change(content)
        with uproot.recreate(folder / "0000.root") as file:
            file.mktree("Events", content)
        source = SourceFile("0000.root", "Events", EVENTS, float(EVENTS))
        write_part(folder / "0000.json", PartManifest(sample, "0000", "pfnano", (source,)))
        return folder / "0000.json"

    return make


@pytest.fixture(scope="session")
def toy(make_part: Make) -> Path:
    """The manifest of a part as it should be."""
    return make_part()
