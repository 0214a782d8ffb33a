"""Scores of background as ranks, with ties spread out: the start of a conditional flow.

A score is mapped to the logit of its cumulative distribution over all background, so that what is
left for the flow is the dependence on the mass alone. The map is monotonic. A score that many jets
share, as the scores of trees may be, is a step of the distribution: its jets are spread over the
step by a number of their own, which makes the result continuous (the randomised probability
integral transform, see e.g. Czado, Gneiting and Held, Biometrics 65 (2009) 1254).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning import split
from fullchain.seeds import derive

Array = npt.NDArray[np.float64]

KNOTS = 400
"""Points of the cumulative distribution, beside steps; equally spaced in its logit."""

BEYOND = 5.0
"""Effective number of jets beyond the outermost of these points."""

SHARE = 1e-3
"""Part of the weight at one score of several jets that makes a step; narrower ones do no harm."""

MARGIN = 1e-3
"""Part of a step that is left to scores right beside it, so that the map stays monotonic."""

SMALLEST = 1e-30
"""Least probability and least distance from one of which a logit is taken."""


@dataclass(frozen=True)
class Marginal:
    """Cumulative distribution of a score over background, at knots that rise, each (knots,).

    Parameters
    ----------
    at
        Logits of scores.
    low, high
        Logits of the cumulative distribution just below and above; different at steps only.
    """

    at: Array
    low: Array
    high: Array

    @classmethod
    def measured(cls, values: Array, weights: Array) -> "Marginal":
        """Measure the distribution of logits of scores (jets,) with weights (jets,), not negative.

        Raises
        ------
        InputError
            All jets have one score.
        """
        kept = weights > 0
        values, weights = values[kept], weights[kept] / weights.sum()
        distinct, place, count = np.unique(values, return_inverse=True, return_counts=True)
        if len(distinct) < 2:
            raise InputError(
                "all background jets have the same score: there is nothing to transform; train "
                "the tagger longer or look at its inputs"
            )
        weight = np.bincount(place, weights=weights)
        middle = np.cumsum(weight) - 0.5 * weight
        step = (weight >= SHARE) & (count > 1)
        reach = np.log(np.square(weights.sum()) / np.square(weights).sum() / BEYOND)
        levels = _expit(np.linspace(-1, 1, KNOTS) * max(reach, 1.0))
        chosen = step.copy()
        chosen[np.minimum(np.searchsorted(middle, levels), len(distinct) - 1)] = True
        chosen[[0, -1]] = True
        # What is half a step wide belongs to a score of its own, not to its neighbours.
        inside = np.where(step, (0.5 - MARGIN) * weight, 0.0)
        return cls(
            distinct[chosen],
            _logit((middle - inside)[chosen]),
            _logit((middle + inside)[chosen]),
        )

    def logistic(self, values: Array, chance: Array) -> Array:
        """Map logits of scores (jets,) to what is logistic over background, (jets,).

        Beyond the outermost knots the map goes on with slope one: the odds of background at the
        ends of a score that is a probability fall as the odds of the score.

        Parameters
        ----------
        values
            Logits of scores, (jets,).
        chance
            Numbers in [0, 1) that place jets of one score on its step, (jets,).
        """
        # Two knots at one place, below and above a step, make np.interp jump there.
        at, level = np.repeat(self.at, 2), np.stack([self.low, self.high], axis=1).ravel()
        result = np.interp(values, at, level)
        below, above = values < self.at[0], values > self.at[-1]
        result = np.where(below, self.low[0] + (values - self.at[0]), result)
        result = np.where(above, self.high[-1] + (values - self.at[-1]), result)
        knot = np.clip(np.searchsorted(self.at, values), 0, len(self.at) - 1)
        there = self.at[knot] == values
        low, high = _expit(self.low[knot]), _expit(self.high[knot])
        return np.where(there, _logit(low + chance * (high - low)), result)


def logits(scores: npt.ArrayLike) -> Array:
    """Logits of scores, which single precision may hold as zero or one; NaN stays.

    Examples
    --------
    >>> logits([0.5, 0.0])
    array([  0.        , -69.07755279])
    """
    return _logit(np.asarray(scores, dtype=float))


def chances(
    run: npt.ArrayLike, block: npt.ArrayLike, event: npt.ArrayLike, jet: npt.ArrayLike, seed: int
) -> Array:
    """Numbers in [0, 1) of jets, by the identity of their event and their index in it.

    No random stream: a jet has one number in each file, order and systematic variation.
    """
    numbers = np.asarray(jet)
    result = np.empty(numbers.shape)
    for one in np.unique(numbers):
        rows = numbers == one
        own = [np.asarray(column)[rows] for column in (run, block, event)]
        result[rows] = split.fold(own[0], own[1], own[2], derive(seed, "chance", int(one)))
    return result


def _logit(chance: Array) -> Array:
    inside = np.clip(chance, SMALLEST, 1.0 - 2.0**-53)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _expit(values: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-values)))
