"""Rows of a pandas DataFrame that was stored in HDF5 in the format 'table'.

pandas (`pandas/io/pytables.py`, classes `Table` and `DataCol`) writes a group with a compound
dataset called ``table``: a field ``index``, one field ``values_block_<n>`` for the columns of each
type, and a field for each column that was named a data column. The names of the columns of a block
are a pickled list in the attribute ``values_block_<n>_kind``. A pickle can run any code, so it is
not loaded: its opcodes are read, and only those that build a list of strings are accepted.
"""

from __future__ import annotations

import importlib
import importlib.util
import pickletools
from typing import Any

import h5py
import numpy as np

from fullchain.errors import InputError
from fullchain.ntuples.jet_files.jets import Array

INDEX = "index"
_STRINGS = frozenset(
    ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE")
)
_STRUCTURE = frozenset(
    (
        "PROTO", "FRAME", "MARK", "LIST", "EMPTY_LIST", "APPEND", "APPENDS", "STOP",
        "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE",
    )
)  # fmt: skip


def open_file(path: str) -> Any:
    """Open an HDF5 file.

    Raises
    ------
    InputError
        It is cut short or damaged.
    """
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened as HDF5 ({error}); it is truncated or damaged, get it again."
        ) from None


class PandasTable:
    """A table in an open HDF5 file.

    Parameters
    ----------
    path
        Of the file, for messages.
    file
        The open `h5py.File`.
    key
        Name under which pandas stored the DataFrame.
    documented
        Block -> names of its columns: taken where the file does not tell names and its blocks have
        these lengths.

    Raises
    ------
    InputError
        No such table, a DataFrame in another format, or compression that cannot be undone.
    """

    def __init__(self, path: str, file: Any, key: str, documented: dict[str, list[str]]) -> None:
        self.path = path
        self._table = _find(path, file, key)
        _check_compression(path, self._table)
        self._places = self._columns(documented)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._table.shape[0])

    @property
    def names(self) -> frozenset[str]:
        """Names of the columns."""
        return frozenset(self._places)

    def read(self, start: int, stop: int, *columns: list[str]) -> list[Array]:
        """Give for each list of columns an array (rows, columns) of the rows from start to stop.

        Raises
        ------
        InputError
            The rows cannot be read: the file is damaged.
        """
        try:
            rows = self._table[start:stop]
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path}: jets {start} to {stop - 1} cannot be read ({error}); the file is "
                "truncated or damaged, get it again."
            ) from None
        return [self._chosen(rows, names) for names in columns]

    def _chosen(self, rows: Array, names: list[str]) -> Array:
        places = [self._places[name] for name in names]
        fields = dict.fromkeys(field for field, _ in places)
        kind = np.result_type(*(rows.dtype[field].base for field in fields))
        result = np.empty((len(rows), len(names)), kind)
        for field in fields:
            here = [n for n, (other, _) in enumerate(places) if other == field]
            block = rows[field].reshape(len(rows), -1)
            result[:, here] = block[:, [places[n][1] for n in here]]
        return result

    def _columns(self, documented: dict[str, list[str]]) -> dict[str, tuple[str, int]]:
        """Give for each column its field and its place there."""
        places: dict[str, tuple[str, int]] = {}
        kind = self._table.dtype
        for field in kind.names:
            if field == INDEX:
                continue
            length = int(np.prod(kind[field].shape))
            names = _names(self._table.attrs.get(f"{field}_kind"))
            if names is None and field.startswith("values_block_"):
                names = documented.get(field)
            if names is None:
                names = [field] if length == 1 else []
            if len(names) != length:
                raise InputError(
                    f"{self.path}: the table's {field} has {length} columns, {len(names)} are "
                    "expected; this is not the published file, or not in its format."
                )
            places |= {name: (field, place) for place, name in enumerate(names)}
        return places


def _find(path: str, file: Any, key: str) -> Any:
    group = file.get(key)
    if group is None:
        found = ", ".join(f"'{name}'" for name in file) or "nothing"
        raise InputError(
            f"{path}: no table '{key}'; the file has {found}. If the jets are under another name, "
            "set 'tree' of the sample to it."
        )
    table = group.get("table") if isinstance(group, h5py.Group) else None
    if isinstance(table, h5py.Dataset) and table.dtype.names:
        return table
    if isinstance(group, h5py.Group) and "axis0" in group:
        raise InputError(
            f"{path}: '{key}' was stored in the fixed format of pandas, of which rows cannot be "
            f"read one by one; write it again with to_hdf(..., key='{key}', format='table')."
        )
    raise InputError(
        f"{path}: '{key}' is no DataFrame that pandas stored in the format 'table'; "
        "this is not the published file, or not in its format."
    )


def _check_compression(path: str, table: Any) -> None:
    """Raise InputError where a filter is missing; PyTables may use Blosc, which h5py has not."""
    creation = table.id.get_create_plist()
    filters = [creation.get_filter(n) for n in range(creation.get_nfilters())]
    missing = [entry for entry in filters if not h5py.h5z.filter_avail(entry[0])]
    if missing and importlib.util.find_spec("hdf5plugin"):
        importlib.import_module("hdf5plugin")
        missing = [entry for entry in missing if not h5py.h5z.filter_avail(entry[0])]
    if missing:
        number, _, _, name = missing[0]
        raise InputError(
            f"{path}: the table is compressed with {name.decode(errors='replace')} (HDF5 filter "
            f"{number}), which needs a package beyond the standard environment; install it with "
            "pip install hdf5plugin, or write the file again without, with ptrepack --complib=zlib."
        )


def _names(pickled: Any) -> list[str] | None:
    """Strings of a pickled list of strings; None where it is not there or anything else."""
    if isinstance(pickled, str):
        pickled = pickled.encode("latin-1", errors="replace")
    if isinstance(pickled, np.void):
        pickled = pickled.tobytes()
    if not isinstance(pickled, bytes):
        return None
    names: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name in _STRINGS:
                names.append(str(argument))
            elif opcode.name not in _STRUCTURE:
                return None
    except (ValueError, UnicodeDecodeError):
        return None
    return names or None
