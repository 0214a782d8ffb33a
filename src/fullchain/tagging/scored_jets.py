"""Jets with their scores and classes, as arrays: what performance is measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning import roc
from fullchain.tagging import score_files, selection
from fullchain.tagging.jets_reading import named_jet
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import TaggerSettings

Columns = dict[str, npt.NDArray[Any]]
Files = Mapping[str, tuple[Sequence[Path], Path]]
"""Files of jets, and file of scores, of each sample."""

IDENTITY = ("run", "luminosityBlock", "event")


def grouped(jets: Sequence[Path], samples: Sequence[str], scores: Sequence[Path]) -> Files:
    """Files of jets and file of scores of each sample.

    Raises InputError where the numbers do not fit.
    """
    names = list(dict.fromkeys(samples))
    if len(jets) != len(samples) or len(scores) != len(names):
        raise InputError(
            f"{len(jets)} files of jets have {len(samples)} names of samples, and {len(names)} "
            f"samples have {len(scores)} files of scores"
        )
    return {
        name: ([path for path, one in zip(jets, samples, strict=True) if one == name], score)
        for name, score in zip(names, scores, strict=True)
    }


@dataclass(frozen=True)
class ScoredJets:
    """Some jets of the classes of a tagger.

    Parameters
    ----------
    columns
        Columns of the jets, each (jets,), among them `weight` and `split`.
    target
        Number of the class, (jets,).
    event
        Number of the event, from 0, (jets,).
    probabilities
        Of the tagger, (jets, classes).
    single
        Of the trainings with each seed, (seeds, jets, classes); no seeds where there is one only.
    """

    columns: Columns
    target: npt.NDArray[np.intp]
    event: npt.NDArray[np.intp]
    probabilities: npt.NDArray[np.float64]
    single: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.target)

    def where(self, keep: npt.NDArray[np.bool_]) -> "ScoredJets":
        """Give the jets for which `keep` is true, with their events numbered anew."""
        return ScoredJets(
            {name: column[keep] for name, column in self.columns.items()},
            self.target[keep],
            roc.event_numbers(self.event[keep]),
            self.probabilities[keep],
            self.single[:, keep],
        )

    def with_probabilities(self, probabilities: npt.NDArray[np.float64]) -> "ScoredJets":
        """Give the same jets with other probabilities, and none of single seeds."""
        nothing = np.empty((0, *probabilities.shape))
        return ScoredJets(self.columns, self.target, self.event, probabilities, nothing)


def read(
    files: Files,
    tagger: TaggerSettings,
    window: SelectionSettings,
    columns: Sequence[str],
    *,
    scores: Sequence[str] = (),
    stand_ins: Mapping[str, str] | None = None,
    splits: Sequence[str] | None = None,
) -> ScoredJets:
    """Read the nominal jets of the classes of a tagger inside a window.

    Parameters
    ----------
    files
        Files of the samples of the tagger and of those that stand in for them.
    columns
        Columns of the jets, beside those of the selection.
    scores
        Columns of the scores to read beside the probabilities; they become columns of the jets.
    stand_ins
        Samples to read instead of those of the tagger, by name of the latter.
    splits
        Parts of the events to keep of the samples that the tagger is trained on; None for all. Of
        others, which stand in for them, all jets are kept: none was trained on.

    Raises
    ------
    InputError
        A file is missing or does not fit, or a jet has no score.
    """
    classes = tagger.class_names
    wanted = [tagger.classes[name] for name in classes]
    own = score_files.score_columns(classes)
    single = score_files.seed_columns(classes, tagger.seeds)
    also = list(dict.fromkeys([*own, *(name for names in single for name in names), *scores]))
    names = list(dict.fromkeys((*selection.COLUMNS, *window.ranges, *IDENTITY, "weight", *columns)))
    pieces: list[Columns] = []
    for number, sample in enumerate(tagger.samples):
        taken = (stand_ins or {}).get(sample, sample)
        if taken not in files:
            raise InputError(f"no jets and scores of sample {taken} were given")
        for batch in score_files.stream_scored(*files[taken], names, also):
            target = selection.class_numbers(batch, sample, wanted)
            keep = selection.in_window(batch, window) & (target >= 0)
            if splits is not None and taken in tagger.training_samples:
                keep &= np.isin(batch["split"], splits)
            kept = {name: column[keep] for name, column in batch.items()}
            _check_scored(files[taken][1], kept, own or [score_files.SCORE])
            kept["target"], kept["sample"] = target[keep], np.full(int(keep.sum()), number)
            pieces.append(kept)
    if not pieces:
        raise InputError(f"samples {', '.join(tagger.samples)}: no jets at all")
    found = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    shape = (len(found["target"]), len(classes))
    every = [score_files.class_probabilities(found, one, classes) for one in single]
    return ScoredJets(
        found,
        found.pop("target"),
        roc.event_numbers(*(found[name] for name in ("sample", *IDENTITY))),
        score_files.class_probabilities(found, own or [score_files.SCORE], classes),
        np.stack(every) if every else np.empty((0, *shape)),
    )


def _check_scored(path: Path, jets: Columns, names: Sequence[str]) -> None:
    """Raise InputError where a score is NaN: the tagger diverged, or there was nothing to see."""
    bad = np.flatnonzero(~np.isfinite(np.stack([jets[name] for name in names])).all(axis=0))
    if len(bad):
        raise InputError(
            f"{path}: {named_jet(jets, int(bad[0]))} has no score ({len(bad)} such jets in this "
            "batch); see that its inputs are numbers and that the loss of the tagger is one "
            "(history.json), then train or predict again"
        )
