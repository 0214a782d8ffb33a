"""The score of all trainings of a tagger together."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from fullchain.tagging.model_file import Trained
from fullchain.tagging.tagger import probabilities
from fullchain.tagging.views import Arrays


def mean_probabilities(
    trained: Sequence[Trained],
    arrays: Arrays,
    folds: npt.NDArray[np.intp] | None,
    place: torch.device,
) -> npt.NDArray[np.float64]:
    """Mean over the trainings of the probability of each class, shape (jets, classes).

    `folds` (jets,) numbers the fold of each event: its jets then get the mean over the seeds of
    those trainings that did not see it. None for the mean over all. NaN for a jet that has
    nothing to look at.
    """
    jets = len(next(iter(arrays.values())))
    total = np.zeros((jets, trained[0].tagger.classes))
    number = np.zeros((jets, 1))
    for one in trained:
        mine = np.ones(jets, dtype=bool) if folds is None else folds == one.member.fold
        rows = {name: values[mine] for name, values in arrays.items()}
        total[mine] += probabilities(one.tagger, rows, place)
        number[mine] += 1
    return total / number
