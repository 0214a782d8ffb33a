"""A problem of unfolding, in bins."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.unfolding import replicas
from fullchain.unfolding.ibu import Detector
from fullchain.unfolding.response import Cells, Migration, SimulatedCells, sums
from fullchain.unfolding.sample import Array, Integers, Level, Problem

AT_ONCE = 20_000_000
"""Numbers in the largest array that replicas are unfolded with at once."""

Small = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Factors:
    """Factors of the bootstrap of events, (replicas, events) of each kind.

    Those of the background belong to the replicas of the simulation.
    """

    data: Small
    simulation: Small
    background: Small

    @classmethod
    def none(cls) -> "Factors":
        """No replicas."""
        return cls(*(np.zeros((0, 0), dtype=np.uint8) for _ in range(3)))

    @classmethod
    def drawn(
        cls, problem: Problem, of_data: int, of_simulation: int, seed: int, measurement: str
    ) -> "Factors":
        """Draw a number of replicas, those that all methods take, see `replicas`."""

        def stacked(draw: Any, number: int, events: int) -> Small:
            found = np.empty((number, events), dtype=np.uint8)
            for k in range(number):
                found[k] = draw(seed, measurement, k, events)
            return found

        unwanted = 0 if problem.background is None else len(problem.background)
        return cls(
            stacked(replicas.data_factors, of_data, len(problem.data)),
            stacked(replicas.simulation_factors, of_simulation, len(problem.simulation)),
            stacked(replicas.background_factors, of_simulation, unwanted),
        )


@dataclass(frozen=True)
class BinnedProblem:
    """A problem of unfolding in cells.

    Parameters
    ----------
    problem
        The events.
    cells
        The binning.
    columns
        Of its observables, in the order of the problem.
    simulated
        Cells of simulated events.
    data_cells, background_cells
        Number of the cell of each event.
    """

    problem: Problem
    cells: Cells
    columns: tuple[int, ...]
    simulated: SimulatedCells
    data_cells: Integers
    background_cells: Integers

    @classmethod
    def of(cls, problem: Problem, names: Sequence[str], edges: Sequence[Array]) -> "BinnedProblem":
        """Put events into cells of some of the observables.

        Raises
        ------
        InputError
            The edges of an observable hold no event of the simulation, at either level, or of the
            data, or no simulated event passes both levels.
        """
        columns = tuple(problem.simulation.names.index(name) for name in names)
        for column, bounds in zip(columns, edges, strict=True):
            _check_held(problem, column, bounds)
        cells = Cells(tuple(edges))
        simulation, background = problem.simulation, problem.background
        simulated = SimulatedCells.of(simulation.gen, simulation.reco, columns, cells)
        check_matched(simulated, simulation.weight, "simulation")
        return cls(
            problem,
            cells,
            columns,
            simulated,
            cells.numbers(problem.data.values[:, columns]),
            np.zeros(0, dtype=np.int64)
            if background is None
            else cells.numbers(background.values[:, columns]),
        )

    def shifted(self, level: Level, what: str) -> "BinnedProblem":
        """Give the same problem with another detector level of the simulation.

        Raises InputError, with `what` it is, where no event passes both levels.
        """
        simulation = self.problem.simulation
        simulated = SimulatedCells.of(simulation.gen, level, self.columns, self.cells)
        check_matched(simulated, simulation.weight, what)
        return replace(self, simulated=simulated)

    def data(self, factors: Small | None = None) -> Array:
        """Sum of weights of the data in all cells, (cells) or (replicas, cells)."""
        weight = self.problem.data.weight
        return sums(
            self.data_cells, weight if factors is None else factors * weight, self.cells.size
        )

    def background(self, factors: Small | None = None, power: int = 1) -> Array:
        """Sum of weights, or of their squares, of the background, as `data`."""
        if self.problem.background is None:
            return np.zeros(self.cells.size)
        weight = self.problem.background.weight**power
        return sums(
            self.background_cells, weight if factors is None else factors * weight, self.cells.size
        )

    def signal(self, data: Array, background: Array, migration: Migration) -> Array:
        """Signal in the reco cells that the simulation fills, of data and background in all."""
        reached = self.simulated.reco_cells
        left = np.maximum(data - background, 0.0)[..., reached]
        found: Array = left * migration.acceptance
        return found

    def detector(self, migration: Migration) -> Detector:
        """Data and background in the reco cells that the simulation fills."""
        reached, weight = self.simulated.reco_cells, self.problem.data.weight
        return Detector(
            self.data()[reached],
            self.background()[reached],
            self.background(power=2)[reached],
            migration.acceptance,
            float((weight**2).sum() / weight.sum()),
        )

    def prior(self, generated: Array, kind: str) -> Array:
        """Prior (..., gen cells), `simulation` or `flat`; outer cells as simulated in any case."""
        if kind == "simulation":
            return generated
        volume = self.cells.volume[self.simulated.gen_cells]
        inside = np.where(volume > 0, generated, 0.0).sum(axis=-1, keepdims=True)
        return np.where(volume > 0, inside * volume / volume.sum(), generated)

    def everywhere(self, counts: Array) -> Array:
        """Counts (..., gen cells that hold events) in all cells."""
        found = np.zeros((*counts.shape[:-1], self.cells.size))
        found[..., self.simulated.gen_cells] = counts
        return found

    def migrations(self, factors: Small) -> Iterator[tuple[slice, Migration]]:
        """Migration in replicas of the simulation, as many at once as fit."""
        weight = self.problem.simulation.weight
        pairs = len(self.simulated.gen_cells) * len(self.simulated.reco_cells)
        for rows in portions(len(factors), max(len(weight), pairs)):
            yield rows, self.simulated.migration(factors[rows] * weight)


def portions(number: int, size: int) -> Iterator[slice]:
    """Slices of a number of replicas, each of `size` numbers, that are taken at once."""
    step = max(1, AT_ONCE // max(size, 1))
    for first in range(0, number, step):
        yield slice(first, min(first + step, number))


def check_matched(simulated: SimulatedCells, weight: Array, what: str) -> None:
    """Raise InputError where no weight is on events that pass both levels."""
    if not weight[simulated.matched].sum() > 0:
        raise InputError(
            f"{what}: no event passes the selections of both levels, so nothing tells how the "
            "detector changes an event; check the selections"
        )


def _check_held(problem: Problem, column: int, bounds: Array) -> None:
    held = {
        "simulated event at the particle level": problem.simulation.gen.values,
        "simulated event at the detector level": problem.simulation.reco.values,
        "event of the data": problem.data.values,
    }
    for what, values in held.items():
        # Of failing events the values are NaN and in no range.
        if not ((values[:, column] >= bounds[0]) & (values[:, column] <= bounds[-1])).any():
            raise InputError(
                f"observable {problem.simulation.names[column]!r}: no {what} lies between its "
                f"edges {bounds[0]:g} and {bounds[-1]:g}; mend low, high or edges"
            )
