"""Files of weights: one row for each event, with one weight for each candidate in their order."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fullchain.atomic import atomic
from fullchain.errors import InputError
from fullchain.parquet_check import opened

Array = NDArray[Any]

_METHOD, _SAMPLE, _WHOLE_EVENT = b"method", b"sample", b"whole_event"
_ROUNDING = 1e-6  # of weights that were computed in single precision

SCHEMA = pa.schema(
    [
        pa.field("file", pa.int32(), nullable=False),
        pa.field("entry", pa.int64(), nullable=False),
        pa.field("run", pa.uint32(), nullable=False),
        pa.field("luminosityBlock", pa.uint32(), nullable=False),
        pa.field("event", pa.uint64(), nullable=False),
        pa.field("weight", pa.list_(pa.field("item", pa.float32(), nullable=False))),
    ]
)
"""`file`: place of the ROOT file in the part; `entry`: place of the event in that file."""


def checked(weights: Array, what: str) -> Array:
    """Give the weights, which must be numbers in [0, 1].

    Raises
    ------
    InputError
        They are not; names `what` has them.
    """
    weights = np.asarray(weights, np.float64)
    wrong = ~((weights >= -_ROUNDING) & (weights <= 1 + _ROUNDING))
    if wrong.any():
        raise InputError(
            f"{what}: {int(wrong.sum())} of {len(weights)} pile-up weights are outside [0, 1] or "
            f"no number, the first is {weights[wrong][0]}; make the weights again, or choose "
            "another jets.clustering.mitigation"
        )
    return np.clip(weights, 0.0, 1.0)


class WeightWriter:
    """Writes chunks of events, each a row group, so that a reader takes only those it needs."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema

    def write(
        self,
        file: int,
        first: int,
        ids: tuple[Array, Array, Array],
        weights: Array,
        event_offsets: Array,
    ) -> None:
        """Append events.

        Parameters
        ----------
        file, first
            Place of the file in the part, and entry of the first event.
        ids
            run, luminosity block and number of each event.
        weights, event_offsets
            (candidates) and (events + 1).

        Raises
        ------
        InputError
            A weight is not in [0, 1].
        """
        weights = checked(weights, f"file {file} of the part, entries from {first}")
        events = len(event_offsets) - 1
        lists = pa.ListArray.from_arrays(
            pa.array(event_offsets.astype(np.int32)),
            pa.array(weights.astype(np.float32)),
            type=SCHEMA.field("weight").type,
        )
        columns = [
            pa.array(np.full(events, file, np.int32)),
            pa.array(np.arange(first, first + events, dtype=np.int64)),
            pa.array(ids[0].astype(np.uint32)),
            pa.array(ids[1].astype(np.uint32)),
            pa.array(ids[2].astype(np.uint64)),
            lists,
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))


@contextmanager
def weight_writer(path: Path, method: str, sample: str, *, whole: bool) -> Iterator[WeightWriter]:
    """Write a file of weights; it appears under its name when it is whole.

    Parameters
    ----------
    whole
        Whether the ROOT files have the candidates of the whole event. Where they have those of
        their jets only, no weights are computed and the file has no rows.
    """
    schema = SCHEMA.with_metadata(
        {
            _METHOD: method.encode(),
            _SAMPLE: sample.encode(),
            _WHOLE_EVENT: json.dumps(whole).encode(),
        }
    )
    with atomic(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as out:
        yield WeightWriter(out, schema)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    with opened(path, "file of pile-up weights") as file:
        names = set(file.schema_arrow.names)
        if not set(SCHEMA.names) <= names or not {_METHOD, _SAMPLE} <= set(
            file.schema_arrow.metadata or {}
        ):
            raise InputError(
                f"{path}: not a file of pile-up weights; it has columns {sorted(names)}"
            )
        yield file


def method_and_sample(path: Path) -> tuple[str, str]:
    """Give the method and the sample of a file of weights.

    Raises
    ------
    InputError
        It is no such file.
    """
    with _opened(path) as file:
        metadata = file.schema_arrow.metadata
        try:
            return metadata[_METHOD].decode(), metadata[_SAMPLE].decode()
        except UnicodeDecodeError:
            raise InputError(f"{path}: damaged; run the step that makes it again") from None


def covers_whole_event(path: Path) -> bool:
    """Tell whether the weights of a file are of candidates of the whole event.

    Raises
    ------
    InputError
        It is no such file, or does not tell: an older version wrote it.
    """
    with _opened(path) as file:
        told = file.schema_arrow.metadata.get(_WHOLE_EVENT)
    if told not in (b"true", b"false"):
        raise InputError(
            f"{path}: does not tell whether the weights are of whole events; run the step that "
            "makes it again"
        )
    return bool(told == b"true")


def read_weights(
    path: Path, file: int, first: int, ids: tuple[Array, Array, Array], event_offsets: Array
) -> Array:
    """Read the weights of the candidates of consecutive events.

    Parameters
    ----------
    file, first
        Place of the ROOT file in the part, and entry of the first event.
    ids, event_offsets
        Of the events as they were read from the ROOT file, with which the weights must agree.

    Raises
    ------
    InputError
        The weights are of other events or candidates, or outside [0, 1].
    """
    with _opened(path) as source:
        last = first + len(event_offsets) - 1
        every = range(source.num_row_groups)
        table = source.read_row_groups(
            [group for group in every if _overlaps(source, group, file, first, last)]
        ).combine_chunks()
        table.validate(full=True)
    columns = {name: table[name].to_numpy() for name in SCHEMA.names[:-1]}
    rows = np.flatnonzero(
        (columns["file"] == file) & (columns["entry"] >= first) & (columns["entry"] < last)
    )
    names = ("run", "luminosityBlock", "event")
    same = len(rows) == last - first and all(
        np.array_equal(columns[name][rows], given) for name, given in zip(names, ids, strict=True)
    )
    lists = table["weight"].take(pa.array(rows)).combine_chunks()
    counts = np.diff(lists.offsets.to_numpy()) if len(rows) else np.zeros(0, np.int64)
    if not same or not np.array_equal(counts, np.diff(event_offsets)):
        raise InputError(
            f"{path}: the weights are of other events or candidates than entries {first} to "
            f"{last} of file {file} of the part; run 'pileup weights' again"
        )
    return checked(lists.flatten().to_numpy(), str(path))


def _overlaps(source: pq.ParquetFile, group: int, file: int, first: int, last: int) -> bool:
    metadata = source.metadata.row_group(group)
    files, entries = (metadata.column(column).statistics for column in (0, 1))
    if files is None or entries is None:
        return True
    return bool(files.min <= file <= files.max and entries.min < last and entries.max >= first)
