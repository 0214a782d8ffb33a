"""The pool of minimum-bias collisions as a ROOT file."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.ntuples.particles import Particles, charge_of, offsets_of, pseudorapidity
from fullchain.ntuples.pileup_overlay import Pool
from fullchain.ntuples.pythia_events import Records
from fullchain.ntuples.truth import detector_particles
from fullchain.root_files import recreate

Array = NDArray[Any]

TREE = "Pool"
COLUMNS = ("px", "py", "pz", "e", "x", "y", "z")


def pool_particles(records: Records, eta_max: float) -> Particles:
    """Give the final particles of minimum-bias collisions within `eta_max`, at the origin."""
    particles = detector_particles(records, np.zeros(records.events))
    eta = pseudorapidity(particles.pt, particles.pz)
    return particles.select(np.abs(eta) < eta_max)


def write(path: Path, blocks: list[Particles], block_size: int) -> None:
    """Write blocks of collisions, each of `block_size` events, as one tree.

    Momenta in GeV, production vertices in cm, float32.
    """
    with recreate(path, compression=uproot.ZSTD(5)) as file:
        types = {name: np.dtype("float32") for name in COLUMNS} | {"pdgId": np.dtype("int32")}
        inner = ", ".join(f'"{name}": {kind}' for name, kind in types.items())
        tree = file.mktree(
            TREE,
            {"Particle": f"var * {{{inner}}}"},
            title="minimum-bias collisions at the origin; GeV, cm",
        )
        counts = [np.bincount(part.event, minlength=block_size) for part in blocks]
        columns = {
            name: np.concatenate([getattr(part, name) for part in blocks]).astype(np.float32)
            for name in COLUMNS
        }
        columns["pdgId"] = np.concatenate([part.pdg_id for part in blocks]).astype(np.int32)
        tree.extend(
            {"Particle": ak.unflatten(ak.zip(columns), np.concatenate(counts).astype(np.int64))}
        )


def read(path: Path) -> Pool:
    """Read a pool.

    Raises
    ------
    InputError
        The file is missing or is not a pool.
    """
    try:
        with uproot.open(path) as file:
            arrays = file[TREE].arrays([f"Particle_{name}" for name in (*COLUMNS, "pdgId")])
    except FileNotFoundError:
        raise InputError(f"{path}: no such pile-up pool; run the rule ntuples_pool") from None
    except (uproot.KeyInFileError, ValueError, OSError) as problem:
        raise InputError(f"{path}: not a pile-up pool ({problem}); remove it and rerun") from None
    if len(arrays) == 0:
        raise InputError(f"{path}: the pile-up pool is empty; remove it and rerun")
    counts = ak.to_numpy(ak.num(arrays["Particle_px"]))
    flat = {name: ak.to_numpy(ak.flatten(arrays[f"Particle_{name}"])) for name in COLUMNS}
    pdg_id = ak.to_numpy(ak.flatten(arrays["Particle_pdgId"]))
    event = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    particles = Particles(
        event=event,
        interaction=np.zeros(len(event), dtype=np.int32),
        pdg_id=pdg_id,
        charge=charge_of(pdg_id),
        **{name: values.astype(float) for name, values in flat.items()},
    )
    return Pool(offsets_of(event, len(counts)), particles)
