"""What tells whether weights of an unfolding can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from fullchain.learning.standardise import measure
from fullchain.unfolding.counting import Part, part
from fullchain.unfolding.sample import Array, Problem

NEIGHBOUR_QUANTILE = 0.99
"""Of the distances between simulated events; what lies farther away is far."""

TOLERATED_OUTSIDE = 0.01
"""Part of the data outside of the simulation above which a step says so."""


def drift(weights: Array, before: Array) -> Array:
    """Give the sum of absolute changes over the sum of weights, (..., n) to (...)."""
    result: Array = np.abs(weights - before).sum(axis=-1) / weights.sum(axis=-1)
    return result


@dataclass(frozen=True)
class Support:
    """Weighted parts of the data where the simulation can say nothing, with errors of counting.

    Simulated are events of the simulation that pass the detector level, and of the background;
    those of weight zero do not count. The background counts, for what it explains is subtracted
    and not unfolded: data are without support only where nothing that is simulated reaches.

    Parameters
    ----------
    beyond
        Outside of the range of the simulation in one observable or more.
    of_observables
        The same of each observable by its name.
    far
        Farther from the nearest simulated event, in standardised observables, than all but 1 % of
        the simulated events are from theirs; 0.01 is expected of data like the simulation.
    """

    beyond: Part
    of_observables: Mapping[str, Part]
    far: Part

    def record(self) -> dict[str, Any]:
        """Give plain values for a history."""
        return {
            "outside_support": self.beyond.value,
            "outside_support_error": self.beyond.error,
            "outside_support_by_definition": {
                "range": self.beyond.value,
                **{f"range_{name}": one.value for name, one in self.of_observables.items()},
                "far": self.far.value,
            },
        }

    def warning(self) -> str | None:
        """Say how many of the data are beyond the simulation; None if hardly any are."""
        if self.beyond.value <= TOLERATED_OUTSIDE:
            return None
        worst = sorted(self.of_observables.items(), key=lambda item: -item[1].value)
        single = ", ".join(f"{name} {100 * one.value:.2g} %" for name, one in worst if one.value)
        return (
            f"{100 * self.beyond.value:.2g} ± {100 * self.beyond.error:.1g} % of the data are "
            f"outside of the range of the simulation at detector level ({single}), where the "
            "result is extrapolated; simulate more there, or cut both samples alike"
        )


def outside_support(problem: Problem) -> Support:
    """Measure which part of the data the simulation has no events like."""
    data, simulation = problem.data, problem.simulation
    used = simulation.reco.passed & (simulation.weight > 0)
    simulated, weight = simulation.reco.values[used], simulation.weight[used]
    if problem.background is not None:
        filled = problem.background.weight > 0
        simulated = np.concatenate([simulated, problem.background.values[filled]])
        weight = np.concatenate([weight, problem.background.weight[filled]])
    beyond = (data.values < simulated.min(axis=0)) | (data.values > simulated.max(axis=0))
    return Support(
        part(beyond.any(axis=1), data.weight),
        {name: part(beyond[:, number], data.weight) for number, name in enumerate(data.names)},
        part(_far(data.values, simulated, weight), data.weight),
    )


def _far(values: Array, simulated: Array, weight: Array) -> npt.NDArray[np.bool_]:
    if len(simulated) < 2:
        return np.ones(len(values), dtype=bool)
    scale = measure(simulated, weight)
    known = (simulated - scale.subtract) * scale.multiply
    tree = cKDTree(known)
    # The nearest one of a simulated event is itself.
    usual = np.quantile(tree.query(known, k=2)[0][:, 1], NEIGHBOUR_QUANTILE)
    distance = tree.query((values - scale.subtract) * scale.multiply)[0]
    far: npt.NDArray[np.bool_] = distance > usual
    return far
