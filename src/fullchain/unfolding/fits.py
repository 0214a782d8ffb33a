"""The fits of one unfolding: nominal ensemble, replicas of the bootstrap, shifts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullchain.unfolding.replicas import background_factors, data_factors, simulation_factors
from fullchain.unfolding.sample import NOMINAL, Array, Problem
from fullchain.unfolding.unfolded import DATA, ENSEMBLE, OF_OBSERVABLE, SHIFT, SIMULATION


@dataclass(frozen=True)
class Fit:
    """One unfolding of the data with the simulation, or with variations of them.

    Parameters
    ----------
    name
        Of its weights, see `unfolded`.
    start
        Number of its start: initial weights of the networks, division into training and
        validation, order of the events.
    shift
        Of the detector level of the simulation.
    data, simulation, background
        (rows) factors on the weights of each; None for ones.
    """

    name: str
    start: int = 0
    shift: str = NOMINAL
    data: Array | None = None
    simulation: Array | None = None
    background: Array | None = None


def fits_of(
    problem: Problem,
    seed: int,
    measurement: str,
    *,
    ensemble: int,
    data_replicas: int = 0,
    simulation_replicas: int = 0,
    shifts: bool = True,
) -> list[Fit]:
    """List the ensemble, then replicas of the data and of the simulation, then shifts.

    Replicas and shifts start as the first of the ensemble does. What they differ by is then due to
    the events and to the shift, and not to the start, whose effect the ensemble shows.

    Parameters
    ----------
    seed, measurement
        Of the factors of the bootstrap.
    ensemble, data_replicas, simulation_replicas
        Number of each.
    shifts
        Whether to fit all shifts of the detector and variations of the weight that are there.
    """
    fits = [Fit(f"{ENSEMBLE}_{k}", k) for k in range(ensemble)]
    fits += [
        Fit(f"{DATA}_{k}", data=data_factors(seed, measurement, k, len(problem.data)))
        for k in range(data_replicas)
    ]
    for k in range(simulation_replicas):
        background = None
        if problem.background is not None:
            background = background_factors(seed, measurement, k, len(problem.background))
        simulation = simulation_factors(seed, measurement, k, len(problem.simulation))
        fits.append(Fit(f"{SIMULATION}_{k}", simulation=simulation, background=background))
    if shifts:
        fits += [Fit(f"{SHIFT}_{name}", shift=name) for name in problem.simulation.shifted]
        factors = problem.simulation.factors
        fits += [Fit(f"{SHIFT}_{name}", simulation=factor) for name, factor in factors.items()]
    return fits


def with_nominal(weights: Mapping[str, Array], observables: Sequence[str] = ()) -> dict[str, Array]:
    """Put the nominal weights, the mean of those of the ensemble, before all others.

    A shift is a single training from the start of the first of the ensemble. Its ratio to that one
    is applied to the nominal weights: else every shift would show what the first training differs
    by from the mean. With `observables`, weights are named `<result>@<observable>`, and each has
    its nominal ones.
    """
    found: dict[str, Array] = {}
    paired = dict(weights)
    for ending in [f"{OF_OBSERVABLE}{name}" for name in observables] or [""]:
        single = [
            weight
            for name, weight in weights.items()
            if name.startswith(f"{ENSEMBLE}_") and name.endswith(ending)
        ]
        nominal = np.mean(single, axis=0)
        found[f"{NOMINAL}{ending}"] = nominal
        first = weights[f"{ENSEMBLE}_0{ending}"]
        scale = np.divide(nominal, first, out=np.zeros_like(nominal), where=first > 0)
        for name, weight in weights.items():
            if name.startswith(f"{SHIFT}_") and name.endswith(ending):
                paired[name] = weight * scale
    return {**found, **paired}
