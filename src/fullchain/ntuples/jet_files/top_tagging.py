"""The top-tagging reference data set: doi:10.5281/zenodo.2603256, arXiv:1902.09914.

Three files, train.h5, val.h5 and test.h5, each a pandas table under the key ``table`` with one row
for a jet: E_0, PX_0, PY_0, PZ_0 ... PZ_199 of its constituents in falling pT, padded with zeros,
the four-momentum of the top quark, ttv (to which of the files the jet belongs) and is_signal_new
(1 top, 0 QCD). Charge and kind of the particles are not stored.
"""

from __future__ import annotations

import numpy as np

from fullchain.errors import InputError
from fullchain.ntuples.jet_files.jets import DAMAGED, Jets, check_labels, check_rows
from fullchain.ntuples.jet_files.pandas_table import PandasTable, open_file

KEY = "table"
LABEL = "is_signal_new"
PARTICLES = 200
COMPONENTS = ("PX", "PY", "PZ", "E")
DOCUMENTED = {
    "values_block_0": [
        *(f"{component}_{n}" for n in range(PARTICLES) for component in ("E", "PX", "PY", "PZ")),
        "truthE", "truthPX", "truthPY", "truthPZ",
    ],
    "values_block_1": ["ttv", LABEL],
}  # fmt: skip


class TopTagging:
    """An open file of the set.

    Parameters
    ----------
    path
        Of the file.
    key
        Name of the table; None: the published one.
    """

    def __init__(self, path: str, key: str | None = None) -> None:
        self.path = path
        self._file = open_file(path)
        try:
            self._table = PandasTable(path, self._file, key or KEY, DOCUMENTED)
            self._momenta = self._find_momenta()
        except BaseException:
            self._file.close()
            raise

    @property
    def rows(self) -> int:
        """Number of jets."""
        return self._table.rows

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, start: int, stop: int) -> Jets:
        """Jets from ``start`` up to ``stop``.

        Raises
        ------
        InputError
            A momentum is not finite, an energy negative, a jet without constituents, a label
            neither 0 nor 1, or the rows cannot be read.
        """
        flat, label = self._table.read(start, stop, self._momenta, [LABEL])
        momenta = flat.reshape(len(flat), -1, 4)
        self._check(start, momenta)
        check_labels(self.path, start, label, LABEL)
        top = label[:, 0] == 1
        there = momenta[..., 3] > 0
        return Jets(
            first=start,
            counts=there.sum(axis=1),
            momenta=momenta[there].astype(np.float32),
            pdg_id=None,
            classes={"label_Tbqq": top, "label_QCD": ~top},
        )

    def _check(self, first: int, momenta: np.ndarray) -> None:
        energy = momenta[..., 3]

        def check(bad: np.ndarray, what: str) -> None:
            check_rows(self.path, first, bad, what, DAMAGED)

        check(~np.isfinite(momenta), "a momentum is not finite")
        check(energy < 0, "a constituent has a negative energy")
        padded = energy == 0
        check(padded & (momenta[..., :3] != 0).any(axis=2), "a constituent has momentum, no energy")
        transverse = (momenta[..., 0] != 0) | (momenta[..., 1] != 0)
        check(~padded & ~transverse, "a constituent has no transverse momentum")
        check(padded.all(axis=1), "it has no constituents")

    def _find_momenta(self) -> list[str]:
        """Give the names of the columns of the constituents: PX_0, PY_0, PZ_0, E_0, PX_1, ..."""
        names = self._table.names
        if LABEL not in names:
            raise InputError(
                f"{self.path}: the table has no column {LABEL}, which says what the jets are; "
                "use the file as it was published."
            )
        particles = 0
        while f"E_{particles}" in names:
            particles += 1
        wanted = [f"{component}_{n}" for n in range(particles) for component in COMPONENTS]
        missing = [name for name in wanted or ["E_0"] if name not in names]
        surplus = [name for name in names if _number(name) >= particles]
        if missing or surplus:
            text = f"no column {missing[0]}" if missing else f"a column {min(surplus)}, but not all"
            raise InputError(
                f"{self.path}: wrong columns: the table has {text} of E_i, PX_i, PY_i, PZ_i with "
                "i from 0; use the file as it was published."
            )
        return wanted


def _number(name: str) -> int:
    """Number of the constituent that a column is of; -1 for other columns."""
    component, _, number = name.partition("_")
    return int(number) if component in COMPONENTS and number.isdigit() else -1
