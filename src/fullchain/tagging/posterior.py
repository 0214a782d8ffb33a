r"""Probabilities of a Bayesian tagger with their uncertainty.

The probability p of a jet is the mean of the probabilities for the samples of the weights, and its
variance v that of these samples. Of several trainings m = 1..M (folds, seeds) it is the mixture of
their posteriors that is described, by the law of total variance:

    p = <p_m>,    \sigma^2 = <v_m> + <p_m^2> - <p_m>^2,

the mean variance within the trainings plus the variance between them, <> being means over m.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from fullchain.tagging.bayesian import MEAN, sampled_logits
from fullchain.tagging.members import Member
from fullchain.tagging.model_file import Trained
from fullchain.tagging.tagger import Tagger, batches
from fullchain.tagging.views import Arrays

Array = npt.NDArray[np.float64]

TOGETHER = 64
"""Samples that the last layer takes at once."""


@dataclass(frozen=True)
class Posterior:
    """Probabilities, variances, and probabilities at the means of the weights.

    Each has the shape (..., jets, classes).
    """

    mean: Array
    variance: Array
    at_mean: Array

    def mixture(self) -> "Posterior":
        """Give the posterior of all trainings together; they are the first dimension."""
        between = self.mean.var(axis=0)
        return Posterior(
            self.mean.mean(axis=0), self.variance.mean(axis=0) + between, self.at_mean.mean(axis=0)
        )


@torch.no_grad()
def posterior(
    tagger: Tagger, arrays: Arrays, device: torch.device, batch_size: int | None = None
) -> Posterior:
    """Probability of each class for each jet and its variance, each (jets, classes).

    The samples of the weights are the same for all jets. A jet that has nothing to look at gets
    NaN.
    """
    assert tagger.bayesian is not None
    tagger.to(device).eval()
    samples = tagger.bayesian.samples
    jets = len(next(iter(arrays.values())))
    at_mean = np.empty((jets, tagger.classes))
    mean, squares = np.zeros_like(at_mean), np.zeros_like(at_mean)
    for chosen, tensors in batches(tagger, arrays, device, batch_size):
        for first in range(0, samples, TOGETHER):
            numbers = range(first, min(first + TOGETHER, samples))
            logits = sampled_logits(tagger, tensors, [MEAN, *numbers] if not first else numbers)
            chances = torch.softmax(logits.double(), dim=2)
            found = tagger.view.blanked(chances, tensors).cpu().numpy()
            if not first:
                at_mean[chosen], found = found[0], found[1:]
            mean[chosen] += found.sum(axis=0)
            # About the probability at the means: squares of the whole would cancel.
            squares[chosen] += ((found - at_mean[chosen]) ** 2).sum(axis=0)
    mean /= samples
    variance = (squares - samples * (mean - at_mean) ** 2) / (samples - 1)
    return Posterior(mean, np.maximum(variance, 0.0), at_mean)


def seed_posteriors(
    trained: Sequence[Trained],
    arrays: Arrays,
    folds: npt.NDArray[np.intp] | None,
    place: torch.device,
) -> Posterior:
    """Posteriors of all seeds, each array (seeds, jets, classes).

    `folds` (jets,) numbers the fold of each event: its jets then get the posterior of the training
    without that fold. None for the mixture over the folds.
    """
    by_member = {one.member: one.tagger for one in trained}
    number = 1 + max(member.fold for member in by_member)
    found = []
    for seed in range(1 + max(member.seed for member in by_member)):
        here = [by_member[Member(fold, seed)] for fold in range(number)]
        if folds is None or number == 1:
            found.append(_stacked([posterior(one, arrays, place) for one in here]).mixture())
            continue
        rows = [np.empty((len(folds), here[0].classes)) for _ in range(3)]
        for fold, tagger in enumerate(here):
            mine = folds == fold
            chosen = {name: values[mine] for name, values in arrays.items()}
            one = posterior(tagger, chosen, place)
            for row, values in zip(rows, (one.mean, one.variance, one.at_mean), strict=True):
                row[mine] = values
        found.append(Posterior(*rows))
    return _stacked(found)


def _stacked(posteriors: Sequence[Posterior]) -> Posterior:
    return Posterior(
        np.stack([one.mean for one in posteriors]),
        np.stack([one.variance for one in posteriors]),
        np.stack([one.at_mean for one in posteriors]),
    )
