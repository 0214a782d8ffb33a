"""Neighbours and sums on the grid, against all pairs."""

import itertools

import numpy as np
import pytest

from fullchain.pileup.surroundings import NONE, local_sums, neighbour_lists


def directions(n: int, seed: int, eta_max: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-eta_max, eta_max, n), rng.uniform(-np.pi, np.pi, n)


def distances(eta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    turn = np.abs(phi[:, None] - phi)
    turn = np.minimum(turn, 2 * np.pi - turn)
    found: np.ndarray = np.hypot(eta[:, None] - eta, turn)
    np.fill_diagonal(found, np.inf)
    return found


@pytest.mark.parametrize("radius", [0.05, 0.4, 1.3, 2.5, 4.0])
@pytest.mark.parametrize("eta_max", [0.01, 3.0])
def test_lists_are_those_of_all_pairs(radius: float, eta_max: float) -> None:
    eta, phi = directions(200, 1, eta_max)
    offsets = np.array([0, 90, 90, 91, 200])
    lists = neighbour_lists(eta, phi, offsets, radius, 7)
    for first, last in itertools.pairwise(offsets):
        apart = distances(eta[first:last], phi[first:last])
        for i in range(last - first):
            near = np.argsort(apart[i], kind="stable")
            near = near[apart[i][near] < radius][:7]
            found = lists[first + i]
            assert found[found != NONE].tolist() == (near + first).tolist()


def test_without_anything_near_there_is_one_empty_column() -> None:
    lists = neighbour_lists(np.array([0.0, 2.0]), np.zeros(2), np.array([0, 1, 2]), 0.4, 5)
    assert lists.tolist() == [[NONE], [NONE]]
    assert neighbour_lists(np.zeros(0), np.zeros(0), np.array([0, 0]), 0.4, 5).shape == (0, 1)


def test_sums_are_those_of_all_pairs() -> None:
    eta, phi = directions(300, 2, 1.0)
    rng = np.random.default_rng(3)
    pt, kind = rng.exponential(2.0, 300), rng.integers(3, size=300)
    edges = np.array([0.1, 0.3, 0.6])
    sums, squares = local_sums(pt, eta, phi, kind, np.array([0, 120, 300]), edges, 3)
    for first, last in ((0, 120), (120, 300)):
        inside = slice(first, last)
        apart = distances(eta[inside], phi[inside])
        for k in range(3):
            chosen = np.where(kind[inside] == k, pt[inside], 0.0)
            low = 0.0
            for ring, high in enumerate(edges):
                expected = ((apart >= low) & (apart < high)) @ chosen
                np.testing.assert_allclose(sums[inside, k, ring], expected, atol=1e-12)
                low = high
            near = apart < edges[-1]
            expected = (near / np.maximum(apart, 0.02) ** 2) @ chosen**2
            np.testing.assert_allclose(squares[inside, k], expected, rtol=1e-12)
