"""A table of observables as jets: columns by our names, checked, some rows at a time."""

from __future__ import annotations

import difflib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullchain.errors import InputError
from fullchain.ntuples.jet_files.jets import Array, check_rows
from fullchain.ntuples.jet_files.table_columns import open_columns
from fullchain.ntuples.table_settings import CLASS_NUMBERS, TableSettings, check_name

ADVICE = "correct the row, or leave it out"


@dataclass(frozen=True)
class TableRows:
    """Consecutive jets of one table.

    Parameters
    ----------
    first
        Number of the first jet in its file, from 0.
    source
        Checksum of the name of the file, and of the table in it.
    columns
        By name, each (jets,): `label` int8, `weight` float64, all others float32.
    """

    first: int
    source: int
    columns: dict[str, Array]

    def __len__(self) -> int:
        return len(self.columns["label"])

    @property
    def sum_of_weights(self) -> float:
        """Sum of the weights of the jets."""
        weight = self.columns.get("weight")
        return float(len(self)) if weight is None else float(weight.sum())

    def branches(self) -> dict[str, Array]:
        """Give the branches of the ROOT file."""
        rows = np.arange(self.first, self.first + len(self), dtype=np.uint64)
        source = np.full(len(self), self.source, np.uint32)
        return {**self.columns, "source_file": source, "source_row": rows}


class ObservableTable:
    """An open table.

    Parameters
    ----------
    path
        Of the file.
    settings
        Which column is what.
    key
        Array, table or tree in the file; None: the only one there is.

    Raises
    ------
    InputError
        The file is no table, or lacks a column: names file, column and setting.
    """

    def __init__(self, path: str, settings: TableSettings, key: str | None = None) -> None:
        self.path, self.settings = path, settings
        name = Path(path).name if key is None else f"{Path(path).name}:{key}"
        self._source = zlib.crc32(name.encode())
        self._columns = open_columns(path, key, settings.names)
        try:
            self._places = self._found()
        except BaseException:
            self._columns.close()
            raise

    @property
    def rows(self) -> int:
        """Number of jets."""
        return self._columns.rows

    def close(self) -> None:
        """Close the file."""
        self._columns.close()

    def read(self, start: int, stop: int) -> TableRows:
        """Jets from ``start`` up to ``stop``.

        Raises
        ------
        InputError
            A number is not finite, a pT negative, a label unknown, or the rows cannot be read.
        """
        stored = self._columns.read(start, stop, list(dict.fromkeys(self._places.values())))
        values = {name: stored[column] for name, column in self._places.items()}
        columns = {"label": self._label(start, values.pop("label"))}
        for name, column in values.items():
            columns[name] = self._value(start, name, column)
        check_rows(self.path, start, columns["pt"] < 0, "pt is negative", ADVICE)
        return TableRows(start, self._source, columns)

    def _value(self, first: int, name: str, stored: Array) -> Array:
        offset, factor = self.settings.scale.get(name, (0.0, 1.0))
        exact = offset + factor * stored.astype(np.float64)
        result = exact if name == "weight" else exact.astype(np.float32)
        optional = self.settings.missing and name not in self.settings.roles
        bad = np.isinf(result) if optional else ~np.isfinite(result)
        advice = ADVICE
        if name not in self.settings.roles and not optional:
            advice += "; where NaN means that it does not exist for a jet, set table.missing: true"
        check_rows(self.path, first, bad, f"{name} is not a finite number", advice)
        return result

    def _label(self, first: int, stored: Array) -> Array:
        stored = stored.astype(np.float64)
        result = np.zeros(len(stored), np.int8)
        known = np.zeros(len(stored), bool)
        for name, values in self.settings.classes.items():
            here = np.isin(stored, values)
            result[here] = CLASS_NUMBERS[name]
            known |= here
        if not known.all():
            what = (
                f"{self.settings.label} is {stored[np.argmin(known)]:g}, which no class of "
                "table.classes has"
            )
            check_rows(self.path, first, ~known, what, "name it there, or correct the row")
        return result

    def _found(self) -> dict[str, str]:
        """Give the name in the file of each column that is kept, by its new name."""
        chosen = self.settings
        there = self._columns.names
        own = {"label": chosen.label, **chosen.roles}
        if chosen.observables is None:
            others = {name: name for name in there if name not in own.values()}
            for name in others:
                try:
                    check_name(name, f"column {name!r}")
                except ValueError as problem:
                    raise InputError(f"{self.path}: {problem}.") from None
        else:
            others = chosen.observables
        for name, column in (own | others).items():
            if column not in there:
                where = "observables." if name in others else ""
                raise InputError(
                    f"{self.path}: no column of numbers '{column}' (table.{where}{name})"
                    f"{_nearest(column, there)}"
                )
        unknown = [name for name in chosen.scale if name not in own | others]
        if unknown:
            raise InputError(
                f"{self.path}: no column '{unknown[0]}' (table.scale)"
                f"{_nearest(unknown[0], [*own, *others])}"
            )
        return own | others


def _nearest(name: str, known: tuple[str, ...] | list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else f"; there are {', '.join(known)}."
