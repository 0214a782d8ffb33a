"""Observables of the control histograms, and the numbers drawn from jets."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fullchain.jets.arrays import Array
from fullchain.seeds import stream


@dataclass(frozen=True)
class Observable:
    """A column of the table of jets and its binning.

    `title` is in the mathematical notation of matplotlib.
    """

    name: str
    bins: int
    low: float
    high: float
    title: str
    unit: str = ""

    @property
    def edges(self) -> Array:
        """(bins + 1) edges of the bins."""
        return np.linspace(self.low, self.high, self.bins + 1)

    @property
    def axis_title(self) -> str:
        """Title with unit."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title


_SHAPES = (
    Observable("eta", 24, -2.5, 2.5, r"$\eta$"),
    Observable("mass", 50, 0, 250, "mass", "GeV"),
    Observable("msoftdrop", 50, 0, 250, "soft-drop mass", "GeV"),
    Observable("tau21", 30, 0, 1.2, r"$\tau_{21}$"),
    Observable("tau32", 30, 0, 1.2, r"$\tau_{32}$"),
    Observable("d2", 30, 0, 12, "$D_2$"),
    Observable("n2", 30, 0, 0.6, "$N_2$"),
    Observable("n_constituents", 30, 0, 150, "constituents"),
    Observable("chf", 24, 0, 1, "charged-hadron fraction"),
    Observable("nhf", 24, 0, 1, "neutral-hadron fraction"),
    Observable("phf", 24, 0, 1, "photon fraction"),
    Observable("response", 40, 0.7, 1.3, r"$p_T / p_T^\mathrm{particle}$"),
)


def observables(pt_min: float, pt_max: float) -> tuple[Observable, ...]:
    """Give all observables; that in pT spans the window [GeV] of the selection."""
    return (Observable("pt", 40, pt_min, pt_max, r"$p_T$", "GeV"), *_SHAPES)


AXIS_TITLES = {o.name: o.axis_title for o in observables(0.0, 1.0)}
"""Title of each observable's axis, by name."""

LUND_X = Observable("ln_radius_over_delta", 24, 0, 6, r"$\ln(R/\Delta)$")
LUND_Y = Observable("ln_kt", 28, -2, 5, r"$\ln(k_T/\mathrm{GeV})$")


def weighted_mean(values: Array, weights: Array) -> float:
    """Give the mean."""
    return float(np.sum(values * weights) / np.sum(weights))


def weighted_median(values: Array, weights: Array) -> float:
    """Give the smallest value with half of the weight at or below it."""
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weights[order])
    place = np.searchsorted(cumulated, 0.5 * cumulated[-1])
    return float(values[order][min(place, len(values) - 1)])


def weighted_width(values: Array, weights: Array) -> float:
    """Give half the distance of the 16 % and 84 % quantiles: the width of the core."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) / np.sum(weights)
    places = np.minimum(np.searchsorted(share, [0.16, 0.84]), len(values) - 1)
    low, high = values[order][places]
    return float(0.5 * (high - low))


def bootstrap(
    statistic: Callable[[Array, Array], float],
    values: Array,
    weights: Array,
    events: Array,
    replicas: int,
    seed: int,
    *keys: str | int,
) -> tuple[float, float]:
    """Give a statistic of weighted values and its standard deviation.

    Whole events are drawn, because the two jets of an event are not independent: in each replica an
    event counts as often as a Poisson number with mean 1 says.

    Parameters
    ----------
    events
        (n) number of the event of each value; equal numbers mark the same event.
    keys
        What the random numbers are for, see `fullchain.seeds.stream`.
    """
    random = stream(seed, *keys)
    _, event = np.unique(events, return_inverse=True)
    n_events = int(event.max()) + 1 if len(event) else 0
    results = []
    for _ in range(replicas):
        drawn = weights * random.poisson(1.0, n_events)[event]
        if np.sum(drawn) > 0:
            results.append(statistic(values, drawn))
    return statistic(values, weights), float(np.std(results))
