"""What binned unfolding tells about itself: what it could not use, and where errors come from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fullchain.unfolding import ibu
from fullchain.unfolding.binned_problem import BinnedProblem
from fullchain.unfolding.counting import part
from fullchain.unfolding.response import Migration
from fullchain.unfolding.sample import Array


def support(case: BinnedProblem, migration: Migration) -> dict[str, Any]:
    """Give what the simulation cannot say about the data, in numbers.

    `outside_support` is the part of the data in cells that neither signal nor background fills,
    with the error of counting;
    `background_above_data` cells where more is subtracted than there is, and the excess, which
    stays; `without_efficiency` the cells of the particle level that the detector never sees.
    """
    data, background = case.data(), case.background()
    produced = np.zeros(case.cells.size)
    produced[case.simulated.reco_cells] = migration.matched.sum(axis=-1) + migration.fakes
    empty = (produced <= 0) & (background <= 0)
    outside = part(empty[case.data_cells], case.problem.data.weight)
    too_much = background > data
    blind = (migration.efficiency == 0) & (migration.generated > 0)
    matched, fakes = migration.matched.sum(), migration.fakes.sum()
    return {
        "data_events": float(data.sum()),
        "outside_support": outside.value,
        "outside_support_error": outside.error,
        "cells_outside_support": int((empty & (data > 0)).sum()),
        "background_above_data": {
            "cells": int(too_much.sum()),
            "events": float((background - data)[too_much].sum()),
        },
        "without_efficiency": {
            "cells": case.simulated.gen_cells[blind].tolist(),
            "part_of_simulation": float(
                migration.generated[blind].sum() / migration.generated.sum()
            ),
        },
        "efficiency": float(matched / migration.generated.sum()),
        "fakes": float(fakes / (fakes + matched)),
    }


def detector_level(
    case: BinnedProblem, detector: ibu.Detector, migration: Migration, counts: Array
) -> dict[str, Any]:
    """Data, and what the unfolded counts, fakes and background give, in bins without outer ones."""
    refolded = detector.refolded(ibu.fold(counts, migration.response))

    expected, variance = case.background(), case.background(power=2)
    variance += expected * detector.scale
    expected[case.simulated.reco_cells] = refolded
    variance[case.simulated.reco_cells] = refolded * detector.scale + detector.background_variance
    return {
        "data": case.cells.inner(case.data()).tolist(),
        "refolded": case.cells.inner(expected).tolist(),
        "variance": case.cells.inner(variance).tolist(),
    }


def errors(
    case: BinnedProblem,
    migration: Migration,
    prior: Array,
    replicas: Mapping[str, Array],
    iterations: int,
) -> dict[str, Any]:
    """Standard deviation of each bin over the replicas (replicas, cells) of each source.

    And `data_propagated`, by the derivative, which the bootstrap of the data should agree with.
    """
    signal = case.signal(case.data(), case.background(), migration)
    weight = case.problem.data.weight
    squares = np.bincount(case.data_cells, weight**2, case.cells.size)
    variance = squares[case.simulated.reco_cells] * migration.acceptance**2
    slope = ibu.derivative(signal, migration.response, prior, iterations)
    found = {"data_propagated": case.everywhere(np.sqrt((slope**2 * variance).sum(axis=-1)))}
    found |= {source: counts.std(axis=0, ddof=1) for source, counts in replicas.items()}
    return {name: case.cells.inner(spread).tolist() for name, spread in found.items()}
