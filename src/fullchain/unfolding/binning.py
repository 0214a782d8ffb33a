"""Bins of the observables: those in which methods are compared, and those that are published."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from fullchain.unfolding.observable_settings import ObservableSettings

Array = npt.NDArray[np.float64]

Binning = Literal["metric", "published"]

METRIC: Binning = "metric"
PUBLISHED: Binning = "published"
BINNINGS: tuple[Binning, ...] = (METRIC, PUBLISHED)

MERGED = 4
FEWEST = 10


def edges_of(observable: ObservableSettings, binning: Binning) -> Array:
    """Edges of the bins of an observable, (bins + 1), rising.

    Parameters
    ----------
    observable
        Its settings.
    binning
        `metric`: equal bins from `low` to `high`. `published`: the `edges` that are given; without,
        a quarter of the number of the equal bins, at least ten, each of whole equal bins: where
        their number cannot be divided, widths differ by one of them, and bins of an integer hold
        whole numbers.

    Examples
    --------
    >>> edges_of(ObservableSettings(label="n", low=0, high=20, bins=20), "published").tolist()
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0]
    """
    equal = np.linspace(observable.low, observable.high, observable.bins + 1)
    if binning == METRIC:
        return equal
    if binning != PUBLISHED:
        raise ValueError(f"binning must be one of {', '.join(BINNINGS)}, not {binning!r}")
    if observable.edges is not None:
        return np.array(observable.edges, dtype=float)
    number = min(max(FEWEST, observable.bins // MERGED), observable.bins)
    return equal[np.round(np.linspace(0, observable.bins, number + 1)).astype(int)]


def counted(values: Array, weight: Array, observable: ObservableSettings) -> list[float]:
    """Sum weights (n) of values (n) in the bins of the comparison, for JSON."""
    counts, _ = np.histogram(values, edges_of(observable, METRIC), weights=weight)
    return [float(count) for count in counts]
