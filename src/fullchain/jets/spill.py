"""Tables of jets on disk while a part is read, so that memory does not grow with its events."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from fullchain.jets.columns import SCHEMA


class Spill:
    """A file without a name: the system removes it with the process, however that ends.

    Parameters
    ----------
    folder
        Where it lies; None for the temporary folder of the system.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=folder))  # noqa: SIM115

    def put(self, table: pa.Table) -> "Piece":
        """Write a table at the end."""
        start = self._file.seek(0, 2)
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_stream(self._file, table.schema, options=options) as stream:
            stream.write_table(table)
        return Piece(self, start, table.num_rows)

    def get(self, start: int) -> pa.Table:
        """Read the table that begins at a place of the file."""
        self._file.flush()
        self._file.seek(start)
        with pa.ipc.open_stream(self._file) as stream:
            return stream.read_all()


class Piece:
    """A table in a file: where it is and how many rows it has."""

    def __init__(self, spill: Spill, start: int, rows: int) -> None:
        self._spill, self._start, self.rows = spill, start, rows

    def read(self) -> pa.Table:
        """Give the table."""
        return self._spill.get(self._start)


class Tables:
    """Tables of several variations, each in pieces; what is asked for is read then.

    Parameters
    ----------
    pieces
        Of each variation, in the order of rows.
    """

    def __init__(self, pieces: Mapping[str, list[Piece]]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[str]:
        """Names of the variations."""
        return iter(self._pieces)

    def rows(self, name: str) -> int:
        """Count the rows of a variation, without reading them."""
        return sum(piece.rows for piece in self._pieces[name])

    def groups(self, name: str, rows: int) -> Iterator[pa.Table]:
        """Give the rows of a variation in order, `rows` at once; at least one table.

        How many are at once does not depend on the pieces.
        """
        waiting = SCHEMA.empty_table()
        for piece in self._pieces[name]:
            waiting = pa.concat_tables([waiting, piece.read()])
            while len(waiting) > rows:
                yield waiting.slice(0, rows)
                waiting = waiting.slice(rows)
        yield waiting
