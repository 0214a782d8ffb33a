"""Jets and their scores side by side: the columns that templates need, one part at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fullchain.errors import InputError

Array = NDArray[Any]

IDENTITY = ("run", "luminosityBlock", "event", "variation", "jet")
NEEDED = (*IDENTITY, "weight", "pt", "label")
WEIGHT_PREFIX = "w_"
SCORE = "score"
"""The observable that is not a column of the jets, but of the scores."""


@dataclass(frozen=True)
class JetTable:
    """One part of a sample: flat columns, one entry per jet of one variation."""

    sample: str
    columns: dict[str, Array]
    score: Array
    split: Array
    unit: str
    """Unit of the observable, from the metadata of its column."""

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def weight_names(self) -> list[str]:
        """Columns with relative weights, such as ``w_isr_up``."""
        return sorted(name for name in self.columns if name.startswith(WEIGHT_PREFIX))

    def where(self, mask: Array) -> "JetTable":
        """Only the jets that `mask` marks."""
        columns = {name: column[mask] for name, column in self.columns.items()}
        return JetTable(self.sample, columns, self.score[mask], self.split[mask], self.unit)


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


def read_parts(sample: str, parts: list[Path], scores: Path, observable: str) -> Iterator[JetTable]:
    """Read a sample part by part, each jet with its score.

    Raises
    ------
    InputError
        A file is missing or lacks a column, or the rows of scores and jets do not belong together.
    """
    table = _read(scores, ["event", "variation", "jet", "score", "split"])
    start = 0
    for path in parts:
        schema = _schema(path)
        weights = [name for name in schema.names if name.startswith(WEIGHT_PREFIX)]
        own = [] if observable == SCORE else [observable]
        columns = _read(path, list(dict.fromkeys([*NEEDED, *own, *weights])))
        stop = start + len(columns["event"])
        _check_rows(columns, table, start, stop, path, scores)
        score = table["score"][start:stop].astype(float)
        metadata = (schema.field(observable).metadata or {}) if own else {}
        if not own:
            columns[SCORE] = score
        unit = metadata.get(b"unit", b"").decode()
        yield JetTable(sample, columns, score, table["split"][start:stop], unit)
        start = stop
    if start != len(table["event"]):
        raise InputError(
            f"{scores}: has {len(table['event'])} rows, the {len(parts)} parts of jets have "
            f"{start}; run the tagger on this sample again"
        )


def _schema(path: Path) -> Any:
    try:
        return pq.read_schema(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as problem:
        raise InputError(f"{path}: not a Parquet file ({problem})") from None


def _read(path: Path, names: list[str]) -> dict[str, Array]:
    present = _schema(path).names
    for name in names:
        if name not in present:
            raise InputError(f"{path}: has no column {name!r}; it has {', '.join(present)}")
    table = pq.read_table(path, columns=names)
    return {name: np.asarray(table[name].to_numpy()) for name in names}


def _check_rows(
    jets: dict[str, Array], scores: dict[str, Array], start: int, stop: int, path: Path, file: Path
) -> None:
    """Refuse scores whose rows are not those of the jets."""
    for name in ("event", "variation", "jet"):
        theirs = scores[name][start:stop]
        if len(theirs) != stop - start:
            raise InputError(
                f"{file}: ends at row {len(scores[name])}, before the last row {stop} of "
                f"{path}; run the tagger on this sample again"
            )
        if not np.array_equal(jets[name], theirs):
            row = int(np.flatnonzero(jets[name] != theirs)[0])
            raise InputError(
                f"{file}: row {start + row} is not the jet in row {row} of {path} ({name} "
                f"{theirs[row]} instead of {jets[name][row]}); run the tagger on this sample again"
            )
