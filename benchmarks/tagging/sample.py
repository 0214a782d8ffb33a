"""One ROOT file of jets in the layout of JetClass, from jets of a finished run.

    python benchmarks/tagging/sample.py --top results/default/jets/tt/*.parquet \
        --qcd results/default/jets/qcd/*.parquet --jets 4000 --seed 1 --output jets.root

As many fully contained top jets as jets of gluons, light quarks and b quarks, nominal ones only, in
a random order. Beside what JetClass has, `jet_number` is the entry and `jet_part` says what a jet
is for: 0 training, 1 validation, 2 test. The parts are those that our training makes of the events
of this file with this seed, so that both sides train and test on the same jets.
"""

import argparse
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import uproot

from fullchain.learning import split
from fullchain.tagging.settings import LABELS

TREE = "tree"
PARTS = (split.TRAIN, split.VALIDATION, split.TEST)
CM_TO_MM = 10.0
FIELDS = ("pt", "eta", "phi", "mass", "charge", "pdgId", "d0", "d0_err", "dz", "dz_err")


def read(paths: Sequence[Path], labels: Sequence[str], contained: bool) -> ak.Array:
    """Nominal jets with one of the labels: records pt, eta, phi, mass, label, constituents."""
    columns = ["pt", "eta", "phi", "mass", "label", "label_fully_contained", "constituents"]
    pieces = []
    for path in paths:
        table = pq.read_table(path, columns=columns, filters=[("variation", "=", "nominal")])
        jets = ak.from_arrow(table)
        keep = np.isin(ak.to_numpy(jets.label), [LABELS[name] for name in labels])
        if contained:
            keep &= ak.to_numpy(jets.label_fully_contained)
        pieces.append(jets[keep])
    return ak.concatenate(pieces)


def branches(jets: ak.Array, is_top: Any) -> dict[str, Any]:
    """Branches of JetClass, momenta in GeV and lengths in mm."""
    particles = ak.zip({name: jets.constituents[name] for name in FIELDS})
    pt, eta, phi = particles.pt, particles.eta, particles.phi
    pz = pt * np.sinh(eta)
    charged, code = particles.charge != 0, abs(particles.pdgId)
    lepton = (code == 11) | (code == 13)
    delta_phi = (phi - jets.phi + np.pi) % (2 * np.pi) - np.pi
    momentum = jets.pt * np.cosh(jets.eta)
    part = {
        "part_px": pt * np.cos(phi),
        "part_py": pt * np.sin(phi),
        "part_pz": pz,
        "part_energy": np.sqrt(pt**2 + pz**2 + particles.mass**2),
        "part_deta": (eta - jets.eta) * ak.where(jets.eta < 0, -1, 1),
        "part_dphi": delta_phi,
        "part_charge": particles.charge,
        "part_isChargedHadron": charged & ~lepton,
        "part_isNeutralHadron": ~charged & (code != 22) & ~lepton,
        "part_isPhoton": code == 22,
        "part_isElectron": code == 11,
        "part_isMuon": code == 13,
        "part_d0val": CM_TO_MM * particles.d0,
        "part_d0err": CM_TO_MM * particles.d0_err,
        "part_dzval": CM_TO_MM * particles.dz,
        "part_dzerr": CM_TO_MM * particles.dz_err,
    }
    jet = {
        "jet_pt": jets.pt,
        "jet_eta": jets.eta,
        "jet_phi": jets.phi,
        "jet_energy": np.sqrt(momentum**2 + jets.mass**2),
        "jet_nparticles": ak.num(pt),
    }
    columns = {name: ak.values_astype(values, np.float32) for name, values in (part | jet).items()}
    labels = {"label_QCD": ~is_top, "label_Tbqq": is_top}
    return columns | {name: values.astype(np.int32) for name, values in labels.items()}


def parts(number: int, name: str, seed: int, validation: float, test: float) -> Any:
    """Part of each entry of a file called `name` in our training; see `JetClass.event_ids`."""
    hashes = split.fold(
        np.ones(number, np.uint32),
        np.full(number, zlib.crc32(name.encode()), np.uint32),
        np.arange(number, dtype=np.uint64),
        seed,
    )
    names = split.parts(hashes, validation, test)
    return np.select([names == part for part in PARTS], range(len(PARTS))).astype(np.int32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--top", type=Path, nargs="+", required=True)
    parser.add_argument("--qcd", type=Path, nargs="+", required=True)
    parser.add_argument("--jets", type=int, required=True, help="of both classes together")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--validation", type=float, default=0.15)
    parser.add_argument("--test", type=float, default=0.35)
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    random = np.random.default_rng(chosen.seed)
    classes = [
        read(sorted(chosen.top), ["top"], contained=True),
        read(sorted(chosen.qcd), ["gluon", "light", "b"], contained=False),
    ]
    each = chosen.jets // 2
    if min(map(len, classes)) < each:
        raise SystemExit(f"only {len(classes[0])} top and {len(classes[1])} QCD jets in the files")
    jets = ak.concatenate([one[random.permutation(len(one))[:each]] for one in classes])
    order = random.permutation(2 * each)
    columns = branches(jets[order], order < each)
    columns["jet_number"] = np.arange(2 * each, dtype=np.int32)
    columns["jet_part"] = parts(
        2 * each, chosen.output.name, chosen.seed, chosen.validation, chosen.test
    )
    with uproot.recreate(chosen.output) as file:
        file.mktree(TREE, {name: ak.type(values).content for name, values in columns.items()})
        file[TREE].extend(columns)
    counts = np.bincount(columns["jet_part"], minlength=len(PARTS)).tolist()
    print(json.dumps(dict(zip(PARTS, counts, strict=True))))


if __name__ == "__main__":
    main()
