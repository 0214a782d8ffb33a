"""Columns of a file with one row for each jet, read some rows at a time: npz, HDF5, ROOT.

Formats that are read from the front only, Parquet and CSV, are in `table_streams`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from fullchain.errors import InputError
from fullchain.ntuples.jet_files.jets import Array
from fullchain.ntuples.jet_files.npz_rows import NpzRows, open_archive
from fullchain.ntuples.jet_files.observable_layout import NUMBERS, is_scalar
from fullchain.ntuples.jet_files.pandas_table import PandasTable, open_file

_CONTAINERS = {
    "npz": b"PK",
    "hdf5": b"\x89HDF\r\n\x1a\n",
    "parquet": b"PAR1",
    "root": b"root",
}
_TEXT = (".csv", ".tsv", ".txt", ".gz")


class Columns(Protocol):
    """The columns of an open file."""

    names: tuple[str, ...]
    rows: int

    def read(self, start: int, stop: int, names: Sequence[str]) -> dict[str, Array]:
        """Rows from ``start`` up to ``stop`` of columns of numbers, each (rows,)."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def open_columns(path: str, key: str | None, names: Sequence[str] | None) -> Columns:
    """Open a table; the first bytes of the file tell its format, the ending that of text.

    Parameters
    ----------
    key
        Array, table or tree in the file; None: the only one there is.
    names
        Names of the columns where the file does not tell them.

    Raises
    ------
    InputError
        The file is of none of the formats or damaged, has no such table, or columns of different
        lengths or numbers.
    """
    with Path(path).open("rb") as stream:
        beginning = stream.read(8)
    found = next((n for n, start in _CONTAINERS.items() if beginning.startswith(start)), None)
    if found is None and Path(path).suffix.lower() not in _TEXT:
        raise InputError(
            f"{path}: starts with {beginning!r}; a table of observables is an npz, HDF5, Parquet "
            f"or ROOT file, or text that ends in {', '.join(_TEXT)}."
        )
    match found:
        case "npz":
            return _Npz(path, key, names)
        case "hdf5":
            return _Hdf5(path, key, names)
        case "root":
            return _Root(path, key, names)
    from fullchain.ntuples.jet_files import table_streams

    if found == "parquet":
        return table_streams.Parquet(path, key, names)
    return table_streams.Text(path, key, names)


def same_rows(path: str, lengths: Mapping[str, int]) -> int:
    """Number of rows of all columns; InputError where they differ, or there are no columns."""
    if not lengths:
        raise InputError(f"{path}: no column of numbers with one value for each jet.")
    first, rows = next(iter(lengths.items()))
    for name, number in lengths.items():
        if number != rows:
            raise InputError(
                f"{path}: column {name} has {number} rows, {first} has {rows}: there must be one "
                "for each jet; make the file again."
            )
    return rows


