"""Jets and their scores side by side: the columns that templates need, one part at a time.

Never more than one part of a sample and a batch of its scores are in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fullchain.errors import InputError

Array = NDArray[Any]

IDENTITY = ("run", "luminosityBlock", "event", "variation", "jet")
NEEDED = (*IDENTITY, "weight", "pt", "label")
WEIGHT_PREFIX = "w_"
TRAINING = "train"
BATCH = 65_536
"""Rows of scores that are read at once."""


@dataclass(frozen=True)
class JetTable:
    """One part of a sample: flat columns, one entry per jet of one variation."""

    sample: str
    columns: dict[str, Array]
    score: Array
    split: Array
    units: Mapping[str, str]
    """Units of the columns that were asked for, from the files' metadata."""
    path: Path
    """File of the jets, for messages."""
    scores: Path
    """File of the scores, for messages."""

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def weight_names(self) -> list[str]:
        """Columns with relative weights, such as ``w_isr_up``."""
        return sorted(name for name in self.columns if name.startswith(WEIGHT_PREFIX))

    def where(self, mask: Array) -> "JetTable":
        """Only the jets that `mask` marks."""
        columns = {name: column[mask] for name, column in self.columns.items()}
        return JetTable(
            self.sample,
            columns,
            self.score[mask],
            self.split[mask],
            self.units,
            self.path,
            self.scores,
        )

    def check_finite(self, name: str, rows: Array | None = None) -> None:
        """Refuse numbers that are none, in a column or in ``score``.

        Parameters
        ----------
        name
            The column.
        rows
            Jets that count; None: all.

        Raises
        ------
        InputError
            Names the file, the first such jet and its event.
        """
        column = self.score if name == "score" else self.columns[name]
        values = column if rows is None else column[rows]
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad) == 0:
            return
        row = int(bad[0] if rows is None else rows[bad[0]])
        of = {one: self.columns[one][row] for one in IDENTITY}
        file = self.scores if name == "score" else self.path
        raise InputError(
            f"{file}: {name} is {column[row]} for jet {of['jet']} of event {of['run']}:"
            f"{of['luminosityBlock']}:{of['event']} (variation {of['variation']}), the first of "
            f"{len(bad)}; make this file again, or take another observable or region"
        )


def group_by_sample(jets: list[Path], scores: list[Path]) -> dict[str, tuple[list[Path], Path]]:
    """Give the parts and the score file of each sample.

    The sample of a part is the name of its folder (``jets/{sample}/{part}.parquet``), that of a
    score file its own name (``scores/{sample}.parquet``). Parts are sorted by number (10000 comes
    after 9999): the order in which scores are written.

    Raises
    ------
    InputError
        A sample has jets and no scores, or scores and no jets.
    """
    parts: dict[str, list[Path]] = {}
    for path in jets:
        parts.setdefault(path.parent.name, []).append(path)
    files = {path.stem: path for path in scores}
    for name in parts:
        if name not in files:
            raise InputError(f"sample {name!r} has jets but no scores; run the tagger on it")
    for name, path in files.items():
        if name not in parts:
            raise InputError(
                f"{path}: there are no jets of sample {name!r} to go with these scores"
            )
    return {
        name: (sorted(paths, key=lambda path: (len(path.name), path.name)), files[name])
        for name, paths in parts.items()
    }


def read_parts(
    sample: str, parts: list[Path], scores: Path, wanted: Sequence[str] = ()
) -> Iterator[JetTable]:
    """Read a sample part by part, each jet with its score.

    Parameters
    ----------
    sample
        Its name.
    parts, scores
        Files of the jets, in the order of the rows of the file of scores.
    wanted
        Columns of the jets beside `NEEDED` and the weights.

    Raises
    ------
    InputError
        A file is missing or lacks a column, or the rows of scores and jets do not belong together,
        or a pT, weight or score is not a finite number.
    """
    rows = _Scores(scores)
    start = 0
    for path in parts:
        schema = _open(path).schema_arrow
        weights = [name for name in schema.names if name.startswith(WEIGHT_PREFIX)]
        columns = _read(path, list(dict.fromkeys([*NEEDED, *wanted, *weights])))
        stop = start + len(columns["event"])
        theirs = rows.take(stop - start)
        _check_rows(columns, theirs, start, stop, path, scores)
        units = {
            name: (schema.field(name).metadata or {}).get(b"unit", b"").decode() for name in wanted
        }
        table = JetTable(
            sample, columns, theirs["score"].astype(float), theirs["split"], units, path, scores
        )
        for name in ("pt", "weight", "score"):
            table.check_finite(name)
        yield table
        start = stop
    if left := rows.count_left():
        raise InputError(
            f"{scores}: has {start + left} rows, the {len(parts)} parts of jets have {start}; run "
            "the tagger on this sample again"
        )


class _Scores:
    """The rows of a file of scores, taken from the top a few at a time."""

    names = (*IDENTITY, "score", "split")

    def __init__(self, path: Path) -> None:
        file = _open(path)
        _require(path, file.schema_arrow.names, self.names)
        self.batches = file.iter_batches(batch_size=BATCH, columns=list(self.names))
        self.left = pa.Table.from_batches(
            [], pa.schema([file.schema_arrow.field(one) for one in self.names])
        )

    def take(self, count: int) -> dict[str, Array]:
        """Give the next `count` rows, or as many as there are."""
        pieces = [self.left]
        have = self.left.num_rows
        while have < count and (batch := next(self.batches, None)) is not None:
            pieces.append(pa.Table.from_batches([batch]))
            have += batch.num_rows
        table = pa.concat_tables(pieces)
        self.left = table.slice(count)
        taken = table.slice(0, count)
        return {name: _array(taken[name]) for name in self.names}

    def count_left(self) -> int:
        """Rows that nothing has taken."""
        return int(self.left.num_rows + sum(batch.num_rows for batch in self.batches))


def _array(column: pa.ChunkedArray) -> Array:
    """A column as NumPy array; words share their objects, of which there are few."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.asarray(column.to_numpy())
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    words = np.asarray(encoded.dictionary.to_pylist(), dtype=object)
    return words[encoded.indices.to_numpy(zero_copy_only=False)]


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as problem:
        raise InputError(f"{path}: not a Parquet file ({problem})") from None


def _require(path: Path, present: Sequence[str], names: Sequence[str]) -> None:
    for name in names:
        if name not in present:
            raise InputError(f"{path}: has no column {name!r}; it has {', '.join(present)}")


def _read(path: Path, names: list[str]) -> dict[str, Array]:
    with _open(path) as file:
        _require(path, file.schema_arrow.names, names)
        table = file.read(columns=names)
    return {name: _array(table[name]) for name in names}


def _check_rows(
    jets: dict[str, Array], scores: dict[str, Array], start: int, stop: int, path: Path, file: Path
) -> None:
    """Refuse scores whose rows are not those of the jets."""
    rows = len(scores["event"])
    if rows != stop - start:
        raise InputError(
            f"{file}: ends at row {start + rows}, before the last row {stop} of {path}; run the "
            "tagger on this sample again"
        )
    differ = {name: jets[name] != scores[name] for name in IDENTITY}
    bad = np.flatnonzero(np.any(list(differ.values()), axis=0))
    if len(bad) == 0:
        return
    row = int(bad[0])
    name = next(one for one in IDENTITY if differ[one][row])
    raise InputError(
        f"{file}: row {start + row} is not the jet in row {row} of {path} ({name} "
        f"{scores[name][row]} instead of {jets[name][row]}); run the tagger on this sample again"
    )
