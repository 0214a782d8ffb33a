"""Events in cells."""

import numpy as np
import pytest

from fullchain.unfolding.response import Cells, Migration, SimulatedCells
from fullchain.unfolding.sample import Level

EDGES = (np.array([0.0, 1.0, 3.0]), np.array([0.0, 0.5, 1.0, 2.0]))


def test_cells_are_those_of_numpy_histogram():
    values = np.random.default_rng(1).uniform(-1, 4, (500, 2))
    values[:3] = [[3.0, 2.0], [0.0, 0.0], [1.0, 0.5]]
    cells = Cells(EDGES)
    assert (cells.shape, cells.size) == ((4, 5), 20)
    counts = np.bincount(cells.numbers(values), minlength=cells.size).astype(float)
    inner = np.histogramdd(values, EDGES)[0]
    np.testing.assert_array_equal(cells.inner(counts), inner)
    for axis, edges in enumerate(EDGES):
        infinite = np.concatenate([[-np.inf], edges[:-1], [np.nextafter(edges[-1], 9), np.inf]])
        expected = np.histogram(values[:, axis], infinite)[0]
        np.testing.assert_array_equal(cells.projected(counts, axis), expected)


def test_leading_axes_are_kept():
    cells = Cells(EDGES)
    counts = np.arange(60.0).reshape(3, 20)
    assert cells.inner(counts).shape == (3, 2, 3)
    np.testing.assert_array_equal(cells.projected(counts, 1)[2], cells.projected(counts[2], 1))
    np.testing.assert_allclose(cells.inner(cells.volume), np.outer([1, 2], [0.5, 0.5, 1]))
    assert cells.volume.sum() == pytest.approx(6.0)


def events():
    """Five events in bins 0-1 and 1-2: matched, miss, fake, migrated, and out of the edges."""
    gen = np.array([[0.5], [0.5], [np.nan], [1.5], [5.0]])
    reco = np.array([[0.5], [np.nan], [1.5], [0.5], [1.5]])
    return (
        Level(gen, np.isfinite(gen[:, 0])),
        Level(reco, np.isfinite(reco[:, 0])),
        np.array([1.0, 2.0, 4.0, 8.0, 16.0]),
    )


def test_migration_by_hand():
    gen, reco, weight = events()
    cells = Cells((np.array([0.0, 1.0, 2.0]),))
    found = SimulatedCells.of(gen, reco, [0], cells)
    assert found.gen_cells.tolist() == [1, 2, 3]
    assert found.reco_cells.tolist() == [1, 2]
    one = found.migration(weight)
    # An event that is above the edges at the particle level only is no fake
    np.testing.assert_array_equal(one.matched, [[1, 8, 0], [0, 0, 16]])
    np.testing.assert_array_equal(one.generated, [3, 8, 16])
    np.testing.assert_array_equal(one.fakes, [0, 4])
    np.testing.assert_allclose(one.response, [[1 / 3, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(one.efficiency, [1 / 3, 1, 1])
    np.testing.assert_allclose(one.acceptance, [1, 0.8])


def test_replicas_are_summed_together():
    gen, reco, weight = events()
    found = SimulatedCells.of(gen, reco, [0], Cells((np.array([0.0, 1.0, 2.0]),)))
    weights = np.random.default_rng(2).poisson(1.0, (6, 5)) * weight
    together = found.migration(weights)
    for number, row in enumerate(weights):
        alone = found.migration(row)
        np.testing.assert_array_equal(together.response[number], alone.response)
        np.testing.assert_array_equal(together.acceptance[number], alone.acceptance)


def test_a_cell_without_events_gives_no_response():
    one = Migration(np.zeros((1, 2)), np.array([0.0, 2.0]), np.zeros(1))
    assert one.response.tolist() == [[0.0, 0.0]]
    assert one.efficiency.tolist() == [0.0, 0.0]
    assert one.acceptance.tolist() == [0.0]
