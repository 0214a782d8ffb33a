"""A ROOT file with the branches of JetClass, or of a table, written jets by jets.

Besides, each jet carries the checksum of the name of its file and its row there (`source_file`,
`source_row`), by which it is known whatever the number of jobs that its file is shared by.
"""

from __future__ import annotations

import zlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import awkward as ak
import numpy as np
import uproot

from fullchain.errors import InputError
from fullchain.ntuples.jet_files.jets import Array, Jets
from fullchain.ntuples.jet_files.observable_table import TableRows
from fullchain.ntuples.layouts.detect import JETCLASS
from fullchain.ntuples.particles import CHARGE
from fullchain.root_files import recreate

COMPRESSION_LEVEL = 5
_CODES = np.array(sorted(CHARGE))
_CHARGES = np.array([CHARGE[code] for code in sorted(CHARGE)])


class JetWriter:
    """Writes jets of any number of files to one tree.

    Parameters
    ----------
    path
        The ROOT file.
    """

    def __init__(self, path: Path) -> None:
        self.jets = 0
        self.sum_of_weights = 0.0
        self._open = ExitStack()
        compression = uproot.ZSTD(COMPRESSION_LEVEL)
        self._file = self._open.enter_context(recreate(path, compression=compression))
        self._tree: Any = None
        self._names: set[str] = set()

    def __enter__(self) -> JetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, traceback)

    def write(self, jets: Jets | TableRows, source: str) -> None:
        """Append jets of the file at ``source``; all calls need the same classes, or columns."""
        if isinstance(jets, TableRows):
            self._extend(jets.branches(), len(jets), source)
            self.sum_of_weights += jets.sum_of_weights
        else:
            self._extend(branches(jets, source), len(jets.counts), source)
            self.sum_of_weights += float(len(jets.counts))

    def _extend(self, content: dict[str, Any], number: int, source: str) -> None:
        if self._tree is None:
            types = {name: ak.type(ak.Array(column)).content for name, column in content.items()}
            self._tree = self._file.mktree(JETCLASS.tree, types)
            self._names = set(content)
        if set(content) != self._names:
            other = ", ".join(sorted(set(content) ^ self._names))
            raise InputError(
                f"{source}: has other columns than the files before it ({other}); make a sample of "
                "its own of it, or name the columns in table.observables."
            )
        self._tree.extend(content)
        self.jets += number


def branches(jets: Jets, source: str) -> dict[str, ak.Array]:
    """Give the branches; what the set does not tell of the particles is 0, as for no class."""
    px, py, pz, energy = np.ascontiguousarray(jets.momenta.T)
    particles = {"px": px, "py": py, "pz": pz, "energy": energy, **_kinds(jets)}
    total = _sums(jets)
    pt = np.hypot(total[:, 0], total[:, 1])
    rows = len(jets.counts)
    jet = {
        "jet_pt": pt,
        "jet_eta": np.arcsinh(total[:, 2] / pt),
        "jet_phi": np.arctan2(total[:, 1], total[:, 0]),
        "jet_energy": total[:, 3],
        "jet_nparticles": jets.counts,
        **jets.classes,
    }
    name = zlib.crc32(Path(source).name.encode())
    return {
        "part": ak.unflatten(ak.zip(particles), jets.counts),
        **{name: column.astype(np.float32) for name, column in jet.items()},
        "source_file": np.full(rows, name, np.uint32),
        "source_row": np.arange(jets.first, jets.first + rows, dtype=np.uint64),
    }


def _sums(jets: Jets) -> Array:
    """Four-momenta (jets, 4) of the jets, in double precision."""
    offsets = np.cumsum(jets.counts) - jets.counts
    return np.add.reduceat(jets.momenta.astype(np.float64), offsets, axis=0)


def _kinds(jets: Jets) -> dict[str, Array]:
    """Charge and class of the particles from their PDG codes."""
    code = np.zeros(len(jets.momenta), np.int64) if jets.pdg_id is None else jets.pdg_id
    size = np.abs(code)
    known = size > 0
    charge = np.zeros(len(code))
    charge[known] = np.sign(code[known]) * _CHARGES[np.searchsorted(_CODES, size[known])]
    electron, muon, photon = size == 11, size == 13, size == 22
    hadron = known & ~(electron | muon | photon)
    kinds = {
        "charge": charge,
        "isChargedHadron": hadron & (charge != 0),
        "isNeutralHadron": hadron & (charge == 0),
        "isPhoton": photon,
        "isElectron": electron,
        "isMuon": muon,
    }
    return {name: column.astype(np.float32) for name, column in kinds.items()}
