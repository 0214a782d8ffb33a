"""The score of all trainings of a tagger together."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from fullchain.tagging.members import Member
from fullchain.tagging.model_file import Trained
from fullchain.tagging.tagger import probabilities
from fullchain.tagging.views import Arrays


def seed_probabilities(
    trained: Sequence[Trained],
    arrays: Arrays,
    folds: npt.NDArray[np.intp] | None,
    place: torch.device,
) -> npt.NDArray[np.float32]:
    """Probabilities of all seeds, shape (seeds, jets, classes).

    `folds` (jets,) numbers the fold of each event: its jets then get the score of the training
    without that fold. None for the mean over the folds.
    """
    by_member: dict[Member, Trained] = {one.member: one for one in trained}
    number = 1 + max(member.fold for member in by_member)
    found = []
    for seed in range(1 + max(member.seed for member in by_member)):
        here = [by_member[Member(fold, seed)].tagger for fold in range(number)]
        if folds is None or number == 1:
            found.append(np.mean([probabilities(one, arrays, place) for one in here], axis=0))
            continue
        rows = np.empty((len(folds), here[0].classes), dtype=np.float32)
        for fold, tagger in enumerate(here):
            mine = folds == fold
            chosen = {name: values[mine] for name, values in arrays.items()}
            rows[mine] = probabilities(tagger, chosen, place)
        found.append(rows)
    return np.stack(found).astype(np.float32)


def mean_probabilities(
    trained: Sequence[Trained],
    arrays: Arrays,
    folds: npt.NDArray[np.intp] | None,
    place: torch.device,
) -> npt.NDArray[np.float64]:
    """Mean over the seeds of `seed_probabilities`, shape (jets, classes)."""
    return seed_probabilities(trained, arrays, folds, place).mean(axis=0, dtype=np.float64)
