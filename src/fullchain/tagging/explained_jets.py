"""Jets for the explanation of a tagger: what it sees, observables, class, weight and part."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning import roc, split
from fullchain.seeds import derive
from fullchain.tagging import constituent_observables, high_level, members, selection
from fullchain.tagging.association import Array, Integers
from fullchain.tagging.explanation_settings import ExplanationSettings
from fullchain.tagging.jets_reading import FOUR_MOMENTUM, FULL, Jets, stream
from fullchain.tagging.members import Member
from fullchain.tagging.reweighting import tagger_weights
from fullchain.tagging.settings import SelectionSettings, SplitSettings, TaggerSettings
from fullchain.tagging.views import Arrays, View

PARTICLES = 256
"""Constituents of a jet that observables are made of, in falling pT."""

_IDENTITY = ("run", "luminosityBlock", "event")


@dataclass(frozen=True)
class ExplainedJets:
    """Some jets of the classes of a tagger.

    Parameters
    ----------
    arrays
        What the tagger sees, as its view gives it.
    observables
        By name, each (jets,), without NaN.
    filled
        Number of jets for which an observable does not exist and the median stands, by name.
    target, weight, event, part
        Number of the class; weight of training, not negative, all classes of equal sum; number of
        the event, from 0; name of the part of the events; each (jets,).
    """

    arrays: Arrays
    observables: dict[str, Array]
    filled: dict[str, int]
    target: Integers
    weight: Array
    event: Integers
    part: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.target)

    def where(self, keep: npt.NDArray[Any]) -> "ExplainedJets":
        """Give the jets of a mask, or of some rows, with their events numbered anew."""
        return ExplainedJets(
            {name: array[keep] for name, array in self.arrays.items()},
            {name: column[keep] for name, column in self.observables.items()},
            self.filled,
            self.target[keep],
            self.weight[keep],
            roc.event_numbers(self.event[keep]),
            self.part[keep],
        )

    def table(self, names: Sequence[str]) -> Array:
        """Give some observables, shape (jets, names)."""
        return np.stack([self.observables[name] for name in names], axis=1)


@dataclass(frozen=True)
class Question:
    """What is read: files with the names of their samples, and of which training."""

    files: Sequence[tuple[Path, str]]
    tagger: TaggerSettings
    window: SelectionSettings
    fractions: SplitSettings
    seed: int
    member: Member
    how: ExplanationSettings


def read(question: Question, view: View, names: Sequence[str]) -> ExplainedJets:
    """Read the nominal jets of the classes, and of each class at most its share of `how.jets`.

    Which jets are left out is decided by a hash of the event. Jets of negative weight are left out.

    Parameters
    ----------
    question
        Files and settings.
    view
        What the tagger sees of a jet.
    names
        Observables.

    Raises
    ------
    InputError
        A file does not fit, a class has no jets, or an observable exists for none.
    """
    own = [name for name in names if name in constituent_observables.FUNCTIONS]
    others = [name for name in names if name not in own]
    columns = (
        *selection.COLUMNS,
        *question.window.ranges,
        *_IDENTITY,
        "weight",
        *question.tagger.reweighting.variables,
        *view.columns,
        *high_level.columns(others),
    )
    columns = tuple(dict.fromkeys(columns))
    shares = _shares(question, columns)
    pieces: list[dict[str, Any]] = []
    fields = FULL if tuple(view.fields) == FULL else (*FOUR_MOMENTUM, "charge", "pdgId")
    for path, sample in question.files:
        for batch in stream(path, columns, PARTICLES, fields=fields, variation="nominal"):
            target, place = _chosen(batch.scalars, sample, question)
            keep = (target >= 0) & (place < shares[target])
            jets = batch.where(keep)
            if not len(jets):
                continue
            piece = _measured(jets, view, own, others, question.how.beta)
            hashes = _hashes(jets.scalars, question.seed)
            chosen = question.tagger
            piece["part"] = members.parts(
                hashes, chosen.folds, question.fractions, sample, question.member.fold
            )
            piece["target"] = target[keep]
            piece["sample"] = np.full(len(jets), list(chosen.samples).index(sample))
            pieces.append(piece)
    if not pieces:
        raise InputError("no jets of the classes of the tagger: make more events")
    return _joined(pieces, question.tagger, names)


def without_knowledge(jets: ExplainedJets, names: Sequence[str]) -> dict[str, str]:
    """Say which observables tell nothing of any jet, as they are the same for all, and why."""
    constant = [name for name in names if np.ptp(jets.observables[name]) == 0]
    return {
        name: "the files do not tell the charge of the particles"
        if name in constituent_observables.OF_CHARGE
        else "it is the same for all jets"
        for name in constant
    }


def _chosen(
    scalars: dict[str, npt.NDArray[Any]], sample: str, question: Question
) -> tuple[Integers, Array]:
    """Number of the class of each jet, -1 for none, and a number in [0, 1) from its event."""
    wanted = [question.tagger.classes[name] for name in question.tagger.class_names]
    target = selection.class_numbers(scalars, sample, wanted)
    inside = selection.in_window(scalars, question.window) & (scalars["weight"] > 0)
    place = _hashes(scalars, derive(question.seed, "explained jets"))
    return np.where(inside, target, -1), place


def _hashes(scalars: dict[str, npt.NDArray[Any]], seed: int) -> Array:
    run, block, event = (scalars[name] for name in _IDENTITY)
    return split.fold(run, block, event, seed)


def _shares(question: Question, columns: Sequence[str]) -> Array:
    """Part of the jets of each class that is kept. Raises InputError for a class without jets."""
    names = question.tagger.class_names
    counts = np.zeros(len(names), dtype=int)
    for path, sample in question.files:
        for batch in stream(path, columns, 0, variation="nominal"):
            target, _ = _chosen(batch.scalars, sample, question)
            counts += np.bincount(target[target >= 0], minlength=len(names))
    for name, count in zip(names, counts, strict=True):
        if not count:
            raise InputError(
                f"there are no {name} jets to explain the tagger with: make more events, or widen "
                "the selection"
            )
    # The last entry is that of no class.
    return np.append(np.minimum(1.0, question.how.jets / len(names) / counts), 0.0)


def _measured(
    jets: Jets, view: View, own: Sequence[str], others: Sequence[str], beta: float
) -> dict[str, Any]:
    """Inputs of the tagger, observables and columns of some jets."""
    seen = jets.constituents[:, : view.n_constituents, : len(view.fields)]
    axis = np.stack([jets.scalars["eta"], jets.scalars["phi"]], axis=1)
    values = constituent_observables.observables(jets.constituents, axis, own, beta)
    if others:
        found = high_level.inputs(jets.scalars, others, jets.named)
        values |= {name: found[:, place].astype(float) for place, name in enumerate(others)}
    return {
        "arrays": view.arrays(replace(jets, constituents=np.ascontiguousarray(seen))),
        "observables": values,
        "scalars": jets.scalars,
    }


def _joined(
    pieces: list[dict[str, Any]], tagger: TaggerSettings, names: Sequence[str]
) -> ExplainedJets:
    def all_of(key: str) -> dict[str, Any]:
        return {
            name: np.concatenate([piece[key][name] for piece in pieces]) for name in pieces[0][key]
        }

    scalars = all_of("scalars")
    target, part, sample = (
        np.concatenate([piece[key] for piece in pieces]) for key in ("target", "part", "sample")
    )
    try:
        weight = tagger_weights({**scalars, "target": target}, tagger)
    except ValueError as problem:
        raise InputError(f"jets to explain the tagger with: {problem}; make more events") from None
    found = all_of("observables")
    observables, filled = {}, {}
    for name in names:
        exists = np.isfinite(found[name])
        if not exists.any():
            raise InputError(f"{name} exists for no jet; leave it out of explanation.observables")
        observables[name] = np.where(exists, found[name], np.median(found[name][exists]))
        filled[name] = int((~exists).sum())
    event = roc.event_numbers(sample, *(scalars[name] for name in _IDENTITY))
    arrays = all_of("arrays")
    return ExplainedJets(arrays, observables, filled, target, weight, event, part)
