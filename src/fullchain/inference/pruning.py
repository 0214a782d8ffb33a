"""Which changes are too small to keep, or no larger than limited simulation makes by itself.

How far two templates may differ by chance depends on the events that they share:

* an alternative sample is independent: the variances of both add;
* a shift moves some of the same jets over the edges of bins, and the others do not fluctuate
  against the nominal template. A bin that changes by the weight of n jets has had at least n jets
  moved, so that its variance is at least n squared weights, and one where nothing changed counts
  with one jet. Moves to and fro that cancel are not seen: a change looks more significant than it
  is, and too little is pruned rather than too much. In a shape, a jet counts in the bin that it
  leaves and in the one that it enters, and the variance is twice as large;
* a weight acts on the very same jets; their templates do not tell how it spreads within a bin, and
  no test is made.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.stats
from numpy.typing import NDArray

Array = NDArray[np.float64]
Events = Literal["independent", "moved", "same"]

EVENTS_OF_SOURCE: dict[str, Events] = {"sample": "independent", "shift": "moved", "weight": "same"}


@dataclass(frozen=True)
class Thresholds:
    """Relative changes, and probabilities of chance, at which a modifier is left out."""

    normalisation: float = 0.0
    shape: float = 0.0
    normalisation_p_value: float = 1.0
    shape_p_value: float = 1.0


@dataclass(frozen=True)
class Significance:
    """Chi-squared of a change against chance, its degrees of freedom and the p-value."""

    chi_squared: float
    degrees_of_freedom: int

    @property
    def p_value(self) -> float:
        """Probability that chance makes a change at least as large."""
        return float(scipy.stats.chi2.sf(self.chi_squared, self.degrees_of_freedom))


def largest_change(nominal: Array, varied: Array) -> tuple[float, int]:
    """Largest relative change of a bin and its place; an empty bin is relative to the mean one."""
    scale = np.where(nominal > 0, nominal, nominal.mean())
    relative = np.abs(varied - nominal) / scale
    return float(relative.max()), int(np.argmax(relative))


def variance_of_change(
    change: Array, nominal_variances: Array, varied_variances: Array, weight: Array, events: Events
) -> Array | None:
    """Variance by limited simulation of the difference of two templates; None: not known.

    Parameters
    ----------
    change
        Difference, per bin.
    nominal_variances, varied_variances
        Sums of squared weights, in the units of the difference squared.
    weight
        Weight of one jet in each bin.
    events
        Which events the two have in common.
    """
    if events == "same":
        return None
    if events == "independent":
        return np.asarray(nominal_variances + varied_variances)
    return np.asarray(weight * np.maximum(np.abs(change), weight))


def jet_weights(values: Array, variances: Array) -> Array:
    """Mean weight of the jets of each bin; that of the whole template where a bin is empty."""
    mean = variances.sum() / values.sum()
    usable = (values > 0) & (variances > 0)
    return np.where(usable, variances / np.where(usable, values, 1.0), mean)


def significance(
    change: Array, variance: Array | None, *, constraints: int = 0
) -> Significance | None:
    """Compare a change with chance; None where its variance is not known or zero.

    Parameters
    ----------
    change, variance
        Difference of two templates, and its variance, per bin.
    constraints
        Degrees of freedom that are lost, one for shapes of equal yield.
    """
    if variance is None:
        return None
    usable = variance > 0
    freedom = int(np.count_nonzero(usable)) - constraints
    if freedom < 1:
        return None
    return Significance(float(np.sum(change[usable] ** 2 / variance[usable])), freedom)
