"""Expected precision of a signal strength after a cut, and the signal that sculpting fakes.

The expected background is smooth (`smoothing`): the histogram of few simulated jets would fake
signals by itself. Its spectrum before the cut and the efficiency of the cut each are polynomials of
the order that the simulated jets support, so the ratio of passing to failing jets is of the form of
the transfer factor, of an order that the fit does not know. The expected data are

* with the signal (mu = 1), for the uncertainty of mu and the discovery significance sqrt(q0) of
  G. Cowan, K. Cranmer, E. Gross, O. Vitells, EPJ C 71 (2011) 1554;
* without, where the fitted mu is the spurious signal; and Poisson toys around it, whose mean pull
  says the same of fits that fluctuate.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from fullchain.decorrelation.evaluation_settings import MassFitSettings
from fullchain.decorrelation.mass_fit import fit
from fullchain.decorrelation.smoothing import fit_efficiency, fit_spectrum, legendre, lowest_order
from fullchain.decorrelation.spectra import bin_numbers
from fullchain.learning import roc
from fullchain.learning.bootstrap import event_factors
from fullchain.seeds import stream
from fullchain.tagging.performance import Sample, effective_number

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spectra:
    """Expected jets in bins of the mass that pass and fail a cut, each (sets, bins)."""

    signal_passing: Array
    signal_failing: Array
    passing: Array
    failing: Array


@dataclass(frozen=True)
class Orders:
    """Orders of the polynomials of the smooth background."""

    spectrum: int
    efficiency: int


def measure(
    jets: Sample,
    singles: Sequence[Sample],
    expected: Array,
    mass: Array,
    window: tuple[float, float],
    points: Sequence[float],
    how: MassFitSettings,
    seed: int,
) -> dict[str, Any]:
    """Fit the mass after cuts at given signal efficiencies, for JSON.

    Parameters
    ----------
    jets, singles
        Jets with their score, and the same jets with the scores of single trainings.
    expected
        Number of jets that each stands for, (jets,).
    mass, window
        Observable of the fit [GeV], (jets,), and its range.
    points
        Signal efficiencies of the cuts.

    Returns
    -------
    dict
        Numbers of expected jets, and for each working point orders, fits and spectra; only the
        efficiency, and None as `orders`, where too few simulated jets pass or fail.
    """
    binned = _Binned(jets, expected, mass, window, how.bins)
    nominal = binned.spectra([jets], points, [1.0])
    draws = binned.spectra(
        [jets] * how.replicas, points, event_factors(jets.event, how.replicas, seed)
    )
    single = binned.spectra(singles, points, [1.0] * len(singles))
    entries = [
        _Point(one, drawn, of_seeds, binned.scale, how, seed, k).entry(point)
        for k, (point, one, drawn, of_seeds) in enumerate(
            zip(points, nominal, draws, single, strict=True)
        )
    ]
    for entry, one in zip(entries, nominal, strict=True):
        if entry["orders"] is not None:
            entry["spectra"] |= {
                "edges": np.linspace(*window, how.bins + 1).tolist(),
                "simulated_deviation": np.sqrt(one.passing[0] / binned.scale).tolist(),
            }
    return {
        "luminosity": how.luminosity if how.expected is None else None,
        "expected": {
            name: float(expected[side].sum())
            for name, side in (("signal", jets.is_signal), ("background", ~jets.is_signal))
        },
        "points": entries,
    }


class _Binned:
    """Fills spectra. `scale` is the number of simulated jets that an expected one stands for."""

    def __init__(
        self, jets: Sample, expected: Array, mass: Array, window: tuple[float, float], bins: int
    ) -> None:
        self.expected, self.signal, self.bins = expected, jets.is_signal, bins
        self.index = bin_numbers(mass, np.linspace(*window, bins + 1))
        background = expected[~jets.is_signal]
        self.scale = effective_number(background) / background.sum()

    def spectra(
        self, sets: Sequence[Sample], points: Sequence[float], factors: Iterable[Any]
    ) -> list[Spectra]:
        """Spectra of each working point, the cut set anew for each set of scores and factors."""
        found = np.zeros((len(points), 4, len(sets), self.bins))
        usable = np.ones(len(sets), dtype=bool)
        for number, (jets, factor) in enumerate(zip(sets, factors, strict=True)):
            try:
                curve = roc.roc_curve(jets.score, jets.is_signal, jets.weight * factor)
            except ValueError:
                # A replica without one of the classes says nothing.
                usable[number] = False
                continue
            for k, point in enumerate(points):
                passing = jets.score >= roc.threshold(curve, point)
                weight = self.expected * factor
                for row, side in enumerate((self.signal, ~self.signal)):
                    for column, cut in enumerate((passing, ~passing)):
                        mine = np.bincount(self.index, weight * (side & cut), self.bins)
                        found[k, 2 * row + column, number] = mine
        # Bins of signed weights may sum to less than zero, which is no number of jets.
        content = np.maximum(found[:, :, usable], 0.0)
        return [Spectra(*content[k]) for k in range(len(points))]


def orders_of(spectra: Spectra, scale: float, how: MassFitSettings) -> Orders:
    """Orders that the simulated jets support; those of the first set of spectra."""
    passing, failing = scale * spectra.passing[:1], scale * spectra.failing[:1]
    total = passing + failing
    degrees = range(how.truth_order + 1)
    return Orders(
        lowest_order([float(fit_spectrum(total, k)[1].value[0]) for k in degrees], how.level),
        lowest_order(
            [float(fit_efficiency(passing, failing, k)[1].value[0]) for k in degrees], how.level
        ),
    )


def smooth_background(spectra: Spectra, scale: float, orders: Orders) -> tuple[Array, Array]:
    """Smooth numbers of background jets that pass and fail, both (sets, bins)."""
    total, _ = fit_spectrum(scale * (spectra.passing + spectra.failing), orders.spectrum)
    logit, _ = fit_efficiency(scale * spectra.passing, scale * spectra.failing, orders.efficiency)
    return total * special.expit(logit) / scale, total * special.expit(-logit) / scale


@dataclass(frozen=True)
class Expectation:
    """What fits of one order are expected to give, arrays of shape (sets,)."""

    uncertainty: Array
    significance: Array
    bias: Array
    pull: Array
    """Of the fit without signal in the data, as that of `toy_summary`."""
    misfit: Array
    """Twice the logarithm of the likelihood by which the fit without signal is off, from 0."""
    background: Array
    """Passing background of the fit without signal, (sets, bins)."""


def expectation(spectra: Spectra, passing: Array, failing: Array, order: int) -> Expectation:
    """Fit the expected spectra with a transfer factor of an order; background (sets, bins)."""
    up, down = spectra.signal_passing, spectra.signal_failing
    with_signal = fit(passing + up, failing + down, up, down, order)
    no_signal = fit(passing + up, failing + down, up, down, order, mu=0.0)
    spurious = fit(passing, failing, up, down, order)
    plain = fit(passing, failing, up, down, order, mu=0.0)
    transfer = np.exp(plain.transfer @ legendre(passing.shape[1], order).T)
    q0 = np.maximum(no_signal.twice_nll - with_signal.twice_nll, 0.0)
    return Expectation(
        with_signal.uncertainty,
        np.where(with_signal.mu > 0, np.sqrt(q0), 0.0),
        spurious.mu,
        _pull(spurious.mu, plain.twice_nll - spurious.twice_nll),
        np.maximum(plain.twice_nll, 0.0),
        transfer * (passing + failing) / (1.0 + transfer),
    )


class _Point:
    """The fits of one working point."""

    def __init__(
        self,
        nominal: Spectra,
        draws: Spectra,
        singles: Spectra,
        scale: float,
        how: MassFitSettings,
        seed: int,
        number: int,
    ) -> None:
        self.nominal, self.draws, self.singles = nominal, draws, singles
        self.scale, self.how, self.seed, self.number = scale, how, seed, number

    def _usable(self) -> bool:
        here = self.nominal
        simulated = self.scale * min(here.passing.sum(), here.failing.sum())
        return bool(
            simulated >= self.how.least_jets - 0.5
            and here.signal_passing.sum() > 0
            and len(self.draws.passing) >= 2
        )

    def entry(self, point: float) -> dict[str, Any]:
        here = self.nominal
        if not self._usable():
            return {"signal_efficiency": point, "orders": None}
        truth = orders_of(here, self.scale, self.how)
        passing, failing = smooth_background(here, self.scale, truth)
        replicas = smooth_background(self.draws, self.scale, truth)
        fits = range(self.how.largest_order + 1)
        found = [expectation(here, passing, failing, order) for order in fits]
        spread = [expectation(self.draws, *replicas, order) for order in fits]
        toys = self._toys(passing, failing)
        chances = [misfit_probability(float(one.misfit[0]), order, truth.efficiency)
                   for order, one in zip(fits, found, strict=True)]  # fmt: skip
        return {
            "signal_efficiency": point,
            "expected": {
                "signal": float(here.signal_passing.sum()),
                "background": float(passing.sum()),
            },
            "truth_orders": {"spectrum": truth.spectrum, "efficiency": truth.efficiency},
            "order": self._chosen(chances),
            "orders": [
                {
                    **_of_order(order, one, drawn, fitted),
                    "misfit_probability": chance,
                    "describes": chance > self.how.level,
                }
                for order, one, drawn, fitted, chance in zip(
                    fits, found, spread, toys, chances, strict=True
                )
            ],
            "seeds": self._seeds(truth, self._chosen(chances)),
            "spectra": {
                "simulated": here.passing[0].tolist(),
                "passing": passing[0].tolist(),
                "failing": failing[0].tolist(),
                "signal": here.signal_passing[0].tolist(),
                "fitted": [one.background[0].tolist() for one in found],
            },
        }

    def _chosen(self, chances: Sequence[float]) -> int:
        """Lowest order that describes the expected background; the largest where none does."""
        if self.how.order is not None:
            return self.how.order
        good = (order for order, chance in enumerate(chances) if chance > self.how.level)
        return next(good, self.how.largest_order)

    def _toys(self, passing: Array, failing: Array) -> list[dict[str, Any]]:
        """Fits of each order to the same background-only toys."""
        random = stream(self.seed, "mass toys", self.number)
        shape = (self.how.toys, passing.shape[1])
        above = random.poisson(np.broadcast_to(passing, shape)).astype(float)
        below = random.poisson(np.broadcast_to(failing, shape)).astype(float)
        templates = self.nominal.signal_passing, self.nominal.signal_failing
        return [
            toy_summary(above, below, *templates, order)
            for order in range(self.how.largest_order + 1)
        ]

    def _seeds(self, truth: Orders, order: int) -> dict[str, Any] | None:
        """Uncertainty of mu and spurious signal with the scores of single trainings."""
        if len(self.singles.passing) < 2:
            return None
        found = expectation(
            self.singles, *smooth_background(self.singles, self.scale, truth), order
        )
        return {
            name: {"mean": float(values.mean()), "deviation": float(values.std(ddof=1))}
            for name, values in (
                ("mu_uncertainty", found.uncertainty),
                ("significance", found.significance),
                ("bias", found.bias),
            )
        }


def misfit_probability(misfit: float, order: int, truth: int) -> float:
    """Chi-squared probability of a misfit, for the orders that a fit has less than the truth."""
    return float(stats.chi2.sf(misfit, max(truth - order, 1)))


def _of_order(
    order: int, nominal: Expectation, spread: Expectation, toys: dict[str, Any]
) -> dict[str, Any]:
    values: Mapping[str, tuple[Array, Array]] = {
        "mu_uncertainty": (nominal.uncertainty, spread.uncertainty),
        "significance": (nominal.significance, spread.significance),
        "bias": (nominal.bias, spread.bias),
        "pull": (nominal.pull, spread.pull),
        "misfit": (nominal.misfit, spread.misfit),
        "total": (
            np.hypot(nominal.uncertainty, nominal.bias),
            np.hypot(spread.uncertainty, spread.bias),
        ),
    }
    return {
        "order": order,
        **{
            name: {"value": float(value[0]), "deviation": half_interval(draws)}
            for name, (value, draws) in values.items()
        },
        "toys": toys,
    }


def half_interval(draws: Array) -> float:
    """Half of the central 68 % interval of replicas, which a few wild fits do not move."""
    low, high = np.quantile(draws, [0.16, 0.84])
    return float(0.5 * (high - low))


def _pull(away: Array, gain: Array) -> Array:
    """Square root of twice the gain in likelihood, with the sign of the difference."""
    return np.asarray(np.sign(away) * np.sqrt(np.maximum(gain, 0.0)))


def toy_summary(
    passing: Array,
    failing: Array,
    signal_passing: Array,
    signal_failing: Array,
    order: int,
    *,
    truth: float = 0.0,
) -> dict[str, Any]:
    """Fit toys of a signal strength `truth`, with arguments as of `mass_fit.fit`.

    The pull is the square root of twice the gain in likelihood over `truth`, with the sign of the
    difference: (mu - truth) / uncertainty where the likelihood is a parabola, and still close to a
    standard normal distribution (S. Wilks, 1938) where it is none.

    Returns
    -------
    dict
        Mean of mu - `truth` and of the pull, and width of the pull, with statistical errors;
        numbers of fits that converged and that did not.
    """
    arguments = passing, failing, signal_passing, signal_failing, order
    free, held = fit(*arguments), fit(*arguments, mu=truth)
    good = free.converged & held.converged
    number = int(good.sum())
    summary: dict[str, Any] = {"number": number, "failed": int((~good).sum())}
    if number < 2:
        return {**summary, "mu": None, "pull": None, "width": None}
    away = free.mu[good] - truth
    pull = _pull(away, (held.twice_nll - free.twice_nll)[good])
    width = float(pull.std(ddof=1))
    return {
        **summary,
        "mu": {
            "value": float(away.mean()),
            "deviation": float(away.std(ddof=1) / np.sqrt(number)),
        },
        "pull": {"value": float(pull.mean()), "deviation": width / float(np.sqrt(number))},
        "width": {"value": width, "deviation": width / float(np.sqrt(2.0 * (number - 1)))},
    }
