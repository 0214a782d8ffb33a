"""Mean and width of x in pseudo-experiments, by the methods whose coverage is measured.

A method takes all experiments at once, so that one with networks can train them together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fullchain.unfolding import binned_unfolding
from fullchain.unfolding.binned_problem import BinnedProblem, Factors
from fullchain.unfolding.ibu_settings import IbuSettings
from fullchain.unfolding.moments import moments
from fullchain.unfolding.sample import Array, Problem
from fullchain.unfolding.toy_settings import OBSERVABLE

QUANTITIES = ("mean", "width")


@dataclass(frozen=True)
class Estimates:
    """Means and widths of x, and their standard deviations.

    Parameters
    ----------
    values, uncertainties
        (experiments, 2): mean, width.
    freedom
        (2) degrees of freedom of the uncertainties.
    """

    values: Array
    uncertainties: Array
    freedom: Array


@dataclass(frozen=True)
class Replicated:
    """Unfolded counts of one pseudo-experiment.

    Parameters
    ----------
    counts
        (bins).
    replicas
        (replicas, bins) of each source; sources are independent.
    """

    counts: Array
    replicas: Sequence[Array]


Unfold = Callable[[Sequence[Problem], Sequence[int]], Sequence[Replicated]]
"""Unfolds problems; of those whose number is in the second argument, also in replicas."""


def estimates(
    unfold: Unfold, problems: Sequence[Problem], edges: Array, bootstrapped: int | None
) -> Estimates:
    """Unfold all pseudo-experiments.

    Parameters
    ----------
    edges
        (bins + 1) of x.
    bootstrapped
        Experiments with replicas, the first ones; all have their mean variance. None: each its own.
    """
    number = len(problems) if bootstrapped is None else min(bootstrapped, len(problems))
    found = unfold(problems, range(number))
    values = np.array([_mean_and_width(one.counts, edges) for one in found])
    # (experiments, sources, 2)
    variances = np.array(
        [[_variance(replicas, edges) for replicas in one.replicas] for one in found[:number]]
    )
    each = np.array([len(replicas) - 1 for replicas in found[0].replicas], dtype=float)
    mean, total = variances.mean(axis=0), variances.sum(axis=1)
    freedom = welch_satterthwaite(mean, each[:, None])
    if bootstrapped is not None:
        total = np.broadcast_to(mean.sum(axis=0), values.shape)
        freedom = freedom * number
    return Estimates(values, np.sqrt(total), freedom)


def welch_satterthwaite(variances: Array, freedom: Array) -> Array:
    """Degrees of freedom of a sum of variances (sources, ...) with `freedom` (sources, ...)."""
    found: Array = variances.sum(axis=0) ** 2 / (variances**2 / freedom).sum(axis=0)
    return found


def binned_iterative(settings: IbuSettings, edges: Array, replicas: int, seed: int) -> Unfold:
    """Iterative Bayesian unfolding in bins of x."""

    def unfold(problems: Sequence[Problem], with_replicas: Sequence[int]) -> list[Replicated]:
        found = []
        for number, problem in enumerate(problems):
            factors = Factors.none()
            if number in with_replicas:
                name = f"coverage_{number}"
                factors = Factors.drawn(problem, replicas, replicas, seed, name)
            case = BinnedProblem.of(problem, [OBSERVABLE], [edges])
            result = binned_unfolding.unfold(case, settings, factors, details=False)
            found.append(
                Replicated(
                    case.cells.inner(result.counts),
                    [case.cells.inner(one) for one in result.replicas.values()],
                )
            )
        return found

    return unfold


def _mean_and_width(counts: Array, edges: Array) -> tuple[float, float]:
    found = moments(counts, edges)
    return found.mean, found.width


def _variance(replicas: Array, edges: Array) -> Array:
    found: Array = np.array([_mean_and_width(one, edges) for one in replicas]).var(axis=0, ddof=1)
    return found
