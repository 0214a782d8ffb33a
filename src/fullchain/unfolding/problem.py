"""From tables of events to what a method of unfolding gets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fullchain.errors import InputError
from fullchain.learning.split import fold
from fullchain.seeds import derive
from fullchain.unfolding import event_table
from fullchain.unfolding.measurement_settings import (
    BackgroundSettings,
    MeasurementSettings,
    PartSettings,
    StressSettings,
)
from fullchain.unfolding.sample import (
    Array,
    Measured,
    Problem,
    Simulation,
    Truth,
    check_weights,
)

STRESS_LIMIT = 3.0
"""Largest distance from the mean, in standard deviations, that a stress weight follows."""

STRESS_BINS = 20
"""Bins of the detector level in which the stress weights of fakes are found."""


def pose(
    simulation: Sequence[Path],
    data: Sequence[Path],
    background: Sequence[Path],
    settings: MeasurementSettings,
    seed: int,
    *,
    particles: bool = False,
    alternative: str | None = None,
) -> Problem:
    """Read the tables of one measurement, and weight simulation and background as the data.

    Parameters
    ----------
    simulation, data, background
        Tables of events, see `event_table`; of `simulation` those of the alternative, if any.
    particles
        Whether particles of the jets are read.
    alternative
        Name of another simulation in `settings.alternatives`; it has no shifts.

    Raises
    ------
    InputError
        A table is unusable, weights are not finite or sum to nothing, or no event passes a level.
    """
    chosen = settings.simulated(alternative)
    shifts = settings.shifts if alternative is None else ()
    factors = settings.factors if alternative is None else ()
    simulated = part(
        read(simulation, settings, particles=particles, shifts=shifts, factors=factors),
        chosen,
        seed,
    )
    pseudo = part(read(data, settings, particles=particles), settings.data, seed)
    measured = _measured(pseudo, f"data ({', '.join(settings.data.samples)})")
    unwanted = None
    expected = 0.0
    if settings.background is not None:
        unwanted = _background(background, settings.background, settings, measured, particles)
        expected = float(unwanted.weight.sum())
    name = f"simulation ({', '.join(chosen.samples)})"
    return Problem(
        _scaled(simulated, float(measured.weight.sum()) - expected, name),
        measured,
        unwanted,
        _truth(pseudo),
    )


def read(paths: Sequence[Path], settings: MeasurementSettings, **options: Any) -> Simulation:
    """Read the events of one or several samples, see `event_table.read` for options.

    Several are joined in the proportion of their cross sections; the sum of all weights stays, so
    that numbers of events keep their meaning.
    """
    events = event_table.read(paths, settings.observables, **options)
    scales = event_table.scales(paths)
    if events.group is None or len(scales) < 2:
        return events
    weight = events.weight * scales[events.group]
    if not weight.sum() > 0:
        raise InputError(f"{', '.join(map(str, paths))}: all weights are zero; nothing is weighted")
    return events.weighted(weight * (events.weight.sum() / weight.sum()))


def part(events: Simulation, settings: PartSettings, seed: int) -> Simulation:
    """Choose the half of the events, and weight them by the stress."""
    if settings.half != "all":
        number = fold(
            events.ids[:, 0],
            events.ids[:, 1],
            events.ids[:, 2],
            derive(seed, "unfolding", "halves"),
        )
        events = events.take(np.flatnonzero((number < 0.5) == (settings.half == "first")))
    if settings.stress is not None:
        events = events.weighted(events.weight * stress_weights(events, settings.stress))
    return events


def stress_weights(events: Simulation, stress: StressSettings) -> Array:
    """Give factors (n) that change the spectrum of an observable.

    A fake has the mean factor of the events that pass both levels and look like it at the detector
    level: with 1, fakes would be other ones than in any simulation, and no method could close.

    Raises InputError where the observable is not read or is constant, or no event of the particle
    level has a weight.
    """
    if stress.observable not in events.names:
        raise InputError(
            f"stress.observable: {stress.observable!r} is not among the observables of the "
            f"measurement ({', '.join(events.names)})"
        )
    passed = events.gen.passed
    values = events.gen.values[passed, events.names.index(stress.observable)]
    weight = events.weight[passed]
    if not weight.sum() > 0:
        raise InputError(
            "stress: no event of the particle level has a positive weight; only simulated events "
            "can be stressed"
        )
    mean = np.average(values, weights=weight)
    deviation = np.sqrt(np.average((values - mean) ** 2, weights=weight))
    if not deviation > 0:
        raise InputError(f"stress.observable: {stress.observable!r} is the same for all events")
    factors = np.ones(len(events))
    distance = np.clip((values - mean) / deviation, -STRESS_LIMIT, STRESS_LIMIT)
    factors[passed] = np.exp(stress.slope * distance)
    fakes = events.reco.passed & ~passed
    both = events.reco.passed & passed
    if fakes.any() and both.any():
        seen = events.reco.values[:, events.names.index(stress.observable)]
        factors[fakes] = _mean_of_alike(factors[both], events.weight[both], seen[both], seen[fakes])
    return factors


def _mean_of_alike(factors: Array, weight: Array, values: Array, wanted: Array) -> Array:
    """Mean factor of events in bins of equal occupancy of `values`, at the `wanted` values."""
    edges = np.quantile(values, np.linspace(0.0, 1.0, STRESS_BINS + 1)[1:-1])
    place = np.searchsorted(edges, values)
    total = np.bincount(place, weight, STRESS_BINS)
    sums = np.bincount(place, weight * factors, STRESS_BINS)
    mean = np.divide(sums, total, out=np.ones(STRESS_BINS), where=total > 0)
    found: Array = mean[np.searchsorted(edges, wanted)]
    return found


def _measured(events: Simulation, what: str) -> Measured:
    passed = np.flatnonzero(events.reco.passed)
    level = events.reco.take(passed)
    weight = events.weight[passed]
    check_weights(weight, what)
    return Measured(events.names, level.values, weight, level.particles, events.ids[passed])


def _background(
    paths: Sequence[Path],
    chosen: BackgroundSettings,
    settings: MeasurementSettings,
    data: Measured,
    particles: bool,
) -> Measured:
    events = read(paths, settings, particles=particles)
    found = _measured(events, f"background ({', '.join(chosen.samples)})")
    scale = chosen.expected * data.weight.sum() / found.weight.sum()
    return Measured(found.names, found.values, found.weight * scale, found.particles)


def _scaled(events: Simulation, total: float, what: str) -> Simulation:
    """Give the simulation with weights that sum to `total` at detector level."""
    for level, name in ((events.gen, "particle"), (events.reco, "detector")):
        if not level.passed.any():
            raise InputError(f"{what}: no event passes the selection of the {name} level")
        check_weights(events.weight[level.passed], f"{what}, {name} level")
    return events.weighted(events.weight * (total / events.weight[events.reco.passed].sum()))


def _truth(events: Simulation) -> Truth | None:
    passed = events.gen.passed
    if not passed.any():
        return None
    return Truth(events.names, events.gen.values[passed], events.weight[passed])
