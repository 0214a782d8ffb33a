"""Scores on a line from one generator to another: their columns, and a working point on it.

r is the part of the second generator in a mixture of two: 0 is the first, 1 the second.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

RULE = (
    "the larger of the two losses of cross entropy, each against the r that is best for one "
    "generator, is least (validation part)"
)
"""How a working point is chosen, in words."""

STEP = 0.01
"""Distance of the values of r among which a working point is chosen."""

SMALLEST = 1e-7
"""Least probability: single precision holds no difference from one below."""


def suffix(r: float) -> str:
    """What the names of columns at `r` end with; a dot would end the name of a branch in ROOT.

    Examples
    --------
    >>> suffix(0.0), suffix(0.25)
    ('_r0', '_r0p25')
    """
    return f"_r{r:g}".replace(".", "p").replace("-", "m")


def columns(own: Sequence[str], r: float) -> list[str]:
    """Columns of the scores at `r`; `own` are those at the working point.

    Examples
    --------
    >>> columns(["score"], 0.5), columns(["score", "score_t"], 1.0)
    (['score_r0p5'], ['score_r1', 'score_t_r1'])
    """
    return [f"{name}{suffix(r)}" for name in own]


def descriptions(own: Sequence[str], grid: Sequence[float]) -> dict[str, str]:
    """Columns of the scores on a grid of r, each with what it is."""
    return {
        column: f"{name} for a mixture with a part {r:g} of the second generator"
        for r in grid
        for name, column in zip(own, columns(own, r), strict=True)
    }


def cross_entropy(probabilities: Array, target: npt.NDArray[np.integer]) -> Array:
    """Negative log-likelihood of each jet; `probabilities` (jets, classes), `target` (jets,)."""
    own = np.take_along_axis(probabilities, np.asarray(target)[:, None], axis=1)[:, 0]
    return np.asarray(-np.log(np.clip(own, SMALLEST, None)))


def regrets(losses: Array) -> Array:
    """What a loss exceeds its least value by; both have the shape (..., points)."""
    return losses - losses.min(axis=-1, keepdims=True)


def least_regret(r: Sequence[float] | Array, first: Array, second: Array) -> float:
    """Choose r where the larger of the regrets on two generators is least.

    A minimax rule: neither generator is preferred, and that one of them is harder for every
    tagger, so that its loss is larger at all r, has no influence. Between the points the regrets
    are interpolated linearly.

    Parameters
    ----------
    r
        Points that rise from 0 to 1, shape (points,).
    first, second
        Mean cross entropy at these points on the jets of each generator, shape (points,).

    Examples
    --------
    >>> least_regret([0.0, 1.0], np.array([0.1, 0.3]), np.array([0.7, 0.5]))
    0.5
    """
    fine = np.linspace(0.0, 1.0, round(1 / STEP) + 1)
    both = [np.interp(fine, r, regrets(losses)) for losses in (first, second)]
    worst = np.maximum(*both)
    # Of equal ones that nearest to the middle: a tagger that does not depend on r has one there.
    equal = np.flatnonzero(worst <= worst.min() + 1e-12)
    return float(round(fine[equal[np.argmin(np.abs(fine[equal] - 0.5))]], 2))
