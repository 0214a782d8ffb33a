"""How much a cut on the score changes the shape of the background in the mass, and other columns.

Of each cut: the divergence of passing and failing jets, the largest relative deviation of the
efficiency in bins of equal occupancy from that of all, and chi-squared of a flat efficiency there.
The first two are above zero for any finite sample, and stand beside what random cuts of the same
size give.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from fullchain.decorrelation.divergence import Divergence, jensen_shannon
from fullchain.decorrelation.spectra import bin_numbers, check_varies
from fullchain.learning import roc
from fullchain.learning.bootstrap import event_factors
from fullchain.seeds import stream
from fullchain.tagging.performance import Sample, effective_number

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Background:
    """A column of the background jets, in the bins that shapes are compared in.

    Parameters
    ----------
    values, weight
        Of the background jets, (jets,).
    window
        Range of the values.
    fine, coarse
        Equal bins of the divergence, and bins of equal occupancy of the efficiencies.
    name
        Name of the column, for errors.

    Raises
    ------
    InputError
        The column has one value only.
    """

    def __init__(
        self,
        values: Array,
        weight: Array,
        window: tuple[float, float],
        *,
        fine: int,
        coarse: int,
        name: str,
    ) -> None:
        check_varies(name, values)
        self.weight = weight
        self.fine = bin_numbers(values, np.linspace(*window, fine + 1))
        edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, coarse + 1)))
        self.coarse_edges = edges
        self.coarse = bin_numbers(values, edges)
        self.bins = fine, len(edges) - 1

    def divergence(self, passing: Mask, factor: Array | float = 1.0) -> float:
        """Divergence [bits] of the jets that pass and those that fail; NaN where there are none."""
        weight = self.weight * factor
        above = np.bincount(self.fine, weight * passing, self.bins[0])
        below = np.bincount(self.fine, weight * ~passing, self.bins[0])
        return float(jensen_shannon(above, below))

    def largest_deviation(self, passing: Mask, factor: Array | float = 1.0) -> float:
        """Largest |efficiency in a bin / efficiency - 1|; NaN where nothing passes."""
        weight = self.weight * factor
        total = np.bincount(self.coarse, weight, self.bins[1])
        part = np.bincount(self.coarse, weight * passing, self.bins[1])
        if not (part.sum() > 0 and total.sum() > 0):
            return float("nan")
        efficiency = np.divide(part, total, out=np.full(self.bins[1], np.nan), where=total > 0)
        return float(np.nanmax(np.abs(efficiency / (part.sum() / total.sum()) - 1.0)))

    def sparse(self, passing: Mask) -> bool:
        """Tell whether the effective number of jets on one side is below that of fine bins."""
        numbers = [effective_number(self.weight[side]) for side in (passing, ~passing)]
        return min(numbers) < self.bins[0]

    def flatness(self, passing: Mask) -> dict[str, float]:
        """Chi-squared of the efficiency being the same in all bins, for effective numbers."""
        total = np.bincount(self.coarse, self.weight, self.bins[1])
        squares = np.bincount(self.coarse, self.weight**2, self.bins[1])
        part = np.bincount(self.coarse, self.weight * passing, self.bins[1])
        common = part.sum() / total.sum()
        filled = (total > 0) & (squares > 0)
        number = total[filled] ** 2 / squares[filled]
        away = part[filled] / total[filled] - common
        chi_squared = float((away**2 * number).sum() / (common * (1.0 - common)))
        freedom = int(filled.sum()) - 1
        return {
            "chi_squared": chi_squared,
            "degrees_of_freedom": freedom,
            "p_value": float(stats.chi2.sf(chi_squared, freedom)),
        }


def measure(
    jets: Sample,
    columns: Mapping[str, Array],
    windows: Mapping[str, tuple[float, float]],
    points: Sequence[float],
    *,
    fine: int,
    coarse: int,
    replicas: int,
    random_cuts: int,
    seed: int,
) -> dict[str, list[dict[str, Any]]]:
    """Measure the sculpting of cuts at given signal efficiencies, for JSON.

    Parameters
    ----------
    jets
        Signal and background with their score.
    columns
        Columns of these jets by name, (jets,).
    windows
        Range of each column.
    points
        Signal efficiencies of the cuts.
    fine, coarse
        As of `Background`.
    replicas, random_cuts
        Numbers of bootstrap replicas (the cut is set in each anew) and of random cuts.

    Returns
    -------
    dict
        By column, an entry for each working point; only its efficiency, and None as `jsd`, where no
        background jet passes or none fails.
    """
    side = ~jets.is_signal
    tables = {
        name: Background(
            values[side], jets.weight[side], windows[name], fine=fine, coarse=coarse, name=name
        )
        for name, values in columns.items()
    }
    cuts = passing_background(jets, points)
    draws = _replicas(jets, tables, points, replicas, seed)
    return {
        name: [
            _entry(table, point, cut, draws[name][:, k], random_cuts, seed)
            for k, (point, cut) in enumerate(zip(points, cuts, strict=True))
        ]
        for name, table in tables.items()
    }


def passing_background(jets: Sample, points: Sequence[float]) -> list[Mask]:
    """Which background jets pass the cuts of given signal efficiencies."""
    curve = roc.roc_curve(jets.score, jets.is_signal, jets.weight)
    score = jets.score[~jets.is_signal]
    return [score >= roc.threshold(curve, point) for point in points]


def divergences(
    jets: Sample,
    columns: Mapping[str, Array],
    windows: Mapping[str, tuple[float, float]],
    points: Sequence[float],
    *,
    fine: int,
) -> dict[str, list[float]]:
    """Divergence [bits] at each working point, by column, without uncertainties."""
    side = ~jets.is_signal
    cuts = passing_background(jets, points)
    found = {}
    for name, values in columns.items():
        table = Background(
            values[side], jets.weight[side], windows[name], fine=fine, coarse=2, name=name
        )
        found[name] = [table.divergence(cut) for cut in cuts]
    return found


def _replicas(
    jets: Sample,
    tables: Mapping[str, Background],
    points: Sequence[float],
    replicas: int,
    seed: int,
) -> dict[str, Array]:
    """Divergence and largest deviation in each replica: (replicas, points, 2) by column."""
    rows = roc.Sorted(jets.score, jets.is_signal, jets.weight)
    side = ~jets.is_signal
    score = jets.score[side]
    found = {name: np.full((replicas, len(points), 2), np.nan) for name in tables}
    for number, factor in enumerate(event_factors(jets.event, replicas, seed)):
        try:
            curve = rows.curve(factor[rows.order])
        except ValueError:
            # A replica without one of the classes says nothing.
            continue
        mine = factor[side]
        for k, point in enumerate(points):
            passing = score >= roc.threshold(curve, point)
            for name, table in tables.items():
                found[name][number, k] = (
                    table.divergence(passing, mine),
                    table.largest_deviation(passing, mine),
                )
    return found


def _entry(
    table: Background, point: float, passing: Mask, draws: Array, random_cuts: int, seed: int
) -> dict[str, Any]:
    number = int(passing.sum())
    entry: dict[str, Any] = {"signal_efficiency": point, "passing": number, "jets": len(passing)}
    value = table.divergence(passing)
    usable = np.isfinite(draws).all(axis=1).sum() >= 2
    if not (np.isfinite(value) and value > 0 and usable):
        return {**entry, "jsd": None}
    random = np.empty((random_cuts, 2))
    for k in range(random_cuts):
        taken = np.zeros(len(passing), dtype=bool)
        # The same cuts for all classifiers that let as many jets pass.
        taken[stream(seed, "random cuts", k).permutation(len(passing))[:number]] = True
        random[k] = table.divergence(taken), table.largest_deviation(taken)
    return {
        **entry,
        **Divergence(value, draws[:, 0], random[:, 0], table.sparse(passing)).summary(),
        "largest_deviation": {
            "value": table.largest_deviation(passing),
            "deviation": float(np.nanstd(draws[:, 1], ddof=1)),
            "floor": float(random[:, 1].mean()),
            "floor_deviation": float(random[:, 1].std(ddof=1)),
        },
        "flatness": table.flatness(passing),
    }
