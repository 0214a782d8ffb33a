"""Back to the detector: what an unfolded result says the detector should have seen.

Spectra (bins) at detector level are without what lies outside of the bins. A fake changes as the
events beside it do: in each bin the number of fakes is scaled as that of the events which pass both
levels.
"""

import numpy as np

from fullchain.unfolding.response import Cells, Migration, SimulatedCells, sums
from fullchain.unfolding.sample import Array, Measured, Simulation


def through_response(
    simulation: Simulation, observable: str, edges: Array, unfolded: Array
) -> Array:
    """Fold unfolded counts with the response of one observable.

    Parameters
    ----------
    unfolded
        (bins + 2), with what is below and above all bins.
    """
    cells, events = _binned(simulation, observable, edges)
    migration = events.migration(simulation.weight)
    folded = migration.response @ unfolded[events.gen_cells]
    return _at_detector(_with_fakes(folded, migration), cells, events)


def by_weights(
    simulation: Simulation, observable: str, edges: Array, factor: Array
) -> tuple[Array, Array]:
    """Reweight the simulation: counts at detector level, and their variance.

    Parameters
    ----------
    factor
        Unfolded weight over that before, of each event that passes the particle level.
    """
    cells, events = _binned(simulation, observable, edges)
    before = events.migration(simulation.weight)
    weight = simulation.weight.copy()
    weight[simulation.gen.passed] *= factor
    folded = events.migration(weight).matched.sum(axis=-1)
    both, rows = events.matched, len(events.reco_cells)
    squares = sums(events.reco[both], weight[both] ** 2, rows)
    scale = _with_fakes(np.ones(rows), before) ** 2
    return (
        _at_detector(_with_fakes(folded, before), cells, events),
        _at_detector(squares * scale, cells, events),
    )


def measured(
    data: Measured, background: Measured | None, observable: str, edges: Array
) -> tuple[Array, Array]:
    """Data less background: counts, and their variance."""
    counts = np.zeros(len(edges) - 1)
    variance = np.zeros(len(edges) - 1)
    for sample, sign in ((data, 1.0), (background, -1.0)):
        if sample is not None:
            values = sample.values[:, sample.names.index(observable)]
            counts += sign * np.histogram(values, edges, weights=sample.weight)[0]
            variance += np.histogram(values, edges, weights=sample.weight**2)[0]
    return counts, variance


def simulated(simulation: Simulation, observable: str, edges: Array) -> tuple[Array, Array]:
    """The simulation before unfolding: counts, and their variance."""
    seen = simulation.reco.passed
    values = simulation.reco.values[seen, simulation.names.index(observable)]
    weight = simulation.weight[seen]
    counts = np.histogram(values, edges, weights=weight)[0]
    return counts, np.histogram(values, edges, weights=weight**2)[0]


def _binned(simulation: Simulation, observable: str, edges: Array) -> tuple[Cells, SimulatedCells]:
    column = simulation.names.index(observable)
    cells = Cells((edges,))
    return cells, SimulatedCells.of(simulation.gen, simulation.reco, (column,), cells)


def _with_fakes(folded: Array, migration: Migration) -> Array:
    """Add the fakes to events that pass both levels, (reco cells)."""
    pure = migration.acceptance
    known = pure > 0
    found: Array = np.where(known, folded / np.where(known, pure, 1.0), migration.fakes)
    return found


def _at_detector(values: Array, cells: Cells, events: SimulatedCells) -> Array:
    found = np.zeros(cells.size)
    found[events.reco_cells] = values
    return cells.inner(found)
