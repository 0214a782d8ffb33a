"""Toy events of known truth: hard sprays, sprays of pile-up, and soft pile-up everywhere."""

from collections.abc import Callable, Iterator
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import uproot

from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part
from fullchain.pileup.candidate_events import CandidateEvents

LEADING, PILEUP = 1, 2


def toy(events: int, seed: int = 0, spread: float = 1.0) -> CandidateEvents:
    """Sprays of 12 candidates, half of them charged, and 60 soft candidates of pile-up.

    All centres lie within 2 spread in eta and pi spread in azimuth.

    In each event two sprays are hard and one is of a pile-up collision; the spectra are alike, so
    that only the tracks nearby tell which neutral candidates are hard. A soft one lies in a hard
    spray now and then.
    """
    rng = np.random.default_rng(seed)
    columns: list[np.ndarray] = []
    for number in range(events):
        pieces = []
        for spray in range(3):
            centre = spread * np.array([rng.uniform(-1.5, 1.5), rng.uniform(-np.pi, np.pi)])
            directions = centre + rng.normal(0, 0.12, (12, 2))
            hard = float(spray < 2)
            pieces.append((rng.exponential(3.0, 12) + 0.5, directions, np.full(12, hard)))
        soft = np.stack([rng.uniform(-2, 2, 60), rng.uniform(-np.pi, np.pi, 60)], axis=1)
        pieces.append((rng.exponential(1.0, 60) + 0.3, spread * soft, np.zeros(60)))
        pt = np.concatenate([piece[0] for piece in pieces])
        place = np.concatenate([piece[1] for piece in pieces])
        truth = np.concatenate([piece[2] for piece in pieces])
        charge = np.tile([1, 0], len(pt) // 2)
        columns.append(np.stack([np.full(len(pt), number), pt, *place.T, charge, truth], axis=1))
    table = np.concatenate(columns)
    charge, truth = table[:, 4].astype(int), table[:, 5]
    return CandidateEvents(
        pt=table[:, 1],
        eta=table[:, 2],
        phi=(table[:, 3] + np.pi) % (2 * np.pi) - np.pi,
        charge=charge,
        pdg_id=np.where(charge != 0, 211, 22),
        origin=np.where(charge == 0, 0, np.where(truth > 0, LEADING, PILEUP)).astype(np.int8),
        from_pv=np.where((charge != 0) & (truth == 0), 0, 3),
        dz=np.where(charge == 0, np.nan, np.where(truth > 0, 0.0, 3.0)),
        hard_fraction=truth,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(table[:, 0].astype(int)))]),
        vertices=np.full(events, 20.0),
        identity=np.stack([np.ones(events, int), np.ones(events, int), np.arange(events)], axis=1),
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def toy_events() -> Callable[..., CandidateEvents]:
    """Make toy events; arguments: their number, a seed, how far they spread."""
    return toy


@pytest.fixture(scope="session")
def write_toy() -> Callable[..., Path]:
    """Write toy events as an ntuple and its part manifest, which is returned.

    Keywords: events, seed, drop (branches of the candidates), change (their columns).
    """

    def write(
        path: Path,
        *,
        events: int = 30,
        seed: int = 0,
        drop: tuple[str, ...] = (),
        change: dict[str, np.ndarray] | None = None,
    ) -> Path:
        made = toy(events, seed)
        counts = np.diff(made.offsets)
        columns = {
            "pt": made.pt.astype(np.float32),
            "eta": made.eta.astype(np.float32),
            "phi": made.phi.astype(np.float32),
            "mass": np.zeros(len(made.pt), np.float32),
            "charge": made.charge.astype(np.int32),
            "pdgId": made.pdg_id.astype(np.int32),
            "dz": np.nan_to_num(made.dz, nan=-1.0).astype(np.float32),
            "dzErr": np.where(np.isfinite(made.dz), 0.01, -1.0).astype(np.float32),
            "fromPV": np.where(made.origin == PILEUP, 0, 3).astype(np.int32),
            "hardFraction": np.asarray(made.hard_fraction, np.float32),
            **(change or {}),
        }
        none = ak.Array([np.zeros(0, np.float32)] * events)
        jets = ak.zip({name: none for name in ("pt", "eta", "phi", "mass")})
        tree = {
            "run": np.ones(events, np.uint32),
            "luminosityBlock": np.ones(events, np.uint32),
            "event": np.arange(events, dtype=np.uint64),
            "genWeight": np.ones(events, np.float32),
            "PV_npvs": np.full(events, 20, np.int32),
            **{f"PV_{axis}": np.zeros(events, np.float32) for axis in "xyz"},
            "Pileup_nTrueInt": np.full(events, 20.0, np.float32),
            "Pileup_nPU": np.full(events, 20, np.int32),
            "GenMET_pt": np.zeros(events, np.float32),
            "GenMET_phi": np.zeros(events, np.float32),
            "PFCands": ak.zip(
                {
                    name: ak.unflatten(values, counts)
                    for name, values in columns.items()
                    if name not in drop
                }
            ),
            "GenJetAK8": jets,
            "GenJet": jets,
            "FatJet": jets,
        }
        with uproot.recreate(path) as file:
            file.mktree("Events", {name: ak.type(ak.Array(v)).content for name, v in tree.items()})
            file["Events"].extend(tree)
        manifest = path.with_suffix(".json")
        source = SourceFile(path.name, "Events", events, float(events))
        write_part(manifest, PartManifest("toy", path.stem, "pfnano", (source,)))
        return manifest

    return write
