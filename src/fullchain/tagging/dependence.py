"""How the efficiencies of a fixed cut depend on other quantities of the jets."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.tagging.performance import Sample, effective_number, wilson

Array = npt.NDArray[np.float64]


def efficiencies(
    jets: Sample,
    columns: Mapping[str, npt.NDArray[Any]],
    bins: Mapping[str, Sequence[float]],
    thresholds: Mapping[float, float],
) -> dict[str, Any]:
    """Efficiency of signal and background in bins of columns of the jets, for JSON.

    Parameters
    ----------
    jets
        Jets with their score.
    columns
        Quantities of these jets, each (jets,).
    bins
        Edges of the bins of each of them.
    thresholds
        Cut on the score for each working point, by its signal efficiency.

    Returns
    -------
    dict
        By column: `edges`, and for each working point a list of bins for `signal` and `background`,
        each with value and Wilson's interval (68 %) for the effective number of jets; None for a
        bin without jets.
    """
    found = {}
    for name, edges in bins.items():
        index = np.searchsorted(edges, columns[name], side="right") - 1
        index[~np.isfinite(columns[name]) | (columns[name] >= edges[-1])] = -1
        found[name] = {
            "edges": list(edges),
            "working_points": [
                {
                    "signal_efficiency": point,
                    "threshold": threshold,
                    "signal": _in_bins(jets, jets.is_signal, index, len(edges) - 1, threshold),
                    "background": _in_bins(jets, ~jets.is_signal, index, len(edges) - 1, threshold),
                }
                for point, threshold in thresholds.items()
            ],
        }
    return found


def _in_bins(
    jets: Sample,
    side: npt.NDArray[np.bool_],
    index: npt.NDArray[np.intp],
    bins: int,
    threshold: float,
) -> list[dict[str, float] | None]:
    rows: list[dict[str, float] | None] = []
    for number in range(bins):
        here = side & (index == number)
        weight = jets.weight[here]
        # Signed weights may cancel: there is no efficiency then.
        if not weight.sum() > 0:
            rows.append(None)
            continue
        value = float(weight[jets.score[here] >= threshold].sum() / weight.sum())
        low, high = wilson(np.array([value]), np.array([effective_number(weight)]))
        rows.append({"value": value, "low": float(low[0]), "high": float(high[0])})
    return rows
