"""Scores on disk: one row for each row of the jets of a sample, in their order."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.parquet

from fullchain.errors import InputError
from fullchain.parquet_check import BATCH, Rows, read_columns, schema_of
from fullchain.tagging.arrow_columns import from_numpy, to_numpy
from fullchain.tagging.jets_reading import IDENTITY, Scalars, stream

SCORE = "score"

_WHAT = "file of scores"

_WORKING_POINT = "working_point"
"""Key in the metadata of a file."""

_FIRST = (
    ("run", pyarrow.uint32(), "run number"),
    ("luminosityBlock", pyarrow.uint32(), "luminosity block"),
    ("event", pyarrow.uint64(), "event number"),
    ("variation", pyarrow.string(), "systematic variation of the jet"),
    ("jet", pyarrow.int32(), "index of the jet in its event, in falling pT"),
    (SCORE, pyarrow.float32(), "probability of the signal for classes of equal size"),
)
_LAST = (
    ("fold", pyarrow.float64(), "hash of the event in [0, 1) that decides its split"),
    ("split", pyarrow.string(), "train, validation or test"),
)


def score_columns(classes: Sequence[str]) -> list[str]:
    """Columns that hold the probabilities of the classes, beside `score`; none for two classes.

    Of two classes, the score of the first says all. The first column repeats `score`.

    Examples
    --------
    >>> score_columns(["top", "qcd"]), score_columns(["t", "W", "q"])
    ([], ['score_t', 'score_W', 'score_q'])
    """
    return [f"{SCORE}_{name}" for name in classes] if len(classes) > 2 else []


def seed_columns(classes: Sequence[str], seeds: int) -> list[list[str]]:
    """Columns of each single seed, as those of the mean; none where there is one seed.

    Examples
    --------
    >>> seed_columns(["top", "qcd"], 2)
    [['seed0_score'], ['seed1_score']]
    """
    names = score_columns(classes) or [SCORE]
    return [[f"seed{seed}_{name}" for name in names] for seed in range(seeds if seeds > 1 else 0)]


def named_columns(
    probabilities: npt.NDArray[np.floating], classes: Sequence[str]
) -> dict[str, npt.NDArray[Any]]:
    """Columns of a file from probabilities (seeds, jets, classes): their mean, and each seed."""
    seeds = len(probabilities)
    mean = probabilities.mean(axis=0)
    columns = {SCORE: mean[:, 0]}
    columns |= {name: mean[:, k] for k, name in enumerate(score_columns(classes))}
    for one, names in zip(probabilities, seed_columns(classes, seeds), strict=False):
        columns |= {name: one[:, k] for k, name in enumerate(names)}
    return columns


def class_probabilities(
    columns: Mapping[str, npt.NDArray[Any]], names: Sequence[str], classes: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Probabilities (jets, classes) from the columns `names` of a file, or of one of its seeds."""
    if len(classes) == 2:
        first = np.asarray(columns[names[0]], dtype=float)
        return np.stack([first, 1.0 - first], axis=1)
    return np.stack([np.asarray(columns[name], dtype=float) for name in names], axis=1)


def schema(
    classes: Sequence[str],
    seeds: int,
    further: Mapping[str, str] | None = None,
    working_point: float | None = None,
) -> Any:
    """Schema of a file of scores; `further` columns come with what they are."""
    own = [
        (name, f"probability of {one} for classes of equal size")
        for name, one in zip(score_columns(classes), classes, strict=False)
    ]
    own += [
        (name, f"the same of the trainings with seed {seed}")
        for seed, names in enumerate(seed_columns(classes, seeds))
        for name in names
    ]
    own += list((further or {}).items())
    fields = (*_FIRST, *((name, pyarrow.float32(), text) for name, text in own), *_LAST)
    return pyarrow.schema(
        [
            pyarrow.field(name, kind, nullable=False, metadata={"unit": "", "description": text})
            for name, kind, text in fields
        ],
        metadata=None if working_point is None else {_WORKING_POINT: repr(working_point)},
    )