def matching(path: str, what: str, width: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the columns of a matrix; InputError where there are none, or as many others."""
    if names is None:
        raise InputError(
            f"{path}: {what} has {width} columns without names; give them in table.names."
        )
    if width != len(names):
        raise InputError(
            f"{path}: {what} has {width} columns, table.names has {len(names)} "
            f"({', '.join(names)}); correct the names, or get the file again."
        )
    return tuple(names)


def unneeded(path: str, names: Sequence[str] | None) -> None:
    """Raise InputError where names are given for columns that have some."""
    if names is not None:
        raise InputError(
            f"{path}: tells the names of its columns; leave table.names out, and name columns anew "
            "in table.observables."
        )


def chosen(path: str, what: str, key: str | None, there: Sequence[str]) -> str:
    """The key, or the only one there is; InputError names all where there are others."""
    if key is None and len(there) == 1:
        return there[0]
    if key is None or key not in there:
        problem = f"has several {what}s" if key is None else f"no {what} '{key}'"
        raise InputError(
            f"{path}: {problem}; there are {', '.join(there) or 'none'}: set 'tree' of the sample "
            "to one of them, and make a sample of its own for each."
        )
    return key


class _Npz:
    """One array of two dimensions, or arrays of one dimension that are the columns."""

    def __init__(self, path: str, key: str | None, names: Sequence[str] | None) -> None:
        self._archive = open_archive(path)
        try:
            there = [member.removesuffix(".npy") for member in self._archive.namelist()]
            self._matrix: NpzRows | None = None
            self._single: dict[str, NpzRows] = {}
            if key is not None or names is not None:
                name = chosen(path, "array", key, there)
                self._matrix = NpzRows(path, self._archive, name)
                shape = self._matrix.shape
                if len(shape) != 2:
                    raise InputError(
                        f"{path}: the array '{name}' has the shape {shape}, not (jets, columns)."
                    )
                self.names = matching(path, f"the array '{name}'", shape[1], names)
                self.rows = int(shape[0])
            else:
                every = {name: NpzRows(path, self._archive, name) for name in there}
                self._single = {n: rows for n, rows in every.items() if len(rows.shape) == 1}
                self.names = tuple(self._single)
                self.rows = same_rows(path, {n: r.shape[0] for n, r in self._single.items()})
        except BaseException:
            self._archive.close()
            raise

    def read(self, start: int, stop: int, names: Sequence[str]) -> dict[str, Array]:
        if self._matrix is None:
            return {name: self._single[name].read(start, stop) for name in names}
        rows = self._matrix.read(start, stop)
        return {name: rows[:, self.names.index(name)] for name in names}

    def close(self) -> None:
        self._archive.close()


class _Hdf5:
    """A pandas table, a dataset with fields or of two dimensions, or a group of columns."""

    def __init__(self, path: str, key: str | None, names: Sequence[str] | None) -> None:
        self.path = path
        self._file = open_file(path)
        try:
            self._open(path, key, names)
        except BaseException:
            self._file.close()
            raise

    def _open(self, path: str, key: str | None, names: Sequence[str] | None) -> None:
        there = list(self._file)
        node: Any = self._file
        if key is not None or not all(_is_column(node[name]) for name in there):
            # A key may be a path to below.
            known = [key] if key is not None and key in node else there
            node = node[chosen(path, "table", key, known)]
        self._pandas: PandasTable | None = None
        self._data: Any = None
        self._single: dict[str, Any] = {}
        if isinstance(node, h5py.Group) and ("table" in node or "axis0" in node):
            unneeded(path, names)
            self._pandas = PandasTable(path, self._file, node.name, {})
            self.names, self.rows = tuple(sorted(self._pandas.names)), self._pandas.rows
        elif isinstance(node, h5py.Group):
            unneeded(path, names)
            self._single = {name: node[name] for name in node if _is_column(node[name])}
            self.names = tuple(self._single)
            self.rows = same_rows(path, {n: len(data) for n, data in self._single.items()})
        elif node.dtype.names:
            unneeded(path, names)
            kind = node.dtype
            self._data = node
            self.names = tuple(n for n in kind.names if kind[n].kind in NUMBERS)
            self.rows = same_rows(path, dict.fromkeys(self.names, len(node)))
        else:
            if len(node.shape) != 2 or node.dtype.kind not in NUMBERS:
                raise InputError(
                    f"{path}: the dataset '{node.name}' ({node.dtype}) has the shape {node.shape}, "
                    "not (jets, columns) of numbers."
                )
            self._data = node
            self.names = matching(path, f"the dataset '{node.name}'", node.shape[1], names)
            self.rows = len(node)

    def read(self, start: int, stop: int, names: Sequence[str]) -> dict[str, Array]:
        if self._pandas is not None:
            (found,) = self._pandas.read(start, stop, list(names))
            return dict(zip(names, found.T, strict=True))
        try:
            if self._data is None:
                return {name: self._single[name][start:stop] for name in names}
            rows = self._data[start:stop]
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path}: jets {start} to {stop - 1} cannot be read ({error}); the file is "
                "truncated or damaged, get it again."
            ) from None
        if rows.dtype.names:
            return {name: rows[name] for name in names}
        return {name: rows[:, self.names.index(name)] for name in names}

    def close(self) -> None:
        self._file.close()


def _is_column(node: Any) -> bool:
    return isinstance(node, h5py.Dataset) and len(node.shape) == 1 and node.dtype.kind in NUMBERS


class _Root:
    """A tree with branches of one number."""

    def __init__(self, path: str, key: str | None, names: Sequence[str] | None) -> None:
        import uproot

        from fullchain.ntuples.inspection import check_beginning, failures_named
        from fullchain.ntuples.layouts.detect import describe_trees, tree_names

        unneeded(path, names)
        self.path, self._failures_named = path, failures_named
        with failures_named(path):
            check_beginning(path, timeout=60.0)
            self._file: Any = uproot.open({path: None}, array_cache=None)
            trees = tree_names(self._file)
            if not trees:
                raise InputError(f"{path}: trees in the file: {describe_trees(self._file)}.")
            self._tree = self._file[chosen(path, "tree", key, trees)]
            there = self._tree.keys()
            self.names = tuple(name for name in there if is_scalar(self._tree[name]))
            self.rows = int(self._tree.num_entries)

    def read(self, start: int, stop: int, names: Sequence[str]) -> dict[str, Array]:
        with self._failures_named(self.path):
            found = self._tree.arrays(
                filter_name=lambda name: name in names,
                entry_start=start,
                entry_stop=stop,
                library="np",
            )
        return {name: np.asarray(found[name]) for name in names}

    def close(self) -> None:
        self._file.close()
