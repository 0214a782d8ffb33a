"""Tests of signal strengths: discovery, CLs, and upper limits from asymptotic formulae.

Test statistics and their distributions for large samples: G. Cowan, K. Cranmer, E. Gross,
O. Vitells, EPJ C 71 (2011) 1554. CLs: A. Read, J. Phys. G 28 (2002) 2693. All fits of a question
are made at once; `toy_tests.py` has the distributions from toys.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fullchain.errors import InputError
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.minimise import (
    Minima,
    covariance_where_definite,
    lowest,
    twice_nll,
)

Statistic = Literal["q", "qtilde"]

BAND = (2.0, 1.0, 0.0, -1.0, -2.0)
"""Standard deviations of the statistic at which expected values are given, in rising CLs."""


@dataclass(frozen=True)
class Tested:
    """Test statistics of rows of data.

    Attributes
    ----------
    value
        The statistic (rows,).
    poi
        Fitted signal strength (rows,).
    converged
        Whether the fits of a row did (rows,).
    """

    value: Tensor
    poi: Tensor
    converged: Tensor


@dataclass(frozen=True)
class CLs:
    """CLs of signal strengths: observed (rows,), expected (rows, 5) at `BAND`, rising."""

    observed: Tensor
    expected: Tensor


@dataclass(frozen=True)
class UpperLimits:
    """Excluded from here on: observed, and the expected band in rising order."""

    observed: float
    expected: tuple[float, float, float, float, float]


def poi_of(model: HistFactory) -> int:
    """Give the place of the parameter of interest.

    Raises
    ------
    InputError
        There is none.
    """
    if model.poi is None:
        raise InputError("the workspace has no parameter of interest in its measurement")
    return model.poi


def q0(model: HistFactory, data: Tensor, start: Tensor | None = None) -> Tested:
    """Discovery: twice the log-likelihood ratio of best fit to no signal, zero for deficits.

    The significance is its square root (eq. 12 and 52 of Cowan et al.).
    """
    poi = poi_of(model)
    # Deficits count as none, so that the fit can end at zero.
    upper = float(model.upper[poi])
    begin = model.init if start is None else start
    best = lowest(model, data, [begin, model.init], limits={poi: (0.0, upper)})
    held = lowest(model, data, [best.values, begin], fixed={poi: 0.0})
    return _difference(held, best, best.values[:, poi] <= 0.0, poi)


def q_mu(model: HistFactory, data: Tensor, mu: Tensor, start: Tensor | None = None) -> Tested:
    """Upper limits: twice the log-likelihood ratio of best fit to `mu`, zero for excesses over it.

    Parameters
    ----------
    data, mu
        One row for each test; either may be one for all.
    """
    lower = float(model.lower[poi_of(model)])
    return _upper_limit_statistic(model, data, mu, lower, start)


def qtilde(model: HistFactory, data: Tensor, mu: Tensor, start: Tensor | None = None) -> Tested:
    """`q_mu` with signal strengths that cannot be negative (eq. 16 of Cowan et al.)."""
    return _upper_limit_statistic(model, data, mu, 0.0, start)


STATISTICS: dict[Statistic, Callable[..., Tested]] = {"q": q_mu, "qtilde": qtilde}


def _upper_limit_statistic(
    model: HistFactory, data: Tensor, mu: Tensor, lower: float, start: Tensor | None
) -> Tested:
    poi = poi_of(model)
    upper = max(float(model.upper[poi]), float(mu.max()))
    begin = model.init if start is None else start
    best = lowest(model, data, [begin, model.init], limits={poi: (lower, upper)})
    rows = max(len(best.values), mu.numel() if mu.ndim else 1)
    best = _expand(best, rows)
    mu, many = mu.expand(rows), data.expand(rows, -1)
    over = best.values[:, poi] >= mu
    # Where the statistic is zero there is nothing to fit.
    needed = torch.nonzero(~over)[:, 0]
    value, converged = torch.zeros(rows, dtype=torch.float64), best.converged.clone()
    if len(needed):
        if begin.ndim == 2:
            begin = begin.expand(rows, -1)[needed]
        starts = [best.values[needed], begin]
        held = lowest(model, many[needed], starts, fixed={poi: mu[needed]})
        value[needed] = (held.twice_nll - best.twice_nll[needed]).clamp(min=0.0)
        converged[needed] &= held.converged
    return Tested(value, best.values[:, poi], converged)


def _difference(held: Minima, best: Minima, zero: Tensor, poi: int) -> Tested:
    value = (held.twice_nll - best.twice_nll).clamp(min=0.0)
    return Tested(
        torch.where(zero, torch.zeros_like(value), value),
        best.values[:, poi],
        held.converged & best.converged,
    )


def _expand(minima: Minima, rows: int) -> Minima:
    return Minima(
        minima.values.expand(rows, -1),
        minima.twice_nll.expand(rows),
        minima.converged.expand(rows),
        minima.distance.expand(rows),
        minima.at_limit.expand(rows, -1),
    )


class Asymptotic:
    """CLs of one data set from asymptotic formulae.

    Parameters
    ----------
    model, data
        A model and its data (bins + auxiliary,).
    statistic
        ``qtilde``: signals cannot be negative; ``q``: they can.

    Raises
    ------
    InputError
        A fit does not converge.

    Examples
    --------
    >>> import pyhf
    >>> made = pyhf.simplemodels.uncorrelated_background([12.0, 11.0], [50.0, 52.0], [3.0, 7.0])
    >>> data = torch.tensor([51.0, 48.0, *made.config.auxdata], dtype=torch.float64)
    >>> found = Asymptotic(HistFactory(made), data).cls(torch.tensor([1.0], dtype=torch.float64))
    >>> print(f"{float(found.observed[0]):.5f} {float(found.expected[0, 2]):.5f}")
    0.05252 0.06446
    """

    def __init__(self, model: HistFactory, data: Tensor, statistic: Statistic = "qtilde") -> None:
        self.model, self.data, self.statistic = model, data, statistic
        self.poi = poi_of(model)
        lower = 0.0 if statistic == "qtilde" else float(model.lower[self.poi])
        upper = max(float(model.upper[self.poi]), 1.0)
        limits = {self.poi: (lower, upper)}
        background = model.init.clone()
        background[self.poi] = max(0.0, lower)
        found = lowest(model, data, [model.init, background], limits=limits)
        self.best = found.require("best fit", model.names)
        starts = [self.best.values, model.init]
        without = lowest(model, data, starts, fixed={self.poi: 0.0})
        self.background = without.require("fit without signal", model.names)
        self.asimov = model.expected_data(self.background.values[0])
        # The expectation is fitted best by what it was made from.
        self.asimov_minimum = twice_nll(model, self.background.values, self.asimov)

    def statistics(self, mu: Tensor) -> tuple[Tensor, Tensor]:
        """Give the statistic of the data and of the expectation without signal, (rows,) each."""
        rows = len(mu)
        data = torch.cat([self.data.expand(rows, -1), self.asimov.expand(rows, -1)])
        begin = torch.cat(
            [self.best.values.expand(rows, -1), self.background.values.expand(rows, -1)]
        )
        starts = [begin, self.model.init]
        found = lowest(self.model, data, starts, fixed={self.poi: mu.repeat(2)})
        names = [self.model.names[self.poi], f"{float(mu.min()):.4g}...{float(mu.max()):.4g}"]
        found.require(f"fits at fixed {names[0]} = {names[1]}", self.model.names)
        observed = (found.twice_nll[:rows] - self.best.twice_nll).clamp(min=0.0)
        expected = (found.twice_nll[rows:] - self.asimov_minimum).clamp(min=0.0)
        over = self.best.values[:, self.poi] > mu
        return torch.where(over, torch.zeros_like(observed), observed), expected

    def cls(self, mu: Tensor) -> CLs:
        """Give CLs of positive signal strengths (rows,)."""
        logarithms = self.log_cls(mu)
        return CLs(logarithms[:, 0].exp(), logarithms[:, 1:].exp())

    def log_cls(self, mu: Tensor) -> Tensor:
        """Logarithms of CLs (rows, 6): observed, then the expected band."""
        observed, asimov = self.statistics(mu)
        root, width = observed.sqrt(), asimov.sqrt()
        place = root - width
        if self.statistic == "qtilde":
            far = (observed - asimov) / (2.0 * width.clamp(min=1e-300))
            place = torch.where(root > width, far, place)
        places = torch.cat(
            [place[:, None], torch.tensor(BAND, dtype=torch.float64).expand(len(mu), -1)], dim=1
        )
        ndtr = torch.special.log_ndtr
        return ndtr(-(places + width[:, None])) - ndtr(-places)

    def upper_limits(self, level: float = 0.95, precision: float = 1e-6) -> UpperLimits:
        """Find where CLs falls to 1 - level, for the data and the expected band at once.

        Parameters
        ----------
        level
            Confidence level.
        precision
            Relative precision of the limits.

        Raises
        ------
        InputError
            CLs does not fall so far: the data say nothing of the signal.
        """
        wanted = float(torch.log(torch.tensor(1.0 - level, dtype=torch.float64)))

        def excess(mu: Tensor) -> Tensor:
            return self.log_cls(mu).diagonal() - wanted

        roots = _roots(excess, self._first_guess(), precision, self.model.names[self.poi])
        return UpperLimits(float(roots[0]), tuple(roots[1:].tolist()))

    def _first_guess(self) -> Tensor:
        """Signal strengths (6,) that are about excluded."""
        found, definite = covariance_where_definite(self.model, self.background.values, self.asimov)
        width = float(found[0, self.poi, self.poi]) ** 0.5 if definite[0] else 1.0
        width = width if width > 0 else 1.0
        above = float(self.best.values[0, self.poi].clamp(min=0.0)) / width
        return width * (2.0 + torch.tensor([above, -1.0, -0.5, 0.0, 1.0, 2.0]).double())


def _roots(
    function: Callable[[Tensor], Tensor], guess: Tensor, precision: float, name: str
) -> Tensor:
    """Roots (n,) of n falling functions that are positive at zero (Illinois method)."""
    low, high = torch.zeros_like(guess), guess.clone()
    # CLs is one at zero; a rough value does, because the next steps replace it.
    above, below = torch.full_like(guess, 3.0), function(high)
    for _ in range(60):
        outside = below > 0
        if not outside.any():
            break
        low, above = torch.where(outside, high, low), torch.where(outside, below, above)
        high = torch.where(outside, 1.6 * high, high)
        below = torch.where(outside, function(high), below)
    else:
        raise InputError(
            f"CLs does not fall below its level up to {name} = {float(high.max()):.3g}: the data "
            "say nothing of the signal; look at its templates"
        )
    side = torch.zeros_like(guess)
    for _ in range(100):
        if ((high - low) <= precision * high).all():
            break
        middle = (low * below - high * above) / (below - above)
        # A secant that leaves the bracket, or barely moves, gives way to halving.
        edge = 0.1 * precision * high
        middle = torch.minimum(torch.maximum(middle, low + edge), high - edge)
        at = function(middle)
        up = at > 0
        low, above, below = (
            torch.where(up, middle, low),
            torch.where(up, at, torch.where(side < 0, 0.5 * above, above)),
            torch.where(up, torch.where(side > 0, 0.5 * below, below), at),
        )
        high = torch.where(up, high, middle)
        side = torch.where(up, torch.ones_like(side), -torch.ones_like(side))
    return 0.5 * (low + high)
