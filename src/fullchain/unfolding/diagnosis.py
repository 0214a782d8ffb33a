"""What a method reports about its own run, brought to one form.

Binned methods say it in `spectra.json` for each binning and observable, methods with networks in
`history.json`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fullchain.unfolding.sample import Array
from fullchain.unfolding.unfolded import ENSEMBLE

Numbers = Mapping[str, Any]

KEPT = ("outside_support", "outside_support_error", "stopped", "calibration", "control")
"""What is kept of a history as it is."""

OF_ITERATIONS = (
    "effective_sample_size",
    "clipped_fraction",
    "drift",
    "loss_detector",
    "loss_particle",
    "change",
    "refolded_chi2",
    "cells",
)
"""What is kept of each iteration."""

OF_ENSEMBLE = ("effective_sample_size", "drift", "clipped_fraction")
"""What is kept of each training of the ensemble, after its last iteration."""


def diagnosed(about: Numbers, history: Numbers, binning: str) -> dict[str, Any]:
    """Keep what the report shows: of the run, and under `observables` of each unfolding in bins."""
    found: dict[str, Any] = {name: history[name] for name in KEPT if name in history}
    single: Numbers = about.get("unfoldings", {}).get(binning, {})
    found["observables"] = {
        observable: {name: one[name] for name in KEPT if name in one}
        for observable, one in single.items()
    }
    if spread := _of_ensemble(history):
        found["ensemble"] = spread
    return found


def _of_ensemble(history: Numbers) -> dict[str, list[float]]:
    """Numbers of the last iteration of each training from another start; empty for one training."""
    members = history.get("members")
    if not isinstance(members, Mapping):
        return {}
    last = [steps[-1] for name, steps in members.items() if name.startswith(f"{ENSEMBLE}_")]
    if len(last) < 2:
        return {}
    return {name: [float(one[name]) for one in last] for name in OF_ENSEMBLE}


def on_prior(about: Numbers, binning: str, observable: str) -> list[Numbers]:
    """Dependence on the prior, see `prior_dependence`; empty of a method not in bins."""
    found: Numbers = about.get("unfoldings", {}).get(binning, {}).get(observable, {})
    return [found["prior_dependence"]] if "prior_dependence" in found else []


def iterations(about: Numbers, history: Numbers, binning: str, observable: str) -> list[Numbers]:
    """Diagnostics after each iteration; empty for a method without any."""
    if isinstance(history.get("iterations"), list):
        steps = history["iterations"]
    else:
        steps = about.get("unfoldings", {}).get(binning, {}).get(observable, {}).get("steps", [])
    return [{name: one[name] for name in OF_ITERATIONS if name in one} for one in steps]


def counts_by_iteration(
    about: Numbers, history: Numbers, binning: str, observable: str
) -> Array | None:
    """Unfolded counts (iterations, bins) after each iteration; None where they were not kept.

    A method with networks keeps them in the bins of `binning` under `spectra` of each entry of
    `iterations`, by observable.
    """
    steps = history.get("iterations")
    if (
        isinstance(steps, list)
        and steps
        and all(observable in one.get("spectra", {}) for one in steps)
    ):
        return np.array([one["spectra"][observable] for one in steps], dtype=float)
    single = about.get("unfoldings", {}).get(binning, {}).get(observable, {})
    kept = single.get("by_iteration")
    return np.array(kept, dtype=float) if kept else None
