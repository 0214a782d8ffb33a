"""Scores of the same jets before and after a change: differences with paired uncertainties."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning import roc
from fullchain.learning.bootstrap import event_factors

Array = npt.NDArray[np.float64]
Case = tuple[str, float]
"""Name and strength of a change."""

QUANTITIES = ("signal_efficiency", "background_efficiency")

NONE_SEEN = 1.14
"""Upper limit at 68 % CL on the mean of a Poisson distribution that gave zero, -ln 0.32."""


@dataclass(frozen=True)
class Compared:
    """Jets with their scores before and after each change.

    Parameters
    ----------
    is_signal, weight, event
        (jets,); events are numbered from 0.
    nominal
        (jets,) score before.
    changed
        (jets,) score of the same jets after each change.
    """

    is_signal: npt.NDArray[np.bool_]
    weight: Array
    event: npt.NDArray[np.intp]
    nominal: Array
    changed: Mapping[Case, Array]


def compare(
    jets: Compared, working_points: Sequence[float], replicas: int, seed: int
) -> dict[str, Any]:
    """Area and efficiencies of fixed cuts before and after, for JSON.

    The cuts are those of the working points of the jets before the change; they stay. Each replica
    of the bootstrap gives an event the same Poisson weight before and after, so that what the jets
    have in common is no uncertainty of the difference. Where no jet changes sides, or none passes,
    all replicas agree: the deviation is then the upper end of the 68 % interval for zero jets.

    Returns
    -------
    dict
        ``nominal``: area and working points (``threshold``, efficiencies). ``cases``: for each
        change the same, and what it is less the nominal one (``difference``); all with the
        standard deviation over the replicas. At a working point also the background efficiency
        over the nominal one (``background_ratio``), None where that is zero.

    Raises
    ------
    InputError
        Fewer than two replicas hold both classes with a positive sum of weights.
    """
    curve = roc.roc_curve(jets.nominal, jets.is_signal, jets.weight)
    cuts = [roc.threshold(curve, point) for point in working_points]
    before = _Measured(jets, jets.nominal, cuts)
    after = {case: _Measured(jets, score, cuts) for case, score in jets.changed.items()}
    events = int(jets.event.max()) + 1
    rows: list[Array] = []
    for factor in event_factors(jets.event, replicas, seed):
        try:
            rows.append(np.stack([one.values(factor) for one in (before, *after.values())]))
        except ValueError:
            # With a handful of events a replica may hold none of one class: it says nothing.
            continue
    if len(rows) < 2:
        raise InputError(
            f"of {replicas} replicas of the bootstrap over {events} events {len(rows)} hold "
            "signal and background with a positive sum of weights: raise "
            "tagging.robustness.max_jets, or make more events"
        )
    draws = np.stack(rows)
    nominal = before.values()
    cases = []
    for k, ((name, strength), one) in enumerate(after.items(), start=1):
        values, floor = one.values(), before.none_crosses(one)
        cases.append(
            {
                "perturbation": name,
                "strength": strength,
                **_shown(values, draws[:, k], working_points, cuts, one.none_passes()),
                "difference": _shown(
                    values - nominal, draws[:, k] - draws[:, 0], working_points, cuts, floor
                ),
                "background_ratio": [
                    _ratio(values, nominal, draws[:, k], draws[:, 0], place, least)
                    for place, least in zip(
                        range(2, 2 + 2 * len(cuts), 2),
                        np.maximum(floor, one.none_passes())[2::2],
                        strict=True,
                    )
                ],
            }
        )
    return {
        "nominal": _shown(nominal, draws[:, 0], working_points, cuts, before.none_passes()),
        "cases": cases,
    }


class _Measured:
    """Scores in falling order, and who passes the cuts: each replica is a few sums then."""

    def __init__(self, jets: Compared, score: Array, cuts: Sequence[float]) -> None:
        self.rows = roc.Sorted(score, jets.is_signal, jets.weight)
        self.jets = jets
        self.passing = np.stack([score >= cut for cut in cuts])

        weights = [jets.weight[side] for side in (jets.is_signal, ~jets.is_signal)]
        self.one_jet = [NONE_SEEN * float((one**2).sum() / one.sum() ** 2) for one in weights]

    def none_passes(self) -> Array:
        """Least deviation of the `values` where all or no jets pass, else zero."""
        return self._least(self.passing, constant=True)

    def none_crosses(self, other: "_Measured") -> Array:
        """Least deviation of the difference of the `values` where no jet changes sides."""
        return self._least(self.passing != other.passing, constant=False)

    def _least(self, marked: npt.NDArray[np.bool_], *, constant: bool) -> Array:
        found = [0.0]
        for row in marked:
            for side, least in zip(
                (self.jets.is_signal, ~self.jets.is_signal), self.one_jet, strict=True
            ):
                nothing = not row[side].any() or (constant and bool(row[side].all()))
                found.append(least if nothing else 0.0)
        return np.array(found)

    def values(self, factor: npt.NDArray[Any] | None = None) -> Array:
        """Area, then signal and background efficiency of each cut; `factor` (jets,) on weights."""
        weight = self.jets.weight if factor is None else self.jets.weight * factor
        ordered: npt.ArrayLike = 1.0 if factor is None else factor[self.rows.order]
        found = [roc.area(self.rows.curve(ordered))]
        signal = self.jets.is_signal
        for passing in self.passing:
            found += [
                weight[side & passing].sum() / weight[side].sum() for side in (signal, ~signal)
            ]
        return np.array(found)


def _shown(
    values: Array,
    draws: Array,
    working_points: Sequence[float],
    cuts: Sequence[float],
    least: Array,
) -> dict[str, Any]:
    spread = np.maximum(draws.std(axis=0, ddof=1), least)
    pairs = [
        {"value": float(value), "deviation": float(deviation)}
        for value, deviation in zip(values, spread, strict=True)
    ]
    return {
        "auc": pairs[0],
        "working_points": [
            {
                "signal_efficiency_nominal": point,
                "threshold": cut,
                **dict(zip(QUANTITIES, pairs[1 + 2 * k : 3 + 2 * k], strict=True)),
            }
            for k, (point, cut) in enumerate(zip(working_points, cuts, strict=True))
        ],
    }


def _ratio(
    after: Array, before: Array, draws_after: Array, draws_before: Array, place: int, least: float
) -> dict[str, float] | None:
    """Background efficiency after over before; None where none passed before."""
    filled = draws_before[:, place] > 0
    if before[place] <= 0 or filled.sum() < 2:
        return None
    ratios = draws_after[filled, place] / draws_before[filled, place]
    return {
        "value": float(after[place] / before[place]),
        "deviation": max(float(ratios.std(ddof=1)), least / float(before[place])),
    }
