"""Scores on disk: one row for each row of the jets of a sample, in their order."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.parquet

from fullchain.errors import InputError
from fullchain.tagging.jets_reading import IDENTITY, Scalars, stream

_FIELDS = (
    ("run", pyarrow.uint32(), "run number"),
    ("luminosityBlock", pyarrow.uint32(), "luminosity block"),
    ("event", pyarrow.uint64(), "event number"),
    ("variation", pyarrow.string(), "systematic variation of the jet"),
    ("jet", pyarrow.int32(), "index of the jet in its event, in falling pT"),
    ("score", pyarrow.float32(), "probability of signal for classes of equal size"),
    ("fold", pyarrow.float64(), "hash of the event in [0, 1) that decides its split"),
    ("split", pyarrow.string(), "train, validation or test"),
)

SCHEMA = pyarrow.schema(
    [
        pyarrow.field(name, kind, nullable=False, metadata={"unit": "", "description": text})
        for name, kind, text in _FIELDS
    ]
)


class ScoreWriter:
    """Writes scores batch by batch."""

    def __init__(self, path: Path) -> None:
        self._file = pyarrow.parquet.ParquetWriter(path, SCHEMA, compression="zstd")

    def __enter__(self) -> "ScoreWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, columns: Scalars) -> None:
        """Write rows; `columns` has at least the names of `SCHEMA`."""
        arrays = [
            pyarrow.array(columns[field.name].tolist(), type=field.type)
            if pyarrow.types.is_string(field.type)
            else pyarrow.array(columns[field.name]).cast(field.type)
            for field in SCHEMA
        ]
        self._file.write_table(pyarrow.Table.from_arrays(arrays, schema=SCHEMA))


def read_scores(path: Path) -> Scalars:
    """Read a file of scores. Raises InputError where it is none."""
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowInvalid, OSError) as problem:
        raise InputError(f"{path}: not a file of scores ({problem})") from None
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; predict again")
    columns: dict[str, npt.NDArray[Any]] = {}
    for name in SCHEMA.names:
        values = table.column(name).to_numpy()
        columns[name] = values.astype(str) if values.dtype == object else values
    return columns


def stream_scored(
    jets: Sequence[Path], scores: Sequence[Path], columns: Sequence[str]
) -> Iterator[Scalars]:
    """Give jets and their scores, batch by batch.

    Parameters
    ----------
    jets
        Files of jets, sample after sample, each in the order of its parts.
    scores
        One file of scores for each sample, in the same order of samples.
    columns
        Columns of the jets to read.

    Yields
    ------
    dict
        The columns, with `score`, `split`, and `sample` (number of the score file).

    Raises
    ------
    InputError
        The rows of scores and jets are not of the same jets.
    """
    files = enumerate(scores)
    sample, position = 0, 0
    have: Scalars = {"score": np.empty(0)}
    for path in jets:
        for batch in stream(path, (*IDENTITY, *columns), 0):
            if not len(batch):
                continue
            if position == len(have["score"]):
                sample, have = _next_with_rows(files, path)
                position = 0
            rows = slice(position, position + len(batch))
            position += len(batch)
            _check_same(path, batch.scalars, {name: have[name][rows] for name in IDENTITY})
            yield {
                **batch.scalars,
                "score": have["score"][rows],
                "split": have["split"][rows],
                "sample": np.full(len(batch), sample),
            }
    if position != len(have["score"]):
        raise InputError(
            f"{scores[sample]}: {len(have['score'])} scores for {position} jets; predict again"
        )


def _next_with_rows(files: Iterator[tuple[int, Path]], jets: Path) -> tuple[int, Scalars]:
    for number, path in files:
        columns = read_scores(path)
        if len(columns["score"]):
            return number, columns
    raise InputError(f"{jets}: more jets than scores; predict again")


def _check_same(path: Path, jets: Scalars, scores: Scalars) -> None:
    for name in IDENTITY:
        if len(jets[name]) != len(scores[name]) or (jets[name] != scores[name]).any():
            raise InputError(f"{path}: the scores are of other jets ({name}); predict again")
