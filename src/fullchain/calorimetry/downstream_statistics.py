"""Numbers and histograms of observed events, with errors from the bootstrap over events.

All responses see the same events and the same replicas, so that the error of a difference is that
of what differs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry.downstream_events import RADII, Observed
from fullchain.errors import InputError

Array = NDArray[Any]

MEAN, MEDIAN, WIDTH, RELATIVE_WIDTH = "mean", "median", "width", "relative width"

QUANTITIES: dict[str, tuple[str, str]] = {
    **{
        f"{name}_{what}": (f"{name}_{of}", how)
        for name in RADII
        for what, of, how in (
            ("response", "response", MEDIAN),
            ("resolution", "response", RELATIVE_WIDTH),
            ("mass", "mass", MEAN),
            ("mass_response", "mass_response", MEDIAN),
            ("mass_resolution", "mass_response", RELATIVE_WIDTH),
            ("photons", "photons", MEAN),
            ("photon_fraction", "photon_fraction", MEAN),
            ("matched", "matched", MEAN),
        )
    },
    "met": ("met", MEAN),
    "met_resolution": ("met_residual", WIDTH),
    "photons": ("photons", MEAN),
}
"""What is found of which observed values, and how."""

EDGES: dict[str, Array] = {
    "ak8_response": np.linspace(0.75, 1.2, 19),
    "ak8_mass": np.linspace(0.0, 240.0, 17),
    "ak4_response": np.linspace(0.7, 1.25, 19),
    "ak8_photons": np.linspace(-0.5, 35.5, 13),
    "met": np.linspace(0.0, 120.0, 13),
    "photon_energy": np.geomspace(1.0, 512.0, 13),
    "crystal_energy": np.geomspace(0.01, 163.84, 15),
}
"""Of histograms; what lies beyond counts in the first and the last bin."""

FEWEST = 5
"""Values without which no number is found."""


def _value(values: Array, how: str) -> float:
    if how == MEAN:
        return float(values.mean())
    low, middle, high = np.percentile(values, [15.865, 50.0, 84.135])
    if how == MEDIAN:
        return float(middle)
    return float((high - low) / 2.0 / (middle if how == RELATIVE_WIDTH else 1.0))


def numbers(observed: Mapping[str, Observed], factors: Array) -> dict[str, Array]:
    """Find all quantities: of all events, then in each replica, (1 + replicas).

    Parameters
    ----------
    observed
        Values by name.
    factors
        How often each event counts in each replica, (replicas, events).

    Raises
    ------
    InputError
        There are too few values; names them.
    """
    found = {}
    for name, (of, how) in QUANTITIES.items():
        one = observed[of]
        if len(one.value) < FEWEST:
            raise InputError(
                f"{of}: {len(one.value)} values in the compared events, {FEWEST} are needed; raise "
                "calorimetry.downstream.events, or lower its jet_pt_min"
            )
        replicas = [np.ones(factors.shape[1], dtype=np.int64), *factors.astype(np.int64)]
        drawn = (np.repeat(one.value, times[one.event]) for times in replicas)
        found[name] = np.array([_value(values, how) if len(values) else np.nan for values in drawn])
    return found


def pair(values: Array) -> list[float]:
    """Value and standard deviation over the replicas, [value, error]."""
    return [float(values[0]), float(np.nanstd(values[1:], ddof=1))]


def histogram(observed: Observed, edges: Array, factors: Array) -> Array:
    """Entries for each event in bins: of all events, then in each replica, (1 + replicas, bins)."""
    events, bins = factors.shape[1], len(edges) - 1
    place = np.clip(np.searchsorted(edges, observed.value, side="right") - 1, 0, bins - 1)
    content = np.bincount(observed.event * bins + place, minlength=events * bins)
    every = np.vstack([np.ones(events), factors])
    return np.asarray(every @ content.reshape(events, bins) / events)


def described(values: Array, reference: Array | None) -> dict[str, list[float | None]]:
    """Give contents and their ratio to those of a reference, with errors; None for no ratio."""
    found: dict[str, list[float | None]] = {
        "content": values[0].tolist(),
        "error": values[1:].std(axis=0, ddof=1).tolist(),
    }
    if reference is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(reference > 0, values / reference, np.nan)
        known = np.isfinite(ratio).sum(axis=0) > len(ratio) // 2
        usable = known & np.isfinite(ratio[0])
        spread = np.nanstd(np.where(known, ratio[1:], 0.0), axis=0, ddof=1)
        found["ratio"] = _or_none(ratio[0], usable)
        found["ratio_error"] = _or_none(spread, usable)
    return found


def _or_none(values: Array, usable: Array) -> list[float | None]:
    pairs_ = zip(values.tolist(), usable.tolist(), strict=True)
    return [value if known else None for value, known in pairs_]
