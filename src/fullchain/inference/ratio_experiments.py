"""Pseudo-experiments with several likelihoods of the same events, and what they tell."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fullchain.inference import unbinned
from fullchain.inference.unbinned import Data, Model

AT_ONCE = 250
"""Data sets that are fitted in one computation."""

FAILING = 0.01
"""Fraction of the fits that may fail; they are counted and left out."""

PULL_EDGES = np.linspace(-4.0, 4.0, 33)


@dataclass(frozen=True)
class Fitted:
    """Results for all data sets (sets); NaN where a fit failed."""

    signal: Tensor
    uncertainty: Tensor
    low: Tensor
    high: Tensor
    nuisance: Tensor
    nuisance_uncertainty: Tensor

    @property
    def good(self) -> Tensor:
        """Which fits are there."""
        return torch.isfinite(self.signal) & torch.isfinite(self.low) & torch.isfinite(self.high)


def fitted(model: Model, data: Data, start: float, what: str, allowed: float = FAILING) -> Fitted:
    """Fit all data sets, with intervals; `allowed` is the fraction of the fits that may fail.

    Raises
    ------
    InputError
        A ratio is not finite, or more fits do not converge.
    """
    unbinned.check(data, what)
    fits = unbinned.fit(model, data, start)
    unbinned.require(fits, what, allowed=allowed)
    ends = unbinned.intervals(model, data, fits)
    good = fits.converged & ends.converged
    columns = (
        fits.values[:, 0], fits.uncertainty, ends.low, ends.high,
        fits.values[:, 1], fits.nuisance_uncertainty,
    )  # fmt: skip
    return Fitted(*(torch.where(good, one, torch.nan) for one in columns))


def joined(parts: list[Fitted]) -> Fitted:
    """Results of several chunks of data sets."""
    columns = zip(*(vars(one).values() for one in parts), strict=True)
    return Fitted(*(torch.cat(column) for column in columns))


def summary(result: Fitted, exact: Fitted | None, signal: float, nuisance: float) -> dict[str, Any]:
    """Give the numbers of one method: each [value, statistical error].

    Only the number of failed fits is given where fewer than two succeeded.
    """
    good = result.good if exact is None else result.good & exact.good
    if int(good.sum()) < 2:
        return {"sets": int(good.sum()), "failed": int((~result.good).sum())}
    value, width = result.signal[good], result.uncertainty[good]
    low, high = result.low[good], result.high[good]
    pulls = (value - signal) / width
    covered = ((low <= signal) & (signal <= high)).double()
    sets = len(value)
    fraction = float(covered.mean())
    # Of a fraction of 0 or 1 the binomial error would be none.
    held = min(max(fraction, 1 / (sets + 2)), 1 - 1 / (sets + 2))
    other = (result.nuisance[good] - nuisance) / result.nuisance_uncertainty[good]
    content, _ = np.histogram(np.clip(pulls.numpy(), -3.999, 3.999), PULL_EDGES)
    found = {
        "sets": sets,
        "failed": int((~result.good).sum()),
        "uncertainty": _mean(width),
        "half_interval": _mean(0.5 * (high - low)),
        "spread": _deviation(value),
        "bias": _mean(value - signal),
        "pull_mean": _mean(pulls),
        "pull_width": _deviation(pulls),
        "coverage": [fraction, math.sqrt(held * (1 - held) / sets)],
        "nuisance_pull_mean": _mean(other),
        "nuisance_pull_width": _deviation(other),
        "pulls": {"edges": PULL_EDGES.tolist(), "content": content.tolist()},
    }
    if exact is not None:
        found["shift"] = _mean(value - exact.signal[good])
        found["shift_spread"] = _deviation(value - exact.signal[good])
        found["wider"] = _mean(width / exact.uncertainty[good])
    return found


def _mean(values: Tensor) -> list[float]:
    return [float(values.mean()), float(values.std()) / math.sqrt(len(values))]


def _deviation(values: Tensor) -> list[float]:
    deviation = float(values.std())
    centred = values - values.mean()
    fourth = float((centred**4).mean())
    error = math.sqrt(max(fourth - deviation**4, 0.0) / len(values)) / (2 * max(deviation, 1e-300))
    return [deviation, error]


def spread_of_members(members: list[Fitted], reference: Fitted) -> dict[str, Any]:
    """What differs from network to network: shift and relative uncertainty, with spreads.

    The reference has the same data sets first.
    """
    count = len(members[0].signal)
    shifts, widths = [], []
    for one in members:
        good = one.good & reference.good[:count]
        shifts.append(float((one.signal - reference.signal[:count])[good].mean()))
        widths.append(float((one.uncertainty / reference.uncertainty[:count])[good].mean()))
    return {
        "sets": count,
        "shifts": shifts,
        "wider": widths,
        "shift_error_of_mean": float(np.std(shifts, ddof=1)) / math.sqrt(len(members)),
    }


def profiles(model: Model, data: dict[str, Data], start: float, points: int = 61) -> dict[str, Any]:
    """Twice the profile log likelihood of the first data set with each method."""
    first = {name: one.chosen(torch.zeros(1, dtype=torch.long)) for name, one in data.items()}
    best: dict[str, unbinned.Fits] = {}
    for name, only in first.items():
        best[name] = unbinned.fit(model, only, start)
        unbinned.require(best[name], f"profile of {name}")
    low = min(float(one.values[0, 0] - 2.2 * one.uncertainty[0]) for one in best.values())
    high = max(float(one.values[0, 0] + 2.2 * one.uncertainty[0]) for one in best.values())
    signal = torch.linspace(low, high, points, dtype=torch.float64)
    found: dict[str, Any] = {"signal": signal.tolist(), "methods": {}}
    for name, only in first.items():
        curve = unbinned.profile(model, only, best[name], signal)
        # Where no density is left, for a very negative signal.
        found["methods"][name] = [v if math.isfinite(v) else None for v in curve.tolist()]
    return found


def chunks(number: int) -> Iterator[range]:
    """Ranges of data sets that are made and fitted together."""
    for first in range(0, number, AT_ONCE):
        yield range(first, min(first + AT_ONCE, number))
