"""Columns of Parquet and CSV files, which are read from the front.

What was read of a batch beyond the rows in demand is kept for the next call: rows that are asked
for one after the other are read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from fullchain.errors import InputError
from fullchain.ntuples.jet_files.jets import Array
from fullchain.ntuples.jet_files.table_columns import matching, same_rows, unneeded

_BROKEN = (pyarrow.ArrowException, OSError, ValueError)
_BATCH = 8192


class _Stream:
    """What both formats have in common."""

    names: tuple[str, ...]
    rows: int

    def __init__(self, path: str) -> None:
        self.path = path
        self._names: tuple[str, ...] = ()
        self._batches: Iterator[Any] = iter(())
        self._kept: dict[str, Array] = {}
        self._first, self._next = 0, 0

    def read(self, start: int, stop: int, names: Sequence[str]) -> dict[str, Array]:
        """Rows from ``start`` up to ``stop``; to go back costs reading from the beginning."""
        if tuple(names) != self._names or start < self._first:
            self._names, self._batches = tuple(names), self._opened(tuple(names))
            self._kept, self._first, self._next = {}, 0, 0
        pieces = [self._kept] if self._next > start else []
        begin = self._first if pieces else start
        try:
            while self._next < stop:
                batch = next(self._batches)
                before, self._next = self._next, self._next + batch.num_rows
                if self._next > start:
                    begin = begin if pieces else before
                    pieces.append({name: _numbers(batch.column(name)) for name in names})
        except StopIteration:
            raise self._broken(f"ends before row {stop}") from None
        except _BROKEN as error:
            raise self._broken(error) from None
        joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in names}
        self._kept = {name: column[stop - begin :] for name, column in joined.items()}
        self._first = stop
        return {name: column[start - begin : stop - begin] for name, column in joined.items()}

    def close(self) -> None:
        """Let go of the file."""
        self._batches, self._names = iter(()), ()

    def _opened(self, names: tuple[str, ...]) -> Iterator[Any]:
        raise NotImplementedError

    def _broken(self, reason: object) -> InputError:
        return InputError(
            f"{self.path}: cannot be read ({reason}); the file is truncated or damaged: make it "
            "again."
        )


class Parquet(_Stream):
    """A Parquet file."""

    def __init__(self, path: str, key: str | None, names: Sequence[str] | None) -> None:
        super().__init__(path)
        _one_table(path, key)
        unneeded(path, names)
        try:
            self._file = pyarrow.parquet.ParquetFile(path)
        except _BROKEN as error:
            raise self._broken(error) from None
        self.names = _of_numbers(self._file.schema_arrow)
        self.rows = same_rows(path, dict.fromkeys(self.names, self._file.metadata.num_rows))

    def _opened(self, names: tuple[str, ...]) -> Iterator[Any]:
        return iter(self._file.iter_batches(_BATCH, columns=list(names)))

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._file.close()


class Text(_Stream):
    """A CSV file, separated by commas, or by tabs where its name ends in .tsv; may be in gzip."""

    def __init__(self, path: str, key: str | None, names: Sequence[str] | None) -> None:
        super().__init__(path)
        _one_table(path, key)
        self._given = names
        suffixes = [suffix.lower() for suffix in Path(path).suffixes]
        self._parse = pyarrow.csv.ParseOptions(delimiter="\t" if ".tsv" in suffixes else ",")
        try:
            # The first rows tell which columns are numbers.
            first = pyarrow.csv.open_csv(path, self._reading(None), self._parse)
            if names is not None:
                matching(path, "the file", len(first.schema.names), names)
                first = pyarrow.csv.open_csv(path, self._reading(names), self._parse)
            self.names = _of_numbers(first.schema)
            lengths = {name: 0 for name in self.names}
            if self.names:
                counted = self._opened(self.names[:1])
                lengths = dict.fromkeys(self.names, sum(batch.num_rows for batch in counted))
        except _BROKEN as error:
            raise self._broken(error) from None
        self.rows = same_rows(path, lengths)

    def _opened(self, names: tuple[str, ...]) -> Iterator[Any]:
        convert = pyarrow.csv.ConvertOptions(
            include_columns=list(names), column_types=dict.fromkeys(names, pyarrow.float64())
        )
        return iter(
            pyarrow.csv.open_csv(self.path, self._reading(self._given), self._parse, convert)
        )

    @staticmethod
    def _reading(names: Sequence[str] | None) -> Any:
        # One thread: the step has one.
        return pyarrow.csv.ReadOptions(column_names=list(names or ()), use_threads=False)


def _one_table(path: str, key: str | None) -> None:
    if key is not None:
        raise InputError(f"{path}: is one table; leave 'tree' of the sample out.")


def _of_numbers(schema: Any) -> tuple[str, ...]:
    kinds = pyarrow.types
    return tuple(
        field.name
        for field in schema
        if kinds.is_floating(field.type)
        or kinds.is_integer(field.type)
        or kinds.is_boolean(field.type)
        # Nothing in the first rows of a text.
        or kinds.is_null(field.type)
    )


def _numbers(column: Any) -> Array:
    """Numbers of a column, NaN where there is none."""
    if pyarrow.types.is_boolean(column.type):
        column = column.cast(pyarrow.int8())
    values: Array = column.to_numpy(zero_copy_only=False)
    return values
