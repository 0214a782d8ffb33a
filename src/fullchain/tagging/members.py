"""The trainings of a tagger: one for each fold of the events and each seed.

With one fold, events are divided into a training, a validation and a test part. With more, each
training leaves out one fold, and takes a part of the others for validation; the hash of an event
decides in both cases.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning import split
from fullchain.tagging.settings import SplitSettings, TaggerSettings

Hashes = npt.NDArray[np.float64]

LEFT_OUT = split.TEST
"""Name of the part that a training does not see."""


@dataclass(frozen=True, order=True)
class Member:
    """One training of a tagger: without which fold, and with which seed; both from 0."""

    fold: int
    seed: int

    @property
    def name(self) -> str:
        """Name of the folder of this training, such as ``fold0_seed1``."""
        return f"fold{self.fold}_seed{self.seed}"


def members(folds: int, seeds: int) -> list[Member]:
    """All trainings of a tagger.

    Examples
    --------
    >>> [member.name for member in members(1, 2)]
    ['fold0_seed0', 'fold0_seed1']
    """
    return [Member(fold, seed) for fold in range(folds) for seed in range(seeds)]


def member_of(name: str, tagger: TaggerSettings) -> Member:
    """Read a name. Raises InputError where the tagger has no such training."""
    found = re.fullmatch(r"fold(\d+)_seed(\d+)", name)
    member = Member(int(found[1]), int(found[2])) if found else None
    if member is None or member.fold >= tagger.folds or member.name != name:
        raise InputError(
            f"member {name}: the tagger has {tagger.folds} folds; a member is called fold0_seed0, "
            "with a fold that exists"
        )
    return member


def fold_of(hashes: Hashes, folds: int) -> npt.NDArray[np.intp]:
    """Number of the fold that each event is in, shape (events,)."""
    return np.minimum((hashes * folds).astype(np.intp), folds - 1)


def parts(
    hashes: Hashes, folds: int, fractions: SplitSettings, sample: str, fold: int = 0
) -> npt.NDArray[np.str_]:
    """Name the part of each event of a sample in the training that leaves out `fold`.

    The shape of `hashes` and of the answer is (events,).
    """
    if sample in fractions.samples:
        return np.full(len(hashes), fractions.samples[sample])
    if folds == 1:
        return split.parts(hashes, fractions.validation, fractions.test)
    left_out = fold_of(hashes, folds) == fold
    return np.where(left_out, LEFT_OUT, _within(hashes, folds, fractions, split.TRAIN))


def recorded_parts(
    hashes: Hashes, folds: int, fractions: SplitSettings, sample: str
) -> npt.NDArray[np.str_]:
    """Name the part of each event of a sample in the file of scores, shape (events,).

    With folds there is no training part, for each score is of a training that did not see its
    event; a validation part is kept to set cuts and temperatures on.
    """
    if sample in fractions.samples:
        return np.full(len(hashes), fractions.samples[sample])
    if folds == 1:
        return split.parts(hashes, fractions.validation, fractions.test)
    return _within(hashes, folds, fractions, split.TEST)


def parts_without(
    recorded: npt.NDArray[np.str_], hashes: Hashes, folds: int, fold: int
) -> npt.NDArray[np.str_]:
    """Name the part of each event in a fit to scores that leaves out `fold`, shape (events,).

    The same parts as of the training that leaves it out, from what a file of scores has: the part
    that is recorded there, and the hash, both (events,).
    """
    if folds == 1:
        return recorded
    rest = np.where(recorded == split.VALIDATION, split.VALIDATION, split.TRAIN)
    return np.where(fold_of(hashes, folds) == fold, LEFT_OUT, rest)


def scored_by_fold(
    samples: Collection[str], alternatives: Mapping[str, Mapping[str, str]]
) -> set[str]:
    """Samples whose jets get the score of the one training that left out their fold.

    These are `samples`, that a tagger is trained on, and their stand-ins. A mean over folds is a
    better tagger than one of them: with it, a stand-in would differ for another reason than its
    simulation.

    Examples
    --------
    >>> sorted(scored_by_fold(["tt", "qcd"], {"herwig": {"tt": "tt_hw", "zp": "zp_hw"}}))
    ['qcd', 'tt', 'tt_hw']
    """
    return {
        *samples,
        *(
            stand_in
            for names in alternatives.values()
            for name, stand_in in names.items()
            if name in samples
        ),
    }


def _within(
    hashes: Hashes, folds: int, fractions: SplitSettings, rest: str
) -> npt.NDArray[np.str_]:
    """Divide each fold, by the place of its events in it, in validation and `rest`."""
    place = hashes * folds - fold_of(hashes, folds)
    return np.where(place < fractions.validation, split.VALIDATION, rest)
