"""Scores as ROOT trees: one entry per jet, and one entry per event."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from fullchain.atomic import atomic
from fullchain.errors import InputError
from fullchain.root_files import recreate

Array = npt.NDArray[Any]
Columns = Mapping[str, Array]

EVENT = {"run": np.uint32, "luminosityBlock": np.uint32, "event": np.uint64}
NOMINAL = "nominal"


def write_friend(
    path: Path, tagger: str, jets: Columns, scores: Sequence[str], events: Columns | None
) -> None:
    """Write the trees `Jets` and, where events are given, `Events`.

    `Jets` has one entry per row of `jets`, in their order: run, luminosityBlock, event, jet,
    variation (its place in the list that the file holds as `variations`, one name per line) and the
    scores. `Events` has one entry per row of `events`, in their order, events without jets
    included: a friend of the tree that they were read from. Its branches `<tagger>_jet` and
    `<tagger>_<score>` list the nominal jets of the event in falling pT; `n<tagger>` is their
    number.

    Parameters
    ----------
    path
        ROOT file to write.
    tagger
        Name that begins the branches of `Events`.
    jets
        Identity (run, luminosityBlock, event, variation, jet) and scores of the jets, each (jets,).
    scores
        Names of the scores.
    events
        Identity (run, luminosityBlock, event) of all events, each (events,).

    Raises
    ------
    InputError
        A jet is of none of the events, or an event stands twice.
    """
    names, place = np.unique(np.asarray(jets["variation"], dtype=str), return_inverse=True)
    flat = {name: np.asarray(jets[name], dtype=kind) for name, kind in EVENT.items()}
    flat["jet"] = np.asarray(jets["jet"], dtype=np.int32)
    flat["variation"] = place.astype(np.int16)
    flat |= {name: np.asarray(jets[name], dtype=np.float32) for name in scores}
    with atomic(path) as temporary, recreate(temporary) as root:
        tree = root.mktree("Jets", {name: values.dtype for name, values in flat.items()})
        tree.extend(flat)
        root["variations"] = "\n".join(names)
        if events is None:
            return
        identity = {name: np.asarray(events[name], dtype=kind) for name, kind in EVENT.items()}
        listed = by_event(identity, jets, ("jet", *scores))
        listed["jet"] = ak.values_astype(listed["jet"], np.int32)
        for name in scores:
            listed[name] = ak.values_astype(listed[name], np.float32)
        records = ak.zip(listed)
        tree = root.mktree(
            "Events",
            {**{name: kind for name, kind in EVENT.items()}, tagger: records.type.content},
        )
        tree.extend({**identity, tagger: records})


def by_event(events: Columns, jets: Columns, names: Sequence[str]) -> dict[str, Any]:
    """List the nominal jets of each event, as jagged arrays (events, jets of the event).

    Parameters
    ----------
    events
        Identity (run, luminosityBlock, event) of the events, each (events,).
    jets
        Identity, `variation`, `jet` and the columns `names`, each (jets,).
    names
        Columns to list.

    Raises
    ------
    InputError
        A jet is of none of the events, or an event stands twice.
    """
    nominal = np.flatnonzero(np.asarray(jets["variation"], dtype=str) == NOMINAL)
    number = _numbers(events, {name: np.asarray(jets[name])[nominal] for name in EVENT})
    order = np.lexsort((np.asarray(jets["jet"])[nominal], number))
    counts = np.bincount(number, minlength=len(events["event"]))
    return {name: ak.unflatten(np.asarray(jets[name])[nominal][order], counts) for name in names}


def _numbers(events: Columns, jets: Columns) -> npt.NDArray[np.intp]:
    """Place in `events` of the event of each jet."""
    together = np.stack(
        [
            np.concatenate([np.asarray(one[name], dtype=np.uint64) for one in (events, jets)])
            for name in EVENT
        ],
        axis=1,
    )
    distinct, index = np.unique(together, axis=0, return_inverse=True)
    index = index.reshape(-1)
    total = len(events["event"])
    place = np.full(len(distinct), -1, dtype=np.intp)
    place[index[:total]] = np.arange(total)
    if (np.bincount(index[:total], minlength=len(distinct)) > 1).any():
        twice = distinct[np.argmax(np.bincount(index[:total], minlength=len(distinct)))]
        raise InputError(f"run, luminosity block, event {tuple(twice.tolist())} stands twice")
    found = place[index[total:]]
    if (found < 0).any():
        lost = tuple(distinct[index[total:]][np.argmax(found < 0)].tolist())
        raise InputError(
            f"no event for the jet of run, luminosity block, event {lost}: these are the scores of "
            "another sample"
        )
    return found
