"""Events for summaries: one row each, with what object shifts and weights make of it.

The leading jet of an event is chosen in each variation by itself. An event that leaves or enters
the selection under a shift has no jet on one side, and its membership there is zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference.events import pair_jets
from fullchain.inference.template_file import NOMINAL
from fullchain.parquet_check import read_columns, schema_of

Array = NDArray[Any]

IDENTITY = ("run", "luminosityBlock", "event")
SIDES = ("up", "down")
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Events:
    """Events of all processes, one row each.

    Parameters
    ----------
    process, alternative, part
        Name of the process; of the systematic uncertainty whose alternative sample the event is of,
        empty for the nominal one; `train`, `validation` or `test`.
    weight
        Expected events that each row stands for, all parts together.
    factors
        Relative weights by column, such as ``w_isr_up``.
    member
        By variation, whether the event is selected there.
    features
        By variation, (events, features) standardised; zero where the event is not selected.
    scores
        By name and variation; NaN where the event is not selected.
    """

    process: Array
    alternative: Array
    part: Array
    weight: Array
    factors: dict[str, Array]
    member: dict[str, Array]
    features: dict[str, Array]
    scores: dict[str, dict[str, Array]]

    def __len__(self) -> int:
        return len(self.weight)

    def where(self, mask: Array) -> "Events":
        """Only the events that `mask` marks."""

        def cut(columns: Mapping[str, Array]) -> dict[str, Array]:
            return {name: column[mask] for name, column in columns.items()}

        return Events(
            self.process[mask],
            self.alternative[mask],
            self.part[mask],
            self.weight[mask],
            cut(self.factors),
            cut(self.member),
            cut(self.features),
            {name: cut(one) for name, one in self.scores.items()},
        )

    def of_parts(self, *parts: str) -> "Events":
        """Events of some parts, each sample scaled to its whole expected yield.

        Raises
        ------
        InputError
            No event of a sample is left.
        """
        kept = np.isin(self.part, parts)
        weight = self.weight.copy()
        for process, alternative in self.samples():
            own = (self.process == process) & (self.alternative == alternative)
            selected = own & self.member[NOMINAL]
            there = float(weight[selected & kept].sum())
            if not there > 0:
                raise InputError(
                    f"process {process}{f', {alternative}' if alternative else ''}: no event in "
                    f"the part {' and '.join(parts)}; generate more, or change "
                    "inference.summaries.split"
                )
            weight[own] *= float(weight[selected].sum()) / there
        everything = Events(
            self.process,
            self.alternative,
            self.part,
            weight,
            self.factors,
            self.member,
            self.features,
            self.scores,
        )
        return everything.where(kept)

    def samples(self) -> list[tuple[str, str]]:
        """Pairs of process and alternative that there are, the nominal ones first."""
        pairs = set(zip(self.process.tolist(), self.alternative.tolist(), strict=True))
        return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


def pair(
    columns: Mapping[str, Array], window: tuple[float, float]
) -> tuple[Array, dict[str, Array]]:
    """Find the leading jet of each event in each variation.

    Parameters
    ----------
    columns
        Of the jets of a sample, all variations: identity of the event, `variation`, `jet`, `pt`.
    window
        Range of the transverse momentum.

    Returns
    -------
    tuple
        Row of one of its jets for each event, and by variation the row of its leading jet, -1 where
        the event is not selected. Events that no variation selects are left out.
    """
    inside = (columns["pt"] >= window[0]) & (columns["pt"] < window[1])
    rows: dict[str, Array] = {}
    for name in np.unique(columns["variation"]):
        own = np.flatnonzero(inside & (columns["variation"] == name))
        chosen, _ = pair_jets(*(columns[key][own] for key in (*IDENTITY, "jet")))
        rows[str(name)] = own[chosen]
    everything = np.concatenate(list(rows.values())) if rows else np.zeros(0, dtype=np.intp)
    keys = np.stack([columns[name][everything].astype(np.uint64) for name in IDENTITY], axis=1)
    _, first, number = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    number = number.reshape(-1)
    found, start = {}, 0
    for name, own in rows.items():
        table = np.full(len(first), -1, dtype=np.intp)
        table[number[start : start + len(own)]] = own
        found[name] = table
        start += len(own)
    return everything[first], found


def taken(column: Array, rows: Array, missing: Any) -> Array:
    """Values of a column at rows, `missing` where the row is -1."""
    if len(column) == 0:
        return np.full(len(rows), missing)
    values = column[np.maximum(rows, 0)].astype(np.result_type(column.dtype, type(missing)))
    values[rows < 0] = missing
    return values


def joined(pieces: Sequence[Events]) -> Events:
    """Put the events of several samples together.

    A variation that a sample does not have is its nominal one there, and a weight that it does not
    have is one: the sample does not change.
    """
    variations = list(dict.fromkeys(name for one in pieces for name in one.member))
    factors = list(dict.fromkeys(name for one in pieces for name in one.factors))
    scores = list(dict.fromkeys(name for one in pieces for name in one.scores))

    def together(columns: Sequence[Array]) -> Array:
        return np.concatenate(columns)

    return Events(
        together([one.process for one in pieces]),
        together([one.alternative for one in pieces]),
        together([one.part for one in pieces]),
        together([one.weight for one in pieces]),
        {
            name: together([one.factors.get(name, np.ones(len(one))) for one in pieces])
            for name in factors
        },
        {
            name: together([one.member.get(name, one.member[NOMINAL]) for one in pieces])
            for name in variations
        },
        {
            name: together([one.features.get(name, one.features[NOMINAL]) for one in pieces])
            for name in variations
        },
        {
            score: {
                name: together([_score(one, score, name) for one in pieces]) for name in variations
            }
            for score in scores
        },
    )


def _score(events: Events, score: str, variation: str) -> Array:
    if score not in events.scores:
        return np.full(len(events), np.nan)
    own = events.scores[score]
    return own.get(variation, own[NOMINAL])


def write_events(path: Path, events: Events) -> None:
    """Write events as Parquet, one row each."""
    columns: dict[str, Any] = {
        "process": pa.array(events.process.astype(str)).dictionary_encode(),
        "alternative": pa.array(events.alternative.astype(str)).dictionary_encode(),
        "part": pa.array(events.part.astype(str)).dictionary_encode(),
        "weight": pa.array(events.weight.astype(np.float64)),
    }
    columns |= {name: pa.array(one.astype(np.float64)) for name, one in events.factors.items()}
    for name, member in events.member.items():
        columns[f"selected:{name}"] = pa.array(member)
        values = np.ascontiguousarray(events.features[name], dtype=np.float32)
        columns[f"features:{name}"] = pa.FixedSizeListArray.from_arrays(
            pa.array(values.reshape(-1)), values.shape[1]
        )
        for score, by_variation in events.scores.items():
            columns[f"score:{score}:{name}"] = pa.array(by_variation[name].astype(np.float32))
    pq.write_table(pa.table(columns), path)


def read_events(path: Path) -> Events:
    """Read what `write_events` wrote.

    Raises
    ------
    InputError
        The file is missing, or is not one of events.
    """
    names = schema_of(path, "file of events").names
    variations = [name.split(":", 1)[1] for name in names if name.startswith("selected:")]
    scores = list(dict.fromkeys(name.split(":")[1] for name in names if name.startswith("score:")))
    needed = ["process", "alternative", "part", "weight", f"selected:{NOMINAL}"]
    needed += [f"features:{name}" for name in variations]
    needed += [f"score:{score}:{name}" for score in scores for name in variations]
    if missing := [name for name in needed if name not in names]:
        raise InputError(
            f"{path}: not events of inference prepare (no column {missing[0]}); run it again"
        )
    table = read_columns(path, names, "file of events")

    def column(name: str) -> Array:
        return np.asarray(table[name].to_numpy())

    def text(name: str) -> Array:
        return np.asarray(table[name].cast(pa.string()).to_numpy(zero_copy_only=False)).astype(str)

    def features(name: str) -> Array:
        combined = table[f"features:{name}"].combine_chunks()
        return np.asarray(combined.flatten().to_numpy()).reshape(len(table), -1)

    return Events(
        text("process"),
        text("alternative"),
        text("part"),
        column("weight"),
        {name: column(name) for name in names if name.startswith("w_")},
        {name: column(f"selected:{name}").astype(bool) for name in variations},
        {name: features(name) for name in variations},
        {one: {name: column(f"score:{one}:{name}") for name in variations} for one in scores},
    )
