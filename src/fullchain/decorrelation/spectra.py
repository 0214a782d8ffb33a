"""Shapes of the mass, and of other columns, before cuts on the score and after them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning import roc
from fullchain.tagging.performance import Sample

Array = npt.NDArray[np.float64]


def bin_numbers(values: Array, edges: Array) -> npt.NDArray[np.intp]:
    """Number the bin of each value, (values,), from 0; what lies outside is in the outermost ones.

    Examples
    --------
    >>> bin_numbers(np.array([-1.0, 0.0, 0.5, 1.0]), np.array([0.0, 0.5, 1.0])).tolist()
    [0, 0, 1, 1]
    """
    return np.searchsorted(edges[1:-1], values, side="right")


def check_varies(name: str, values: Array) -> None:
    """Raise InputError where a column is not finite, or has one value for all background jets."""
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise InputError(
            f"column {name}: {bad} jets have no finite value; leave them out by a range in "
            f"the selection of the tagger, or take {name} out of decorrelation.against"
        )
    if len(values) and values.min() == values.max():
        raise InputError(
            f"column {name} is {values[0]:g} for all {len(values)} background jets that are "
            "measured: a score cannot depend on a constant; name another column in "
            "decorrelation.against, or widen its range in the selection of the tagger"
        )


def windows(
    columns: Mapping[str, Array], given: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Range of each column: that which is given, else from its least to its largest value.

    Raises InputError as `check_varies`.
    """
    found = {}
    for name, values in columns.items():
        check_varies(name, values)
        low, high = given.get(name, (float(values.min()), float(values.max())))
        found[name] = (float(low), float(high))
    return found


def shapes(
    jets: Sample,
    values: Array,
    window: tuple[float, float],
    bins: int,
    points: Sequence[float],
) -> dict[str, Any]:
    """Histograms of a column before any cut and after cuts at signal efficiencies, for JSON.

    Parameters
    ----------
    jets, values
        Jets with their score, and the column, (jets,).
    window, bins
        Range of the histograms, and number of equal bins.

    Returns
    -------
    dict
        `edges`, and for `signal` and `background` a list: before the cuts (efficiency None), and
        after each, with `content` of sum one and its `deviation`; both None where nothing passes.
    """
    curve = roc.roc_curve(jets.score, jets.is_signal, jets.weight)
    cuts = [(None, -np.inf), *((point, roc.threshold(curve, point)) for point in points)]
    edges = np.linspace(*window, bins + 1)
    index = bin_numbers(values, edges)
    found: dict[str, Any] = {"edges": edges.tolist()}
    for name, side in (("signal", jets.is_signal), ("background", ~jets.is_signal)):
        found[name] = []
        for point, threshold in cuts:
            chosen = side & (jets.score >= threshold)
            weight = jets.weight[chosen]
            content = np.bincount(index[chosen], weight, bins)
            squares = np.bincount(index[chosen], weight**2, bins)
            total = content.sum()
            found[name].append(
                {
                    "signal_efficiency": point,
                    "jets": int(chosen.sum()),
                    "content": (content / total).tolist() if total > 0 else None,
                    "deviation": (np.sqrt(squares) / total).tolist() if total > 0 else None,
                }
            )
    return found
