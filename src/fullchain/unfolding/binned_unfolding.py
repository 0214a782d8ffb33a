"""Iterative Bayesian unfolding of a measurement in bins, with its replicas and shifts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fullchain.errors import InputError
from fullchain.unfolding import binned_diagnostics, ibu, prior_dependence
from fullchain.unfolding.binned_problem import BinnedProblem, Factors, check_matched, portions
from fullchain.unfolding.ibu_settings import IbuSettings
from fullchain.unfolding.response import Cells, Migration
from fullchain.unfolding.sample import Array, check_weights
from fullchain.unfolding.spectrum_file import JointSpectrum, covariance
from fullchain.unfolding.unfolded import DATA, SIMULATION, Spectrum

OTHER_PRIOR = "other_prior"
"""Of the replicas of the simulation those from the other prior."""


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
        Whether `about` also has spectra by iteration, at detector level, errors by source, and the
        dependence on the prior.

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
    other_kind = prior_dependence.OTHER[settings.prior]
    other_prior, of_other = case.prior(migration.generated, other_kind), {}
    if len(factors.data):
        signal = _signal_in_replicas(case, factors, migration)
        unfolded = ibu.unfold(signal, migration.response, prior, len(steps))
        found[DATA] = case.everywhere(unfolded)
        if details:
            again = ibu.unfold(signal, migration.response, other_prior, len(steps))
            of_other[DATA] = case.everywhere(again)
    parts = {}
    if len(factors.simulation):
        parts = _of_simulation(case, settings, factors, migration, len(steps), details)
        found[SIMULATION] = parts.pop(SIMULATION)
        if details:
            of_other[SIMULATION] = parts.pop(OTHER_PRIOR)
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
        other = ibu.unfold(detector.signal, migration.response, other_prior, len(steps))
        about["prior_dependence"] = prior_dependence.record(
            other_kind,
            case.cells.inner(counts),
            case.cells.inner(case.everywhere(other)),
            {source: case.cells.inner(several) for source, several in found.items()},
            {source: case.cells.inner(several) for source, several in of_other.items()},
        )
        about["errors"] = binned_diagnostics.errors(
            case, migration, prior, {**found, **parts}, len(steps)
        )
    return Result(case.cells, counts, found, _shifts(case, settings, len(steps)), about)


def _signal_in_replicas(case: BinnedProblem, factors: Factors, migration: Migration) -> Array:
    """Give the signal of all replicas of the data, (replicas, reco cells)."""
    parts = [
        case.signal(case.data(factors.data[rows]), case.background(), migration)
        for rows in portions(len(factors.data), len(case.problem.data))
    ]
    return np.concatenate(parts)


def _of_simulation(
    case: BinnedProblem,
    settings: IbuSettings,
    factors: Factors,
    nominal: Migration,
    iterations: int,
    details: bool,
) -> dict[str, Array]:
    """Unfold with what the replicas change, (replicas, cells).

    In detail the parts of it, too, and all of it from the other prior.
    """
    data = case.data()
    signal = case.signal(data, case.background(), nominal)
    prior, response = case.prior(nominal.generated, settings.prior), nominal.response
    found: dict[str, list[Array]] = {SIMULATION: []}
    if details:
        found |= {"response": [], "prior": [], OTHER_PRIOR: []}
    for rows, one in case.migrations(factors.simulation):
        background = case.background(factors.background[rows])
        changed = case.prior(one.generated, settings.prior)
        own = case.signal(data, background, one)
        found[SIMULATION].append(ibu.unfold(own, one.response, changed, iterations))
        if details:
            found["response"].append(ibu.unfold(signal, one.response, prior, iterations))
            found["prior"].append(ibu.unfold(signal, response, changed, iterations))
            begun = case.prior(one.generated, prior_dependence.OTHER[settings.prior])
            found[OTHER_PRIOR].append(ibu.unfold(own, one.response, begun, iterations))
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