def working_point(path: Path) -> float:
    """Part r of the second generator that `score` is for.

    Raises InputError where the file is none, or of a tagger of one generator.
    """
    found = (schema_of(path, _WHAT).metadata or {}).get(_WORKING_POINT.encode())
    if found is None:
        raise InputError(f"{path}: scores of a tagger of one generator; predict again")
    try:
        return float(found)
    except ValueError:
        raise InputError(f"{path}: damaged (no working point); predict again") from None


class ScoreWriter:
    """Writes scores batch by batch.

    Parameters
    ----------
    path
        File to write.
    classes, seeds
        Names of the classes, the signal first, and number of seeds of the tagger.
    further
        Columns beside those of classes and seeds, with what they are.
    working_point
        Part of the second generator that the scores are for; None where there is one generator.
    """

    def __init__(
        self,
        path: Path,
        classes: Sequence[str],
        seeds: int,
        further: Mapping[str, str] | None = None,
        working_point: float | None = None,
    ) -> None:
        self.schema = schema(classes, seeds, further, working_point)
        self._file = pyarrow.parquet.ParquetWriter(path, self.schema, compression="zstd")

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
        """Write rows; `columns` has at least the names of the schema."""
        arrays = [from_numpy(np.asarray(columns[field.name]), field.type) for field in self.schema]
        self._file.write_table(pyarrow.Table.from_arrays(arrays, schema=self.schema))


def score_names(path: Path) -> list[str]:
    """Columns of scores of a file, beside `score`. Raises InputError where it is none."""
    known = {name for name, _, _ in (*_FIRST, *_LAST)}
    return [name for name in schema_of(path, _WHAT).names if name not in known]


def read_scores(path: Path, also: Sequence[str] = ()) -> Scalars:
    """Read a file of scores. Raises InputError where it is none, or has no column of `also`."""
    wanted = [*(name for name, _, _ in (*_FIRST, *_LAST)), *also]
    _check_types(path, wanted)
    return _arrays(read_columns(path, wanted, _WHAT))


def _check_types(path: Path, wanted: Sequence[str]) -> None:
    """Raise InputError where one of the columns `wanted` is not there or of another type."""
    found = schema_of(path, _WHAT)
    missing = [name for name in wanted if name not in found.names]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; predict again")
    words = {name for name, kind, _ in (*_FIRST, *_LAST) if pyarrow.types.is_string(kind)}
    types = pyarrow.types
    for one in (found.field(name) for name in wanted):
        text = types.is_string(one.type) or types.is_large_string(one.type)
        number = types.is_integer(one.type) or types.is_floating(one.type)
        if not (text if one.name in words else number):
            raise InputError(f"{path}: column {one.name} is of type {one.type}; predict again")


def _arrays(table: Any) -> Scalars:
    return {name: to_numpy(table.column(name).combine_chunks()) for name in table.column_names}


def stream_scored(
    jets: Sequence[Path], scores: Path, columns: Sequence[str], also: Sequence[str] = ()
) -> Iterator[Scalars]:
    """Give the jets of one sample and their scores, batch by batch of both.

    Parameters
    ----------
    jets
        Files of jets of the sample, in the order of its parts.
    scores
        File of their scores.
    columns
        Columns of the jets to read.
    also
        Columns of scores to read, beside `score`.

    Yields
    ------
    dict
        The columns, with the scores and `split`.

    Raises
    ------
    InputError
        The rows of scores and jets are not of the same jets.
    """
    read = dict.fromkeys((*IDENTITY, SCORE, *also, "split"))
    _check_types(scores, list(read))
    rows, position = Rows(scores, list(read), BATCH, _WHAT), 0
    for path in jets:
        for batch in stream(path, (*IDENTITY, *columns), 0):
            position += len(batch)
            if position > rows.number:
                raise InputError(f"{path}: more jets than scores; predict again")
            have = _arrays(rows.take(len(batch)))
            _check_same(path, batch.scalars, {name: have[name] for name in IDENTITY})
            yield {**batch.scalars, **{name: have[name] for name in (SCORE, *also, "split")}}
    if position != rows.number:
        raise InputError(f"{scores}: {rows.number} scores for {position} jets; predict again")


def _check_same(path: Path, jets: Scalars, scores: Scalars) -> None:
    for name in IDENTITY:
        if len(jets[name]) != len(scores[name]) or (jets[name] != scores[name]).any():
            raise InputError(f"{path}: the scores are of other jets ({name}); predict again")
