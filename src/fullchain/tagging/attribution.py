"""Which observables a score rests on: Shapley values, one by one and in groups, and permutations.

A Shapley value shares the difference between the log-odds of a jet and their mean among the
observables (Lundberg and Lee, 1705.07874: their kernel method, of their package `shap`). An
observable is left out by taking it from a background jet **as if it did not depend on the others**.
For observables that do, this asks
the classifier about jets that do not exist, and shares out between them what they all know: the
numbers of single observables then say little. Beside them stand, therefore, values of groups of
correlated observables that are left out together, and what permuting one observable, or all of a
group together, costs in area under the ROC curve.
"""

from collections.abc import Callable, Mapping, Sequence
from math import factorial
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.learning import roc
from fullchain.learning.bootstrap import event_factors
from fullchain.seeds import derive, stream
from fullchain.tagging.association import Array, Integers, deviation, plain

Function = Callable[[Array], Array]
"""From observables (jets, observables) to log-odds of the signal (jets,)."""


def shapley_values(
    function: Function, jets: Array, background: Array, *, coalitions: int, seed: int
) -> tuple[Array, float]:
    """Shapley values of single observables.

    Parameters
    ----------
    function
        What is explained.
    jets
        Observables of the jets to explain, (jets, observables).
    background
        Observables of jets that stand in for what is left out, (background, observables).
    coalitions
        Sets of known observables that are evaluated for a jet; where there are no more than these,
        all are, and the values are exact.
    seed
        Of the choice of the sets.

    Returns
    -------
    values
        (jets, observables).
    base
        Mean log-odds of the background: with it, the values of a jet add up to its log-odds.
    """
    # Here, because importing it takes seconds.
    import shap

    before = np.random.get_state()  # noqa: NPY002
    # The package draws from numpy's global generator, and has no other way to be seeded.
    np.random.seed(derive(seed, "shap"))  # noqa: NPY002
    try:
        explainer = shap.KernelExplainer(function, background)
        found = explainer.shap_values(jets, nsamples=coalitions, l1_reg=False, silent=True)
        base = float(explainer.expected_value)
    finally:
        np.random.set_state(before)  # noqa: NPY002
    return np.asarray(found, dtype=float), base


def grouped_values(
    function: Function, jets: Array, background: Array, groups: Sequence[Sequence[int]]
) -> Array:
    """Exact Shapley values of groups of observables that are left out together, (jets, groups).

    All 2^groups combinations are evaluated on each background jet.
    """
    number = len(groups)
    member = np.zeros((number, jets.shape[1]), dtype=bool)
    for place, group in enumerate(groups):
        member[place, list(group)] = True
    worth = np.empty((2**number, len(jets)))
    for coalition in range(2**number):
        inside = [place for place in range(number) if coalition >> place & 1]
        known = member[inside].any(axis=0)
        mixed = np.where(known, jets[:, None, :], background[None, :, :])
        flat = function(mixed.reshape(-1, jets.shape[1]))
        worth[coalition] = flat.reshape(len(jets), len(background)).mean(axis=1)
    values = np.zeros((len(jets), number))
    for place in range(number):
        for coalition in range(2**number):
            if coalition >> place & 1:
                continue
            size = coalition.bit_count()
            share = factorial(size) * factorial(number - size - 1) / factorial(number)
            values[:, place] += share * (worth[coalition | 1 << place] - worth[coalition])
    return values


def correlated_groups(spearman: Array, threshold: float, most: int) -> list[tuple[int, ...]]:
    """Group observables by their rank correlation (observables, observables), in their order.

    Clusters are joined as long as the mean correlation between them, without its sign, is at least
    `threshold`, or there are more than `most`.
    """
    groups: list[tuple[int, ...]] = [(place,) for place in range(len(spearman))]
    size = np.nan_to_num(np.abs(spearman))
    while len(groups) > 1:
        means = {
            (a, b): float(np.mean([size[i, j] for i in groups[a] for j in groups[b]]))
            for a in range(len(groups))
            for b in range(a + 1, len(groups))
        }
        (a, b), best = max(means.items(), key=lambda item: item[1])
        if best < threshold and len(groups) <= most:
            break
        groups[a] = tuple(sorted(groups[a] + groups[b]))
        del groups[b]
    return sorted(groups)


def mean_size(values: Array, event: Integers, *, replicas: int, seed: int) -> dict[str, Any]:
    """Mean of |values| (jets, n) over jets, with bootstrap errors over events, for JSON."""
    size = np.abs(values)
    found = [
        (factor @ size) / factor.sum()
        for factor in event_factors(event, replicas, seed)
        if factor.sum() > 0
    ]
    return {"value": plain(size.mean(axis=0)), "deviation": plain(deviation(found))}


def permutation_losses(
    function: Function,
    jets: Mapping[str, Any],
    groups: Sequence[Sequence[int]],
    *,
    replicas: int,
    seed: int,
) -> dict[str, Any]:
    """Fall of the area under the ROC curve when each group is permuted among the jets, for JSON.

    `jets` has `features` (jets, observables), `is_signal`, `weight` and `event`, each (jets,).
    """
    features: Array = jets["features"]
    curves = [_sorted(function(features), jets)]
    for place, group in enumerate(groups):
        order = stream(seed, "permute", place).permutation(len(features))
        changed = features.copy()
        changed[:, list(group)] = features[order][:, list(group)]
        curves.append(_sorted(function(changed), jets))

    def losses(factor: npt.NDArray[Any]) -> Array:
        areas = np.array([roc.area(rows.curve(factor[rows.order])) for rows in curves])
        return np.asarray(areas[0] - areas[1:])

    found = []
    for factor in event_factors(jets["event"], replicas, seed):
        try:
            found.append(losses(factor))
        except ValueError:
            # A replica without one of the classes says nothing.
            continue
    return {
        "value": plain(losses(np.ones(len(features)))),
        "deviation": plain(deviation(found)),
    }


def _sorted(score: Array, jets: Mapping[str, Any]) -> roc.Sorted:
    return roc.Sorted(score, jets["is_signal"], jets["weight"])
