"""The unfolded sample as a file that is published: Parquet, one row for each event.

Columns: run, luminosityBlock, event (int64) of the event that a row comes from; gen_<observable>
(float64, with its unit in the metadata of the column), the particle level; weight_prior (float64)
before unfolding; and weight_<name> (float64) for each result, which are weight_nominal and any of
weight_ensemble_<k>, weight_data_<k>, weight_simulation_<k>, weight_shift_<name>
(`fullchain.unfolding.unfolded`); where each observable is unfolded by itself, those of each,
weight_nominal@<observable> and so on. The metadata of the file are `format`, `version`,
`observables` (JSON list, the order of the columns) and `about` (JSON, plain values of the method).
The rows of a generative method come several from one event of the data, whose numbers they share.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fullchain.atomic import atomic
from fullchain.errors import InputError
from fullchain.parquet_check import read_columns, schema_of
from fullchain.unfolding.unfolded import NOMINAL, OF_OBSERVABLE, Array, Unfolded

FORMAT = "fullchain.unfolded"
VERSION = 1
IDS = ("run", "luminosityBlock", "event")
PRIOR = "prior"
COMPRESSION_LEVEL = 3

_RESULT = re.compile(
    r"(nominal|(ensemble|data|simulation)_(0|[1-9]\d*)|shift_\w[\w.+-]*)(@(?P<of>\w[\w.+-]*))?"
)
_OBSERVABLE = re.compile(r"\w[\w.+-]*")


def write(path: Path, unfolded: Unfolded) -> None:
    """Write an unfolded sample, whole or not at all.

    Parameters
    ----------
    unfolded
        Its `about` must be plain values (JSON); the entry `units` of it, a mapping of observables
        to units, becomes the unit of the columns.

    Raises
    ------
    InputError
        The sample is not one that `read` takes: see there.
    ValueError
        It has alternatives, which are files of their own.
    """
    if unfolded.alternatives:
        raise ValueError(
            f"{path}: write the alternatives {', '.join(unfolded.alternatives)} to files of their "
            "own, and the sample without them"
        )
    _check(path, unfolded)
    units = dict(unfolded.about.get("units", {}))
    fields: list[pa.Field] = []
    arrays: list[pa.Array] = []

    def add(name: str, values: Any, kind: pa.DataType, unit: str = "") -> None:
        fields.append(pa.field(name, kind, nullable=False, metadata={"unit": unit}))
        arrays.append(pa.array(values, kind))

    for number, name in enumerate(IDS):
        add(name, unfolded.ids[:, number], pa.int64())
    for number, name in enumerate(unfolded.names):
        add(f"gen_{name}", unfolded.values[:, number], pa.float64(), units.get(name, ""))
    add(f"weight_{PRIOR}", unfolded.prior, pa.float64())
    for name, weight in unfolded.weights.items():
        add(f"weight_{name}", weight, pa.float64())
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "observables": json.dumps(list(unfolded.names)),
        "about": json.dumps(dict(unfolded.about)),
    }
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))
    with atomic(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            use_dictionary=False,
            use_byte_stream_split=[name for name in table.column_names if name not in IDS],
        )


def read(path: Path) -> Unfolded:
    """Read an unfolded sample.

    Raises
    ------
    InputError
        The file is missing, is no unfolded sample or one of another version, has no event, lacks a
        column or the nominal weight, has a weight of an unknown name, or a value or a weight that
        is not finite, or weights that sum to nothing.
    """
    path = Path(path)
    schema = schema_of(path)
    names, about = _metadata(path, schema)
    weights = [name for name in schema.names if name.startswith("weight_")]
    kept = [f"gen_{name}" for name in names]
    for name in (*IDS, *kept, f"weight_{PRIOR}"):
        if name not in schema.names:
            raise InputError(f"{path}: no column {name!r}; it has {', '.join(schema.names)}")
    for name in IDS:
        if not pa.types.is_integer(schema.field(name).type):
            raise InputError(f"{path}: column {name!r} is of type {schema.field(name).type}")
    table = read_columns(path, [*IDS, *kept, *weights])
    found = {name: _numbers(path, table, name) for name in (*kept, *weights)}
    values = np.empty((len(table), len(names)))
    for number, name in enumerate(kept):
        values[:, number] = found[name]
    unfolded = Unfolded(
        names,
        values,
        np.stack([table[name].to_numpy().astype(np.int64) for name in IDS], axis=1),
        found[f"weight_{PRIOR}"],
        {
            name.removeprefix("weight_"): found[name]
            for name in weights
            if name != f"weight_{PRIOR}"
        },
        about,
    )
    _check(path, unfolded)
    return unfolded


def units(unfolded: Unfolded) -> dict[str, str]:
    """Unit of each observable, "" for a pure number."""
    known = dict(unfolded.about.get("units", {}))
    return {name: str(known.get(name, "")) for name in unfolded.names}


def _metadata(path: Path, schema: pa.Schema) -> tuple[tuple[str, ...], dict[str, Any]]:
    metadata = schema.metadata or {}
    if metadata.get(b"format", b"").decode() != FORMAT:
        raise InputError(
            f"{path}: no unfolded sample (its metadata have no format {FORMAT!r}); give the "
            "unfolded.parquet of a method"
        )
    version = metadata.get(b"version", b"").decode()
    if version != str(VERSION):
        raise InputError(
            f"{path}: an unfolded sample of version {version or 'unknown'}, and this program reads "
            f"version {VERSION}; unfold again or take the program that wrote it"
        )
    try:
        names = tuple(str(name) for name in json.loads(metadata[b"observables"]))
        about = dict(json.loads(metadata[b"about"]))
    except (KeyError, ValueError, TypeError) as problem:
        raise InputError(f"{path}: unreadable metadata of the file ({problem!r})") from None
    return names, about


def _numbers(path: Path, table: pa.Table, name: str) -> Array:
    if not pa.types.is_floating(table.schema.field(name).type):
        raise InputError(
            f"{path}: column {name!r} is of type {table.schema.field(name).type}, not float64"
        )
    numbers: Array = table[name].to_numpy().astype(np.float64)
    return numbers


def _check(path: Path, unfolded: Unfolded) -> None:
    rows = len(unfolded.values)
    if unfolded.values.shape != (rows, len(unfolded.names)) or unfolded.ids.shape != (rows, 3):
        raise InputError(
            f"{path}: values of shape {unfolded.values.shape} and ids of shape "
            f"{unfolded.ids.shape} do not fit {len(unfolded.names)} observables"
        )
    if rows == 0 or not unfolded.names:
        raise InputError(f"{path}: an unfolded sample without events or without observables")
    _check_names(path, unfolded.names, unfolded.weights)
    columns = [(f"gen_{name}", unfolded.values[:, i]) for i, name in enumerate(unfolded.names)]
    columns.append((f"weight_{PRIOR}", unfolded.prior))
    columns += [(f"weight_{name}", weight) for name, weight in unfolded.weights.items()]
    for name, numbers in columns:
        if numbers.shape != (rows,):
            raise InputError(f"{path}: column {name!r} has shape {numbers.shape}, not ({rows},)")
        bad = np.flatnonzero(~np.isfinite(numbers))
        if len(bad):
            raise InputError(
                f"{path}: column {name!r} is NaN or infinite for {len(bad)} of {rows} events "
                f"(first: row {int(bad[0])}); the unfolding that wrote it failed"
            )
        if name.startswith("weight_") and numbers.sum() <= 0:
            raise InputError(f"{path}: column {name!r} sums to {numbers.sum():g}; it must be > 0")


def _check_names(path: Path, names: Iterable[str], weights: Iterable[str]) -> None:
    names, weights = list(names), list(weights)
    for name in names:
        if not _OBSERVABLE.fullmatch(name) or names.count(name) > 1:
            raise InputError(f"{path}: {name!r} is no name of an observable, or stands twice")
    of_observable = [name for name in weights if OF_OBSERVABLE in name]
    if of_observable and len(of_observable) < len(weights):
        raise InputError(
            f"{path}: weights of single observables ({of_observable[0]}) beside weights of all; "
            "they are all of one kind"
        )
    for name in weights:
        result = _RESULT.fullmatch(name)
        if result is None or (of_observable and result["of"] not in names):
            raise InputError(
                f"{path}: weight_{name} is no known result; they are nominal, ensemble_<k>, "
                "data_<k>, simulation_<k> and shift_<name>, or these with @<observable>"
            )
    endings = [f"{OF_OBSERVABLE}{name}" for name in names] if of_observable else [""]
    for ending in endings:
        if NOMINAL + ending not in weights:
            raise InputError(
                f"{path}: no column 'weight_{NOMINAL}{ending}', which is the result itself"
            )
