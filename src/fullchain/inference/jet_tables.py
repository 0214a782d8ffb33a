"""Jets and their scores side by side: the columns that templates need, one part at a time.

Never more than one part of a sample and a batch of its scores are in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.parquet_check import BATCH, Rows, read_columns, schema_of

Array = NDArray[Any]

IDENTITY = ("run", "luminosityBlock", "event", "variation", "jet")
NEEDED = (*IDENTITY, "weight", "pt", "label")
WEIGHT_PREFIX = "w_"
TRAINING = "train"

OF_ONE_PART = (
    "Simulation that numbers the events of each file from 1 does that: set files_per_job of the "
    "sample to 1, or give each file a luminosity block of its own where it is made"
)
OF_ALL_PARTS = (
    "Simulation that numbers the events of each file from 1 does that: give each file a luminosity "
    "block of its own where it is made"
)


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
        or a pT, weight or score is not a finite number, or two events have the same numbers.
    """
    rows = Rows(scores, (*IDENTITY, "score", "split"), BATCH, "file of scores")
    start = 0
    for path in parts:
        schema = schema_of(path)
        weights = [name for name in schema.names if name.startswith(WEIGHT_PREFIX)]
        names = list(dict.fromkeys([*NEEDED, *wanted, *weights]))
        columns = _arrays(read_columns(path, names, "table of jets"))
        stop = start + len(columns["event"])
        theirs = _arrays(rows.take(stop - start))
        _check_rows(columns, theirs, start, stop, path, scores)
        check_numbers(columns, str(path), OF_ONE_PART)
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
    if rows.number != start:
        raise InputError(
            f"{scores}: has {rows.number} rows, the {len(parts)} parts of jets have {start}; run "
            "the tagger on this sample again"
        )


def check_numbers(jets: Mapping[str, Array], where: str, advice: str) -> None:
    """Refuse events that share run, luminosity block and event number.

    Jets are put together to events by these numbers: those of two events would become one event.
    No event has two jets of one index in the same variation. Two events whose jets have different
    indices, because jets were cut away, are not seen here: `paper account` counts one too few.

    Parameters
    ----------
    jets
        Columns of `IDENTITY`, of all variations.
    where
        File or folder of the jets, named by sample and part, for messages.
    advice
        What to do, for messages.

    Raises
    ------
    InputError
        Names the first such event.
    """
    _, variation = np.unique(jets["variation"].astype(str), return_inverse=True)
    names = ("jet", "event", "luminosityBlock", "run")
    keys = [variation, *(jets[name] for name in names)]
    order = np.lexsort(keys)
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for column in keys:
        same &= column[order[1:]] == column[order[:-1]]
    rows = order[1:][same]
    if len(rows):
        first = int(rows[0])
        raise InputError(
            f"{where}: two events have the numbers {jets['run'][first]}:"
            f"{jets['luminosityBlock'][first]}:{jets['event'][first]} (run:luminosity block:event);"
            f" jets are put together to events by them. {advice}"
        )


def _arrays(table: pa.Table) -> dict[str, Array]:
    return {name: _array(table[name]) for name in table.column_names}


def _array(column: pa.ChunkedArray) -> Array:
    """A column as NumPy array; words share their objects, of which there are few."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.asarray(column.to_numpy())
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    words = np.asarray(encoded.dictionary.to_pylist(), dtype=object)
    return words[encoded.indices.to_numpy(zero_copy_only=False)]


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
