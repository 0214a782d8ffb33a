"""How columns of jets depend on each other and on the class, with bootstrap errors over events."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fullchain.learning import roc
from fullchain.learning.bootstrap import event_factors
from fullchain.learning.distance_correlation import distance_correlations
from fullchain.seeds import stream

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]


def deviation(replicas: list[Any]) -> Array:
    """Standard deviation over replicas of numbers or arrays; NaN where none says anything."""
    found = np.array(replicas, dtype=float)
    said = np.isfinite(found).sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean = np.where(said > 0, np.nansum(found, axis=0) / np.maximum(said, 1), np.nan)
        spread = np.nansum((found - mean) ** 2, axis=0) / np.maximum(said - 1, 1)
    return np.asarray(np.where(said > 1, np.sqrt(spread), np.nan))


def correlations(
    left: Array, right: Array, weight: Array, event: Integers, *, replicas: int, seed: int
) -> dict[str, Any]:
    """Linear and rank correlation of each column of `left` with each of `right`, for JSON.

    Parameters
    ----------
    left, right
        Shapes (jets, m) and (jets, k).
    weight, event
        Weights, not negative, and numbers of the events from 0, each (jets,).
    replicas, seed
        Of the bootstrap over events.

    Returns
    -------
        `pearson` and `spearman`, each a `value` and a `deviation` of shape (m, k); None where a
        column does not vary.
    """
    both = np.concatenate([left, right], axis=1)
    ranks = [_Ranks(column) for column in both.T]
    linear, rank = [], []
    for factor in [np.ones(len(both)), *event_factors(event, replicas, seed)]:
        drawn = weight * factor
        linear.append(_pearson(both, drawn, left.shape[1]))
        places = np.stack([one.of(drawn) for one in ranks], axis=1)
        rank.append(_pearson(places, drawn, left.shape[1]))
    return {
        name: {"value": plain(found[0]), "deviation": plain(deviation(found[1:]))}
        for name, found in (("pearson", linear), ("spearman", rank))
    }


def distance_correlation_table(
    left: Array, right: Array, event: Integers, *, replicas: int, seed: int
) -> dict[str, Any]:
    """Distance correlation (not its square) of columns, for JSON; rows count the same.

    Shapes are those of `correlations`. `if_independent` is the mean of what permuted rows give: the
    estimate is positive for independent variables, too. The time is that of all pairs of jets.
    """
    both = torch.from_numpy(np.concatenate([left, right], axis=1))
    number = left.shape[1]

    def table(values: torch.Tensor, weight: torch.Tensor | None = None) -> Array:
        found = distance_correlations(values, weight)[:number, number:]
        return found.clamp(min=0.0).sqrt().numpy()

    found = [
        table(both, torch.from_numpy(factor)) for factor in event_factors(event, replicas, seed)
    ]
    order = torch.from_numpy(stream(seed, "permuted").permutation(len(both)))
    permuted = torch.cat([both[order, :number], both[:, number:]], dim=1)
    return {
        "value": plain(table(both)),
        "deviation": plain(deviation(found)),
        "if_independent": float(table(permuted).mean()),
    }


def separation(
    values: Array,
    is_signal: npt.NDArray[np.bool_],
    weight: Array,
    event: Integers,
    *,
    replicas: int,
    seed: int,
) -> dict[str, Any]:
    """Area under the ROC curve of one column, in the direction in which it is above one half.

    Returns `value`, `deviation` and whether `signal_is_higher`, for JSON.
    """
    rows = roc.Sorted(values, is_signal, weight)
    area = roc.area(rows.curve())
    found = []
    for factor in event_factors(event, replicas, seed):
        try:
            found.append(roc.area(rows.curve(factor[rows.order])))
        except ValueError:
            # A replica without one of the classes says nothing.
            continue
    higher = area >= 0.5
    return {
        "value": area if higher else 1.0 - area,
        "deviation": float(np.std(found, ddof=1)) if len(found) > 1 else 0.0,
        "signal_is_higher": bool(higher),
    }


def weighted_covariance(values: Array, weight: Array) -> tuple[Array, Array]:
    """Mean (columns,) and covariance (columns, columns) of rows of `values`."""
    part = weight / weight.sum()
    mean = part @ values
    centred = values - mean
    return mean, (centred * part[:, None]).T @ centred


def plain(values: Array) -> Any:
    """Nested lists of numbers, None where there is none."""
    if np.ndim(values) == 0:
        return float(values) if np.isfinite(values) else None
    return [plain(row) for row in values]


def _pearson(values: Array, weight: Array, number: int) -> Array:
    _, covariance = weighted_covariance(values, weight)
    scale = np.sqrt(np.clip(covariance.diagonal(), 0.0, None))
    # Rounding leaves a trace of variance in a column that does not vary.
    size = np.abs(values).max(axis=0)
    scale = np.where(scale > 1e-9 * np.maximum(size, 1e-300), scale, np.nan)
    return np.asarray((covariance / np.outer(scale, scale))[:number, number:])


class _Ranks:
    """Places of values in weighted order, equal values sharing the middle of theirs."""

    def __init__(self, values: Array) -> None:
        _, self.group = np.unique(values, return_inverse=True)
        self.groups = int(self.group.max()) + 1

    def of(self, weight: Array) -> Array:
        own = np.bincount(self.group, weight, self.groups)
        return np.asarray((np.cumsum(own) - 0.5 * own)[self.group])
