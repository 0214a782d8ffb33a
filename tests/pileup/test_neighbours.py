"""Sums over neighbours against the direct double loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullchain.pileup.neighbours import neighbour_sums


def direct(eta, phi, source_eta, source_phi, source_pt, radius, inner, squared):
    d_phi = (phi[:, None] - source_phi + np.pi) % (2 * np.pi) - np.pi
    distance = np.hypot(eta[:, None] - source_eta, d_phi)
    inside = (distance > inner) & (distance < radius)
    share = source_pt / np.where(inside, distance, 1.0)
    return np.sum(np.where(inside, share**2 if squared else share, 0.0), axis=1)


@settings(max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.05, 0.3, 0.4, 0.99]),
    st.sampled_from([0.5, 5.0, 9.9]),
    st.booleans(),
)
def test_sums_are_those_of_the_double_loop(seed, radius, reach, squared):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(0, 60), rng.integers(0, 200)
    eta, source_eta = rng.uniform(-10, 10, n), rng.uniform(-reach, reach, m)
    phi, source_phi = rng.uniform(-np.pi, np.pi, n), rng.uniform(-np.pi, np.pi, m)
    pt = rng.exponential(1.0, m)
    eta[: m // 4] = source_eta[: len(eta[: m // 4])] + 0.1
    given_to = (eta, phi, source_eta, source_phi, pt, radius, 0.01, squared)
    assert neighbour_sums(*given_to) == pytest.approx(direct(*given_to), rel=1e-9)


def test_neighbours_across_phi_of_pi_are_found():
    eta, phi = np.zeros(3), np.array([np.pi, -np.pi, 3.1])
    found = neighbour_sums(eta, phi, np.zeros(1), np.array([-3.1]), np.ones(1), 0.4, 0.01, False)
    assert found == pytest.approx(1 / np.array([np.pi - 3.1, np.pi - 3.1, 2 * (np.pi - 3.1)]))


def test_a_candidate_is_no_neighbour_of_itself():
    here = np.array([0.3])
    assert neighbour_sums(here, here, here, here, np.array([50.0]), 0.4, 0.01, True) == [0.0]
