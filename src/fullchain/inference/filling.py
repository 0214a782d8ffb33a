"""Events into histograms: score cuts, bins with variances, what the training took away.

All functions take flat arrays with one entry per event, or per jet where the score is cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import hist
import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError

Array = NDArray[Any]
Outside = Literal["fold", "discard", "error"]


@dataclass(frozen=True)
class Efficiency:
    """Weighted fraction of jets above a threshold, with its binomial standard deviation."""

    value: float
    uncertainty: float
    jets: int


def threshold_at_efficiency(
    scores: Array, weights: Array, efficiency: float, where: str = "sample"
) -> float:
    """Give the lowest threshold that at most a fraction `efficiency` of the weight exceeds.

    Parameters
    ----------
    scores, weights
        One entry per jet.
    efficiency
        Target in (0, 1); a jet passes when its score is greater than the threshold.
    where
        Whose jets these are, for the error message.

    Raises
    ------
    InputError
        There are no jets, or too few for the target: not one of them would pass.
    """
    if len(scores) == 0 or not np.sum(weights) > 0:
        raise InputError(f"{where}: no jets (or no positive weight) to set the score cut on")
    order = np.argsort(-scores, kind="stable")
    # The sum of the weights above each jet, the jet included. Negative weights would make it fall
    # again; the first crossing of the target counts then.
    above = np.maximum.accumulate(np.cumsum(weights[order])) / np.sum(weights)
    passing = int(np.searchsorted(above, efficiency, side="right"))
    if passing == len(order):
        passing -= 1
    threshold = float(scores[order[passing]])
    if not np.any(scores > threshold):
        raise InputError(
            f"{where}: {len(scores)} jets are too few to cut at an efficiency of {efficiency}; "
            "take a higher efficiency or more events"
        )
    return threshold


def efficiency_above(scores: Array, weights: Array, threshold: float) -> Efficiency:
    """Give the weighted fraction of jets with a score greater than `threshold`.

    Raises
    ------
    ValueError
        The weights do not add up to a positive number.
    """
    total = float(np.sum(weights))
    if not total > 0:
        raise ValueError("the efficiency of no jets is undefined")
    passing = scores > threshold
    value = float(np.sum(weights[passing])) / total
    variance = float(np.sum((weights * (passing - value)) ** 2)) / total**2
    return Efficiency(value, float(np.sqrt(variance)), len(scores))


def fill(
    values: Array,
    weights: Array,
    edges: Sequence[float],
    *,
    underflow: Outside = "fold",
    overflow: Outside = "fold",
    where: str = "template",
) -> hist.Hist:
    """Histogram `values` with the sum of weights and of squared weights in each bin.

    Parameters
    ----------
    values, weights
        One entry per event.
    edges
        Increasing bin edges; a bin holds its lower edge and not its upper one.
    underflow, overflow
        What becomes of events outside: ``fold`` adds them to the first or last bin, so that the sum
        of weights is conserved; ``discard`` drops them; ``error`` refuses them.
    where
        Region and sample, for the error message.

    Raises
    ------
    InputError
        A value or weight is not a finite number, or lies outside and that is an error.
    """
    values, weights = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    for name, column in (("observable", values), ("weight", weights)):
        bad = int(np.count_nonzero(~np.isfinite(column)))
        if bad:
            raise InputError(f"{where}: the {name} of {bad} events is not a finite number")
    filled = hist.Hist(hist.axis.Variable(list(edges)), storage=hist.storage.Weight())
    filled.fill(values, weight=weights)
    flow = filled.view(flow=True)
    sides: tuple[tuple[str, Outside, int, int], ...] = (
        ("below the first bin edge", underflow, 0, 1),
        ("above the last bin edge", overflow, -1, -2),
    )
    outside = (int(np.count_nonzero(values < edges[0])), int(np.count_nonzero(values >= edges[-1])))
    for (place, policy, source, target), events in zip(sides, outside, strict=True):
        if policy == "error" and events:
            edge = edges[0] if source == 0 else edges[-1]
            raise InputError(
                f"{where}: {events} events lie {place} {edge:g}; widen the edges or fold"
            )
        if policy == "fold":
            flow["value"][target] += flow["value"][source]
            flow["variance"][target] += flow["variance"][source]
        flow["value"][source] = flow["variance"][source] = 0.0
    return filled


def kept_fraction(everything: float, kept: float) -> float:
    """Give the part of a sum of weights that was kept: what weights are divided by.

    Raises
    ------
    InputError
        Nothing is kept.
    """
    if not (everything > 0 and kept > 0):
        raise InputError("no events are left outside the training split; generate more events")
    return kept / everything
