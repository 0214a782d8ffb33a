"""Reading Parquet files that may be damaged: whatever is wrong with one is an InputError.

Where the description of a column in the footer contradicts the schema, Arrow (26) ends the whole
process in place of raising an error; found by damaging files at random. The footer is therefore
looked at before columns are read.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fullchain.errors import InputError

BATCH = 65_536
"""Rows to read at once of files with few columns."""


def footer_fault(file: pq.ParquetFile) -> str | None:
    """Say what of a footer contradicts itself; None where nothing does.

    Columns of a file in which something does must not be read.
    """
    names = file.schema_arrow.names
    if len(set(names)) < len(names):
        return "a column is there twice"
    footer = file.metadata
    kinds = [footer.schema.column(n).physical_type for n in range(footer.num_columns)]
    for group in range(footer.num_row_groups):
        chunks = footer.row_group(group)
        found = [chunks.column(n).physical_type for n in range(chunks.num_columns)]
        if found != kinds:
            return f"the columns of row group {group} are not those of the schema"
    return None


def check_footer(path: Path, file: pq.ParquetFile) -> None:
    """Refuse a file whose column chunks are not what its schema says, or a column twice, or none.

    Raises
    ------
    InputError
        The file is damaged.
    """
    fault = footer_fault(file)
    if fault is not None:
        raise InputError(f"{path}: damaged ({fault}); run the step that makes it again")
    empty = [one.name for one in file.schema_arrow if pa.types.is_null(one.type)]
    if empty:
        raise InputError(f"{path}: column {empty[0]} has no values; run the step again")


@contextmanager
def opened(path: Path, what: str = "Parquet file") -> Iterator[pq.ParquetFile]:
    """Open a file whose footer is sound, for a block; what Arrow refuses in it names the file.

    Parameters
    ----------
    what
        What the file should be, for messages: "table of jets".

    Raises
    ------
    InputError
        The file is missing, is none, or is damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            check_footer(path, file)
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the step that makes it") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
        raise InputError(
            f"{path}: not a {what}, or damaged ({problem}); run the step that makes it again"
        ) from None


def schema_of(path: Path, what: str = "Parquet file") -> pa.Schema:
    """Give the schema of a file. Raises InputError as `opened` does."""
    with opened(path, what) as file:
        return file.schema_arrow


def read_columns(path: Path, names: Sequence[str], what: str = "Parquet file") -> pa.Table:
    """Read columns in this order, and look whether they are sound.

    Raises InputError as `opened` does, and where a column is not there or has missing values.
    """
    with opened(path, what) as file:
        _require(path, file.schema_arrow.names, names, what)
        table = file.read(columns=list(names)).select(list(names))
        return _sound(path, table, what)


def read_batches(
    path: Path,
    names: Sequence[str],
    rows: int,
    what: str = "Parquet file",
    variation: str | None = None,
) -> Iterator[pa.Table]:
    """Read columns in this order, at most `rows` rows at once.

    Parameters
    ----------
    variation
        Leave out groups of rows that hold none of this variation; None reads all. The others may
        still hold rows of other variations.

    Raises
    ------
    InputError
        As of `read_columns`.
    """
    with opened(path, what) as file:
        _require(path, file.schema_arrow.names, names, what)
        # one group of rows after the other: of a whole file Arrow reads ahead
        for group in range(file.num_row_groups):
            if variation is not None and not may_hold(file.metadata.row_group(group), variation):
                continue
            for batch in file.iter_batches(rows, row_groups=[group], columns=list(names)):
                table = pa.Table.from_batches([batch]).select(list(names))
                yield _sound(path, table, what)


def may_hold(row_group: Any, variation: str) -> bool:
    """Tell from the statistics whether a group of rows can have some of `variation`."""
    columns = (row_group.column(index) for index in range(row_group.num_columns))
    found = next((one.statistics for one in columns if one.path_in_schema == "variation"), None)
    if found is None or not found.has_min_max:
        return True
    return bool(found.min <= variation <= found.max)


class Rows:
    """The rows of a file, taken from the top a few at a time.

    Parameters
    ----------
    names
        Columns, in the order that `take` gives them in.
    rows
        Read at once.
    what
        What the file should be, for messages.

    Raises
    ------
    InputError
        As of `read_columns`; of damage further down when it is taken.
    """

    def __init__(
        self, path: Path, names: Sequence[str], rows: int, what: str = "Parquet file"
    ) -> None:
        with opened(path, what) as file:
            found = file.schema_arrow
            _require(path, found.names, names, what)
            self.number = int(file.metadata.num_rows)
            """Rows of the whole file."""
        self._left = pa.schema([found.field(name) for name in names]).empty_table()
        self._batches = read_batches(path, names, rows, what)

    def take(self, count: int) -> pa.Table:
        """Give the next `count` rows, or as many as there are."""
        pieces, have = [self._left], self._left.num_rows
        while have < count and (piece := next(self._batches, None)) is not None:
            pieces.append(piece)
            have += piece.num_rows
        table = pa.concat_tables(pieces)
        self._left = table.slice(count)
        return table.slice(0, count)


def _require(path: Path, present: Sequence[str], names: Sequence[str], what: str) -> None:
    missing = [name for name in names if name not in present]
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; there are {', '.join(present)}. Without it "
            f"this is no {what} of use: make it again"
        )


def _sound(path: Path, table: pa.Table, what: str) -> pa.Table:
    table.validate(full=True)
    for name in table.column_names:
        if table[name].null_count:
            raise InputError(
                f"{path}: column {name!r} has {table[name].null_count} missing values, which a "
                f"{what} must not have; run the step that makes it again"
            )
    return table
