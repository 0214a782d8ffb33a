"""The table of events that are unfolded: Parquet, one row for each event.

Columns: run, luminosityBlock, event; weight; w_<variation>, factors on it; pass_gen and pass_reco;
gen_<observable> and reco_<observable>, NaN where the event fails that level; and, where they were
asked for, gen_particles and reco_particles of the measured jet. Under a shift of the detector the
columns of the detector level stand again with `__<shift>` behind their names. An event is a row if
it passes a level, shifted or not. Recorded data fail the particle level.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fullchain.atomic import atomic
from fullchain.errors import InputError
from fullchain.parquet_check import read_columns, schema_of
from fullchain.unfolding.sample import (
    NOMINAL,
    Array,
    Flags,
    Integers,
    Level,
    Particles,
    Simulation,
)

IDS = ("run", "luminosityBlock", "event")
COMPRESSION_LEVEL = 3
_WHAT = "table of events for unfolding"


def column(level: str, what: str, shift: str = NOMINAL) -> str:
    """Name of a column.

    Examples
    --------
    >>> column("reco", "mass"), column("reco", "mass", "jes_up")
    ('reco_mass', 'reco_mass__jes_up')
    """
    return f"{level}_{what}" if shift == NOMINAL else f"{level}_{what}__{shift}"


def write(
    path: Path, events: Simulation, units: Mapping[str, str], about: Mapping[str, Any]
) -> None:
    """Write the table of a sample, or of a part of one.

    Parameters
    ----------
    units
        Unit of each observable, "" for a pure number.
    about
        Plain values that are kept in the file, such as the sample and its cross section.
    """
    fields: list[pa.Field] = []
    arrays: list[pa.Array] = []

    def add(name: str, values: pa.Array, unit: str = "") -> None:
        fields.append(pa.field(name, values.type, nullable=False, metadata={"unit": unit}))
        arrays.append(values)

    for number, name in enumerate(IDS):
        add(name, pa.array(events.ids[:, number], pa.uint64()))
    add("weight", pa.array(events.weight, pa.float64()))
    for name, factor in events.factors.items():
        add(f"w_{name}", pa.array(factor, pa.float64()))
    levels = [("gen", NOMINAL, events.gen), ("reco", NOMINAL, events.reco)]
    levels += [("reco", name, shifted) for name, shifted in events.shifted.items()]
    for which, shift, level in levels:
        suffix = "" if shift == NOMINAL else f"__{shift}"
        add(f"pass_{which}{suffix}", pa.array(level.passed))
        for number, name in enumerate(events.names):
            values = pa.array(level.values[:, number], pa.float64())
            add(column(which, name, shift), values, units[name])
        if level.particles is not None:
            add(column(which, "particles", shift), _lists(level.particles))
    metadata = {"observables": json.dumps(events.names), "about": json.dumps(dict(about))}
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=metadata))
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", compression_level=COMPRESSION_LEVEL)


def read(
    paths: Sequence[Path],
    names: Sequence[str],
    *,
    particles: bool = False,
    shifts: Sequence[str] = (),
    factors: Sequence[str] = (),
) -> Simulation:
    """Read the tables of the parts of one or several samples, in their order.

    Parameters
    ----------
    names
        The observables to read.
    particles
        Whether to read the particles of the jets, of both levels and of all shifts.
    shifts, factors
        Names of the shifts and of the variations of the weight to read.

    Raises
    ------
    InputError
        A file is missing or no such table, lacks a column, has a value that is not finite for an
        event that passes, a weight or factor that is not finite or negative, or an event twice.
        Names the file and the first such event.
    """
    wanted = [*IDS, "weight", *(f"w_{name}" for name in factors)]
    levels = [("gen", NOMINAL), ("reco", NOMINAL), *(("reco", shift) for shift in shifts)]
    for which, shift in levels:
        suffix = "" if shift == NOMINAL else f"__{shift}"
        wanted += [f"pass_{which}{suffix}", *(column(which, name, shift) for name in names)]
        if particles:
            wanted.append(column(which, "particles", shift))
    tables = [_read_one(path, wanted) for path in paths]
    try:
        table = pa.concat_tables(tables)
    except pa.ArrowInvalid as problem:
        files = ", ".join(map(str, paths))
        raise InputError(f"{files}: tables are not alike ({problem}); run the step again") from None
    ids = np.stack([table[name].to_numpy().astype(np.int64) for name in IDS], axis=1)
    samples, numbers = _samples(paths)
    group = np.repeat(numbers, [len(one) for one in tables])
    _check_each_once(ids, group, paths)
    origin = _Origin(tuple(paths), np.cumsum([len(one) for one in tables]), ids)
    for name in ("weight", *(f"w_{name}" for name in factors)):
        _check_weights(name, table[name].to_numpy(), origin)
    found = [_level(table, which, shift, names, particles, origin) for which, shift in levels]
    return Simulation(
        tuple(names),
        found[0],
        found[1],
        table["weight"].to_numpy(),
        ids,
        dict(zip(shifts, found[2:], strict=True)),
        {name: table[f"w_{name}"].to_numpy() for name in factors},
        group,
        samples,
    )


def observables(path: Path) -> tuple[str, ...]:
    """Names of the observables of a table. Raises InputError where the file is none."""
    metadata = schema_of(path, _WHAT).metadata or {}
    try:
        names = json.loads(metadata[b"observables"])
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError(f"observables: {names}")
    except (KeyError, ValueError) as problem:
        raise InputError(f"{path}: no table of events for unfolding ({problem!r})") from None
    return tuple(names)


def about(path: Path) -> dict[str, Any]:
    """What `write` kept of the sample. Raises InputError where the file is none."""
    metadata = schema_of(path, _WHAT).metadata or {}
    try:
        content = json.loads(metadata[b"about"])
    except (KeyError, ValueError) as problem:
        raise InputError(f"{path}: no table of events for unfolding ({problem!r})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: no table of events for unfolding (about: {content})")
    return content


def scales(paths: Sequence[Path]) -> Array:
    """Give the factor on the weights of each sample, in the numbers of `Simulation.group`.

    Several generated samples are joined in the proportion of their cross sections: the factor is
    cross section [pb] over sum of weights of all their parts. One sample, toys, jets and recorded
    data keep their weights.

    Raises InputError where only some of the samples have a cross section.
    """
    known: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        content = about(path)
        known.setdefault(str(content.get("sample", "")), []).append(content)
    sections = {name: parts[0].get("cross_section_pb") for name, parts in known.items()}
    if len(known) < 2 or all(section is None for section in sections.values()):
        return np.ones(len(known))
    missing = [name for name, section in sections.items() if section is None]
    if missing:
        raise InputError(
            f"sample {missing[0]} has no cross section, which is needed beside "
            f"{', '.join(name for name in sections if name not in missing)}; set cross_section_pb "
            "of the sample"
        )
    totals = [sum(part["sum_of_weights"] for part in parts) for parts in known.values()]
    pairs = np.array([list(sections.values()), totals], dtype=float)
    for name, (section, total) in zip(sections, pairs.T, strict=True):
        if not (np.isfinite([section, total]).all() and min(section, total) > 0):
            raise InputError(
                f"sample {name}: cross section {section:g} pb, sum of weights {total:g}; both must "
                "be positive where several samples are joined"
            )
    found: Array = pairs[0] / pairs[1]
    return found


@dataclass(frozen=True)
class _Origin:
    """Where the rows of several files come from.

    Parameters
    ----------
    paths
        The files.
    ends
        (files) number of rows of each file and those before it.
    ids
        (rows, 3) run, luminosity block and event number.
    """

    paths: tuple[Path, ...]
    ends: Integers
    ids: Integers

    def of(self, row: int) -> str:
        """Name the event of a row."""
        run, block, event = self.ids[row]
        return f"run {run}, luminosity block {block}, event {event}"

    def file(self, row: int) -> Path:
        """Give the file of a row."""
        return self.paths[int(np.searchsorted(self.ends, row, side="right"))]

    def alike(self, rows: Integers) -> int:
        """Count the rows that are in the file of the first."""
        files = np.searchsorted(self.ends, rows, side="right")
        return int((files == files[0]).sum())


def _check_weights(name: str, weight: Array, origin: _Origin) -> None:
    """Raise InputError where weights, or factors on them, are not finite or negative."""
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(bad):
        first = int(bad[0])
        raise InputError(
            f"{origin.file(first)}: column {name!r} is {weight[first]:g} for {origin.of(first)} "
            f"({origin.alike(bad)} rows of this file are NaN, infinite or negative); remove these "
            "events, or reweight the sample to weights that are finite and not negative"
        )


def _check_each_once(ids: Integers, group: Integers, paths: Sequence[Path]) -> None:
    """Raise InputError where an event of a sample stands twice: it would count twice.

    Several jets of an event are no mistake, where the rows are jets (`unfolding pair`).
    """
    if any("pairs" in about(path) for path in paths):
        return
    rows = np.column_stack([group, ids])
    found, counts = np.unique(rows, axis=0, return_counts=True)
    if (counts > 1).any():
        run, block, event = found[counts > 1][0, 1:]
        raise InputError(
            f"{', '.join(map(str, paths))}: {int((counts > 1).sum())} events stand twice, the "
            f"first is run {run}, luminosity block {block}, event {event}; give each file once"
        )


def _samples(paths: Sequence[Path]) -> tuple[tuple[str, ...], Integers]:
    """Names of the samples in the order in which they come, and which that of each file is."""
    names = [str(about(path).get("sample", "")) for path in paths]
    order = tuple(dict.fromkeys(names))
    return order, np.array([order.index(name) for name in names], dtype=np.int64)


def _read_one(path: Path, wanted: Sequence[str]) -> pa.Table:
    observables(path)
    schema = schema_of(path, _WHAT)
    for name in wanted:
        if name not in schema.names:
            raise InputError(f"{path}: no column {name!r}; it has {', '.join(schema.names)}")
        _check_type(path, name, schema.field(name).type)
    table = read_columns(path, wanted, _WHAT).replace_schema_metadata(None)
    # Numbers as `write` has them, so that tables of other programs can be joined.
    kinds = [
        pa.uint64()
        if field.name in IDS
        else pa.float64()
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        else field.type
        for field in table.schema
    ]
    try:
        return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))
    except pa.ArrowInvalid as problem:
        raise InputError(f"{path}: {problem}") from None


def _check_type(path: Path, name: str, kind: pa.DataType) -> None:
    """Raise InputError where a column is not of the type that `write` gives it."""
    if name in IDS:
        right = pa.types.is_integer(kind)
    elif name.startswith("pass_"):
        right = pa.types.is_boolean(kind)
    elif "_particles" in name:
        right = pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)
    else:
        right = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    if not right:
        raise InputError(f"{path}: column {name!r} is of type {kind}; run the step again")


def _level(
    table: pa.Table,
    which: str,
    shift: str,
    names: Sequence[str],
    particles: bool,
    origin: _Origin,
) -> Level:
    suffix = "" if shift == NOMINAL else f"__{shift}"
    passed: Flags = table[f"pass_{which}{suffix}"].to_numpy()
    values = np.empty((len(passed), len(names)))
    for number, name in enumerate(names):
        values[:, number] = table[column(which, name, shift)].to_numpy()
        bad = np.flatnonzero(passed & ~np.isfinite(values[:, number]))
        if len(bad):
            first = int(bad[0])
            raise InputError(
                f"{origin.file(first)}: column {column(which, name, shift)!r} is not finite for "
                f"{origin.alike(bad)} events that pass, the first is {origin.of(first)}; give it a "
                "value there or let them fail"
            )
    values[~passed] = np.nan
    found = _particles(table[column(which, "particles", shift)]) if particles else None
    return Level(values, passed, found)


def _lists(particles: Particles) -> pa.Array:
    columns = [pa.array(values, pa.float32()) for values in particles.features.T]
    records = pa.StructArray.from_arrays(columns, names=list(particles.names))
    return pa.ListArray.from_arrays(pa.array(particles.offsets, pa.int32()), records)


def _particles(lists: pa.ChunkedArray) -> Particles:
    joined = lists.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):
        joined = joined.chunk(0)
    offsets = joined.offsets.to_numpy().astype(np.int64)
    records = joined.values[offsets[0] : offsets[-1]]
    names = [records.type.field(number).name for number in range(records.type.num_fields)]
    features: Array = np.stack([records.field(name).to_numpy() for name in names], axis=1)
    return Particles(features.astype(np.float64), offsets - offsets[0], tuple(names))
