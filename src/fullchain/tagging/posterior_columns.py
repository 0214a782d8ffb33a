"""Columns of the scores of a Bayesian tagger: names, and values from its posteriors.

Beside the probabilities, which have the names that they have without: ``<score>_std``, their
standard deviation under the posterior, also of each seed, and ``<score>_at_mean``, the probability
at the means of the weights, as a network without distributions would give it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fullchain.tagging.score_files import (
    SCORE,
    class_probabilities,
    named_columns,
    score_columns,
    seed_columns,
)

STD, AT_MEAN = "_std", "_at_mean"
Array = npt.NDArray[np.float64]


class Posteriors(Protocol):
    """Probabilities, variances, and probabilities at the means of the weights, of all seeds."""

    @property
    def mean(self) -> Array:
        """Probabilities, (seeds, jets, classes)."""
        ...

    @property
    def variance(self) -> Array:
        """Their variances, of the same shape."""
        ...

    def mixture(self) -> Any:
        """Give the posterior of all seeds together, with the same names and `at_mean`."""
        ...


def extra_columns(classes: Sequence[str], seeds: int) -> dict[str, str]:
    """Names and descriptions of the columns beside the probabilities.

    Examples
    --------
    >>> list(extra_columns(["top", "qcd"], 2))
    ['score_std', 'score_at_mean', 'seed0_score_std', 'seed1_score_std']
    """
    names = [SCORE, *score_columns(classes)]
    found = {
        f"{name}{STD}": f"standard deviation of {name} under the posterior of the weights"
        for name in names
    }
    found |= {f"{name}{AT_MEAN}": f"{name} at the means of the weights" for name in names}
    found |= {
        f"{name}{STD}": f"standard deviation of {name} under the posterior of the weights"
        for several in seed_columns(classes, seeds)
        for name in several
    }
    return found


def posterior_columns(found: Posteriors, classes: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """All columns of scores from the posteriors of the seeds."""
    together = found.mixture()
    columns = {
        SCORE: together.mean[:, 0],
        **{name: together.mean[:, k] for k, name in enumerate(score_columns(classes))},
    }
    for suffix, values in ((STD, np.sqrt(together.variance)), (AT_MEAN, together.at_mean)):
        columns |= _suffixed(values, classes, suffix)
    seeds = len(found.mean)
    if seeds > 1:
        columns = named_columns(found.mean, classes) | columns
    for names, values in zip(seed_columns(classes, seeds), found.variance, strict=False):
        columns |= {f"{name}{STD}": np.sqrt(values[:, k]) for k, name in enumerate(names)}
    return columns


def _suffixed(values: Array, classes: Sequence[str], suffix: str) -> dict[str, npt.NDArray[Any]]:
    columns = {f"{SCORE}{suffix}": values[:, 0]}
    return columns | {
        f"{name}{suffix}": values[:, k] for k, name in enumerate(score_columns(classes))
    }


def at_mean(columns: Mapping[str, npt.NDArray[Any]], classes: Sequence[str]) -> Array:
    """Probabilities at the means of the weights, (jets, classes), from the columns of a file."""
    names = [f"{name}{AT_MEAN}" for name in score_columns(classes) or [SCORE]]
    return class_probabilities(columns, names, classes)


def deviations(columns: Mapping[str, npt.NDArray[Any]], seeds: int) -> tuple[Array, Array]:
    """Standard deviation of the score, (jets,), and of that of each seed, (seeds, jets).

    There are no seeds where there is one only.
    """
    everything = np.asarray(columns[f"{SCORE}{STD}"], dtype=float)
    single = [
        np.asarray(columns[f"seed{seed}_{SCORE}{STD}"], dtype=float)
        for seed in range(seeds if seeds > 1 else 0)
    ]
    return everything, np.stack(single) if single else np.empty((0, len(everything)))
