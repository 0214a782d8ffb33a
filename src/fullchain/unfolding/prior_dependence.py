"""How far a result would be elsewhere, had the iterations begun with another prior.

Few iterations leave part of the prior in the result, and no replica shows it. Two tests say how
large that part may be, in units of the error of the result, both with as many iterations:

* in bins, the result from a flat prior (or, where that is the prior of the method, from the
  simulated one);
* for all methods, the result from an alternative simulation that is the same events with another
  spectrum at the particle level (a `stress`): the response is the same, and what changes is due to
  the prior alone. Experiments take such a change as an uncertainty of the unfolding.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fullchain.unfolding.measurement_settings import MeasurementSettings
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


def other_priors(measurement: MeasurementSettings) -> list[str]:
    """Names of the alternatives that are the simulated events with another particle level."""
    own = measurement.simulation
    found = []
    for name in measurement.alternatives:
        other = measurement.simulated(name)
        same = (set(other.samples), other.half) == (set(own.samples), own.half)
        if same and other.stress != own.stress:
            found.append(name)
    return found


def of_alternative(prior: str, change: Array, deviation: Array, network: Array) -> dict[str, Any]:
    """Compare with the result from an alternative that differs by its particle level.

    Parameters
    ----------
    prior
        Name of the alternative.
    change
        (bins) its result less that of the simulation.
    deviation
        (bins) standard deviation of the result.
    network
        (bins) part of it that trainings have; zeros for a method without, or with one training.

    Returns
    -------
    dict
        As `record`. `deviations` are those that trainings of both would have if they were
        independent; that of `rms` is of the jackknife over bins (B. Efron, 1982), for data and
        simulated events, which are the same in both, nearly cancel in the change.
    """
    found: dict[str, Any] = {"prior": prior, "rms": None}
    shown = deviation > 0
    if shown.sum() < 2:
        return found
    changes = change[shown] / deviation[shown]
    errors = np.sqrt(2.0) * network[shown] / deviation[shown]
    number = len(changes)
    without = np.sqrt(((changes**2).sum() - changes**2) / (number - 1))
    jackknife = np.sqrt((number - 1) / number * ((without - without.mean()) ** 2).sum())
    return {
        **found,
        "changes": _in_bins(changes, shown),
        "deviations": _in_bins(errors, shown),
        "rms": {
            "value": float(_root_mean_square(changes)),
            "deviation": float(jackknife),
            "bins": number,
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
