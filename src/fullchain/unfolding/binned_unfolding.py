"""Iterative Bayesian unfolding of a measurement in bins, with its replicas and shifts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fullchain.errors import InputError
from fullchain.unfolding import binned_diagnostics, ibu
from fullchain.unfolding.binned_problem import BinnedProblem, Factors, check_matched, portions
from fullchain.unfolding.ibu_settings import IbuSettings
from fullchain.unfolding.response import Cells, Migration
from fullchain.unfolding.sample import Array, check_weights
from fullchain.unfolding.spectrum_file import JointSpectrum, covariance
from fullchain.unfolding.unfolded import DATA, SIMULATION, Spectrum


@dataclass(frozen=True)
class Result:
    """Unfolded counts in all cells, outer ones included.

    Parameters
    ----------
    cells
        The binning.
    counts
        (cells).
    replicas
        (replicas, cells) for each source.
    shifts
        (cells) under each shift.
    about
        Diagnostics, plain values.
    """

    cells: Cells
    counts: Array
    replicas: Mapping[str, Array]
    shifts: Mapping[str, Array]
    about: Mapping[str, Any]

    def spectrum(self, name: str, axis: int = 0) -> Spectrum:
        """Give the spectrum of one of the observables."""
        counts = self.cells.projected(self.counts, axis)
        return Spectrum(
            name,
            self.cells.edges[axis],
            counts[1:-1],
            (float(counts[0]), float(counts[-1])),
            {
                source: covariance(self.cells.projected(several, axis)[:, 1:-1])
                for source, several in self.replicas.items()
            },
            {
                shift: (self.cells.projected(shifted, axis) - counts)[1:-1]
                for shift, shifted in self.shifts.items()
            },
        )

    def joint(self, names: Sequence[str]) -> JointSpectrum:
        """Give the spectrum in all observables, with its projections."""
        counts = self.cells.inner(self.counts)
        return JointSpectrum(
            tuple(names),
            self.cells.edges,
            counts,
            float(self.counts.sum() - counts.sum()),
            {
                source: self.cells.inner(several).reshape(len(several), -1)
                for source, several in self.replicas.items()
            },
            {
                shift: (self.cells.inner(shifted) - counts).ravel()
                for shift, shifted in self.shifts.items()
            },
            {name: self.spectrum(name, axis) for axis, name in enumerate(names)},
        )


def unfold(
    case: BinnedProblem, settings: IbuSettings, factors: Factors, *, details: bool = True
) -> Result:
    """Unfold nominally, in replicas, and under all shifts and factors of the simulation.

    Parameters
    ----------
    factors
        Of the replicas, none for the nominal result only.
    details
        Whether `about` also has spectra by iteration, at detector level, and errors by source.

    Raises
    ------
    InputError
        Weights under a variation are unusable, under a shift no event passes both levels, or the
        simulation can produce none of the data after subtraction.
    """
    migration = case.simulated.migration(case.problem.simulation.weight)
    detector = case.detector(migration)
    if not detector.signal.sum() > 0:
        raise InputError(
            "data: nothing is left to unfold after subtraction of the background in bins that the "
            "simulation can fill; compare data and simulation, and background.expected"
        )
    prior = case.prior(migration.generated, settings.prior)
    stopping = ibu.Stopping(settings.iterations, settings.stopping, settings.limit)
    steps, stopped = ibu.iterate(detector, migration.response, prior, stopping)
    last = steps[-1]
    found = {}
    if len(factors.data):
        signal = np.concatenate(
            [
                case.signal(case.data(factors.data[rows]), case.background(), migration)
                for rows in portions(len(factors.data), len(case.problem.data))
            ]
        )
        unfolded = ibu.unfold(signal, migration.response, prior, len(steps))
        found[DATA] = case.everywhere(unfolded)
    parts = {}
    if len(factors.simulation):
        parts = _of_simulation(case, settings, factors, migration, len(steps), details)
        found[SIMULATION] = parts.pop(SIMULATION)
    counts = case.everywhere(last.counts)
    about = {
        "iterations": len(steps),
        "stopped": stopped,
        "refolded_chi2": last.chi_squared,
        "refolded_cells": last.cells,
        "unfolded_events": float(counts.sum()),
        "steps": [
            {"change": one.change, "refolded_chi2": one.chi_squared, "cells": one.cells}
            for one in steps
        ],
        **binned_diagnostics.support(case, migration),
    }
    if details:
        about["by_iteration"] = [
            case.cells.inner(case.everywhere(one.counts)).tolist() for one in steps
        ]
        about["detector_level"] = binned_diagnostics.detector_level(
            case, detector, migration, last.counts
        )
        about["errors"] = binned_diagnostics.errors(
            case, migration, prior, {**found, **parts}, len(steps)
        )
    return Result(case.cells, counts, found, _shifts(case, settings, len(steps)), about)


def _of_simulation(
    case: BinnedProblem,
    settings: IbuSettings,
    factors: Factors,
    nominal: Migration,
    iterations: int,
    details: bool,
) -> dict[str, Array]:
    """Unfold with what the replicas change, (replicas, cells); in detail the parts of it, too."""
    data = case.data()
    signal = case.signal(data, case.background(), nominal)
    prior, response = case.prior(nominal.generated, settings.prior), nominal.response
    found: dict[str, list[Array]] = {SIMULATION: []}
    if details:
        found |= {"response": [], "prior": []}
    for rows, one in case.migrations(factors.simulation):
        background = case.background(factors.background[rows])
        changed = case.prior(one.generated, settings.prior)
        own = case.signal(data, background, one)
        found[SIMULATION].append(ibu.unfold(own, one.response, changed, iterations))
        if details:
            found["response"].append(ibu.unfold(signal, one.response, prior, iterations))
            found["prior"].append(ibu.unfold(signal, response, changed, iterations))
    return {name: case.everywhere(np.concatenate(several)) for name, several in found.items()}


def _shifts(case: BinnedProblem, settings: IbuSettings, iterations: int) -> dict[str, Array]:
    simulation = case.problem.simulation
    found = {}
    for name, level in simulation.shifted.items():
        shifted = case.shifted(level, f"simulation under the shift {name!r}")
        found[name] = _varied(shifted, settings, simulation.weight, iterations)
    for name, factor in simulation.factors.items():
        weight, what = simulation.weight * factor, f"simulation under the variation {name!r}"
        for level in (simulation.gen, simulation.reco):
            check_weights(weight[level.passed], what)
        check_matched(case.simulated, weight, what)
        found[name] = _varied(case, settings, weight, iterations)
    return found


def _varied(case: BinnedProblem, settings: IbuSettings, weight: Array, iterations: int) -> Array:
    migration = case.simulated.migration(weight)
    signal = case.signal(case.data(), case.background(), migration)
    prior = case.prior(migration.generated, settings.prior)
    return case.everywhere(ibu.unfold(signal, migration.response, prior, iterations))
