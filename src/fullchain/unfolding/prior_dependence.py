"""How far a binned result would be elsewhere, had the iterations begun with another prior.

Few iterations leave part of the prior in the result, and no replica shows it. The result from a
flat prior (or, where that is the prior of the method, from the simulated one) with as many
iterations says how large that part may be, in units of the error of the result.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fullchain.unfolding.sample import Array, Flags

OTHER = {"simulation": "flat", "flat": "simulation"}
"""For each prior the one that it is compared with."""


def record(
    prior: str,
    counts: Array,
    other: Array,
    replicas: Mapping[str, Array],
    of_other: Mapping[str, Array],
) -> dict[str, Any]:
    """Compare results with two priors.

    Parameters
    ----------
    prior
        Name of the other prior.
    counts, other
        (bins, ...) with the prior of the method, and with the other one; flattened in the record.
    replicas, of_other
        (replicas, bins, ...) of both for each source, with the same factors on the events.

    Returns
    -------
    dict
        `changes`: (bins) other less own result over the standard deviation of the own, with
        `deviations` over the replicas; None in bins without a deviation. `rms`: root mean square of
        the changes, with its deviation; None where there is no replica or no such bin.
    """
    counts, other = counts.ravel(), other.ravel()
    replicas, of_other = (
        {source: one.reshape(len(one), -1) for source, one in several.items()}
        for several in (replicas, of_other)
    )
    found: dict[str, Any] = {"prior": prior, "counts": other.tolist(), "rms": None}
    sigma = np.sqrt(_variances(replicas, len(counts)))
    shown = sigma > 0
    if not shown.any():
        return found
    apart = {source: (of_other[source] - own)[:, shown] for source, own in replicas.items()}
    changes = ((other - counts)[shown]) / sigma[shown]
    drawn = {source: one / sigma[shown] for source, one in apart.items()}
    errors = np.sqrt(_variances(drawn, int(shown.sum())))
    roots = {source: _root_mean_square(one)[:, None] for source, one in drawn.items()}
    return {
        **found,
        "changes": _in_bins(changes, shown),
        "deviations": _in_bins(errors, shown),
        "rms": {
            "value": float(_root_mean_square(changes)),
            "deviation": float(np.sqrt(_variances(roots, 1))[0]),
            "bins": int(shown.sum()),
        },
    }


def _variances(replicas: Mapping[str, Array], bins: int) -> Array:
    """Sum over the sources of the variances over replicas, (bins)."""
    parts = [several.var(axis=0, ddof=1) for several in replicas.values() if len(several) > 1]
    total: Array = np.sum([np.zeros(bins), *parts], axis=0)
    return total


def _root_mean_square(values: Array) -> Array:
    result: Array = np.sqrt((values**2).mean(axis=-1))
    return result


def _in_bins(values: Array, shown: Flags) -> list[float | None]:
    found: list[float | None] = [None] * len(shown)
    for place, value in zip(np.flatnonzero(shown), values, strict=True):
        found[place] = float(value)
    return found
