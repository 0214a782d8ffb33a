"""Probabilities of a larger tagger for the jets of a trigger, matched by their identity."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.tagging.score_files import SCORE, read_scores, score_names

IDENTITY = ("run", "luminosityBlock", "event", "jet")
NOMINAL = "nominal"


def teacher_probabilities(
    paths: Sequence[Path],
    samples: Sequence[str],
    sample: NDArray[np.intp],
    scalars: Mapping[str, NDArray[Any]],
    classes: Sequence[str],
) -> NDArray[np.float64]:
    """Give the probabilities of the classes for jets, (jets, classes).

    Parameters
    ----------
    paths
        Files of scores, as `tagging predict` writes them: one for each sample, called after it.
    samples
        Names of samples.
    sample
        (jets) number of the sample.
    scalars
        Columns of the jets, with run, luminosityBlock, event and jet.
    classes
        Names of the classes in the files, in the order of the outputs.

    Raises
    ------
    InputError
        A sample has no file, a file no class, or a jet no score or more than one.
    """
    files = {path.stem: path for path in paths}
    found = np.full((len(sample), len(classes)), np.nan)
    for number, name in enumerate(samples):
        rows = np.flatnonzero(sample == number)
        if len(rows) == 0:
            continue
        if name not in files:
            raise InputError(
                f"no scores of sample {name} to learn from (there are {', '.join(files) or 'none'}"
                "): predict it with the tagger of distillation.tagger"
            )
        wanted = _keys(scalars, rows)
        found[rows] = _matched(files[name], wanted, classes)
    return found


def _keys(columns: Mapping[str, NDArray[Any]], rows: NDArray[np.intp]) -> NDArray[Any]:
    """Give one structured number for each row, which can be sorted and compared."""
    keys = np.empty(len(rows), dtype=[(name, np.int64) for name in IDENTITY])
    for name in IDENTITY:
        keys[name] = np.asarray(columns[name])[rows].astype(np.int64)
    return keys


def _matched(path: Path, wanted: NDArray[Any], classes: Sequence[str]) -> NDArray[np.float64]:
    names = [f"{SCORE}_{name}" for name in classes]
    known = score_names(path)
    missing = [name for name in names if name not in known]
    if not known:
        raise InputError(
            f"{path}: one score for two classes, and not which of {', '.join(classes)} it is of; "
            "learn from a tagger of three classes or more"
        )
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; name the classes of the tagger in "
            "distillation.classes"
        )
    columns = read_scores(path, also=[name for name in names if name != SCORE])
    nominal = np.flatnonzero(np.asarray(columns["variation"]).astype(str) == NOMINAL)
    keys = _keys(columns, nominal)
    order = np.argsort(keys, order=IDENTITY, kind="stable")
    if (keys[order][1:] == keys[order][:-1]).any():
        raise InputError(f"{path}: a jet stands twice; predict again")
    place = np.searchsorted(keys[order], wanted)
    inside = np.minimum(place, max(len(order) - 1, 0))
    absent = np.ones(len(wanted), dtype=bool)
    if len(order):
        absent = keys[order][inside] != wanted
    if absent.any():
        first = dict(zip(IDENTITY, wanted[absent][0].tolist(), strict=True))
        raise InputError(
            f"{path}: {int(absent.sum())} of {len(wanted)} jets have no score, the first one is "
            f"{first}; predict the files that the trigger jets are of"
        )
    given = np.stack([np.asarray(columns[name], dtype=float) for name in names], axis=1)
    probabilities = given[nominal][order][inside]
    sums = probabilities.sum(axis=1, keepdims=True)
    if not (np.isfinite(sums).all() and (sums > 0).all()):
        raise InputError(f"{path}: a score is not finite, or all classes have none; predict again")
    return np.asarray(probabilities / sums)
