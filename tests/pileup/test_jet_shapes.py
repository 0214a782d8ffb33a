"""N95 and the energy correlation functions: by hand, by brute force, and what must not matter."""

from itertools import combinations

import numpy as np
import pytest

from fullchain.jets.arrays import momenta
from fullchain.jets.correlators import d2_and_n2
from fullchain.pileup.jet_shapes import energy_correlations, n95


def jet(*particles: tuple[float, float, float]) -> np.ndarray:
    """Massless particles of these pT, eta and phi, whose rapidity is their eta."""
    pt, eta, phi = np.array(particles, float).reshape(-1, 3).T
    return momenta(pt, eta, phi, np.zeros(len(pt)))


def of_one(p4: np.ndarray, beta: float = 1.0) -> tuple[float, float]:
    two, three = energy_correlations(p4, np.arange(len(p4)), np.array([0, len(p4)]), beta)
    return two[0], three[0]


def pixels(p4: np.ndarray, eta: float = 0.0, phi: float = 0.0, pixel: float = 0.1) -> float:
    offsets = np.array([0, len(p4)])
    return float(n95(p4, np.arange(len(p4)), offsets, np.array([eta]), np.array([phi]), pixel)[0])


def random_jet(n: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return momenta(
        rng.exponential(5.0, n), rng.normal(1.0, 0.3, n), rng.normal(3.1, 0.3, n),
        rng.choice([0.0, 0.14], n),
    )  # fmt: skip


def brute_force(p4: np.ndarray, beta: float) -> tuple[float, float]:
    """The definitions of arXiv:1305.0007, written out."""
    px, py, pz, energy = p4.T
    pt, rapidity, phi = np.hypot(px, py), np.arctanh(pz / energy), np.arctan2(py, px)

    def angle(i: int, j: int) -> float:
        turn = (phi[i] - phi[j] + np.pi) % (2 * np.pi) - np.pi
        return float(np.hypot(rapidity[i] - rapidity[j], turn))

    every = range(len(p4))
    two = sum(pt[i] * pt[j] * angle(i, j) ** beta for i, j in combinations(every, 2))
    three = sum(
        pt[i] * pt[j] * pt[k] * (angle(i, j) * angle(i, k) * angle(j, k)) ** beta
        for i, j, k in combinations(every, 3)
    )
    return two, three


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0, 4.0])
def test_correlations_of_two_and_three_particles_by_hand(beta: float) -> None:
    pair = jet((10.0, 0.0, 3.1), (4.0, 0.3, 3.1 + 0.4 - 2 * np.pi))
    assert of_one(pair, beta) == pytest.approx((40.0 * 0.5**beta, 0.0))
    # Sides of 0.3, 0.4 and 0.5.
    three = jet((10.0, 0.0, 0.0), (4.0, 0.3, 0.0), (2.0, 0.3, 0.4))
    two = 40 * 0.3**beta + 20 * 0.5**beta + 8 * 0.4**beta
    assert of_one(three, beta) == pytest.approx((two, 80 * (0.3 * 0.4 * 0.5) ** beta))


@pytest.mark.parametrize("beta", [1.0, 4.0])
def test_correlations_are_those_of_the_definition(beta: float) -> None:
    p4 = random_jet(25)
    assert of_one(p4, beta) == pytest.approx(brute_force(p4, beta), rel=1e-9)


def test_correlations_are_those_behind_d2() -> None:
    p4 = random_jet(40)
    two, three = of_one(p4, 1.0)
    total = np.hypot(p4[:, 0], p4[:, 1]).sum()
    d2, _ = d2_and_n2(p4, np.array([0, len(p4)]), 1.0)
    assert three * total**3 / two**3 == pytest.approx(d2[0])


def test_jets_with_too_few_particles() -> None:
    assert of_one(jet((10.0, 0.2, 0.1))) == (0.0, 0.0)
    nothing = np.zeros((0, 4))
    assert of_one(nothing) == (0.0, 0.0)
    assert np.isnan(pixels(nothing))
    assert np.isnan(pixels(np.zeros((2, 4))))


def test_pixels_are_counted_from_the_hardest() -> None:
    # 90, 4, 3, 2, 1 in five pixels: 94 % is not enough, 97 % is.
    spread = [(90.0, 0.0, 0.0), (4.0, 0.1, 0.0), (3.0, 0.2, 0.0), (2.0, 0.0, 0.1), (1.0, 0.0, 0.2)]
    assert pixels(jet(*spread)) == 3
    # Those in one pixel count as one: 90, 7, 2, 1.
    together = [spread[0], spread[1], (3.0, 0.12, 0.02), *spread[3:]]
    assert pixels(jet(*together)) == 2
    # 95 % exactly is enough.
    assert pixels(jet((95.0, 0.0, 0.0), (5.0, 0.1, 0.0))) == 1
    assert pixels(jet((94.9, 0.0, 0.0), (5.1, 0.1, 0.0))) == 2


def test_pixels_lie_around_the_direction() -> None:
    # 0.08 apart: in one pixel where its centre is between them, else in two.
    pair = jet((50.0, 0.0, 0.0), (50.0, 0.08, 0.0))
    assert pixels(pair, eta=0.04) == 1
    assert pixels(pair, eta=0.0) == 2
    assert pixels(pair, pixel=0.2) == 1
    # The seam of the azimuth parts nothing.
    seam = jet((50.0, 0.0, np.pi - 0.02), (50.0, 0.0, -np.pi + 0.02))
    assert pixels(seam, phi=np.pi) == pixels(seam, phi=-np.pi) == 1


def test_what_has_no_momentum_changes_nothing_and_order_does_not_matter() -> None:
    p4 = random_jet(30)
    more = np.concatenate([np.zeros((2, 4)), p4[:15], np.zeros((1, 4)), p4[15:]])
    assert of_one(more, 4.0) == pytest.approx(of_one(p4, 4.0), rel=1e-12)
    assert pixels(more, 1.0, 3.1) == pixels(p4, 1.0, 3.1)
    backwards = p4[::-1].copy()
    assert of_one(backwards) == pytest.approx(of_one(p4), rel=1e-12)
    assert pixels(backwards, 1.0, 3.1) == pixels(p4, 1.0, 3.1)


def test_a_soft_or_collinear_split_changes_nothing() -> None:
    p4 = random_jet(12)
    soft = np.concatenate([p4, 1e-9 * random_jet(3, seed=8)])
    assert of_one(soft) == pytest.approx(of_one(p4), rel=1e-6)
    assert pixels(soft, 1.0, 3.1) == pixels(p4, 1.0, 3.1)
    split = np.concatenate([0.3 * p4[:1], 0.7 * p4[:1], p4[1:]])
    assert of_one(split) == pytest.approx(of_one(p4), rel=1e-9)
    assert pixels(split, 1.0, 3.1) == pixels(p4, 1.0, 3.1)


def test_several_jets_are_told_apart() -> None:
    one, other = random_jet(7), random_jet(9, seed=5)
    both = np.concatenate([one, other])
    members = np.concatenate([np.arange(7, 16), np.arange(7)])
    offsets = np.array([0, 9, 16])
    two, three = energy_correlations(both, members, offsets, 1.0)
    assert (two[0], three[0]) == pytest.approx(of_one(other))
    assert (two[1], three[1]) == pytest.approx(of_one(one))
    found = n95(both, members, offsets, np.full(2, 1.0), np.full(2, 3.1), 0.1)
    assert found.tolist() == [pixels(other, 1.0, 3.1), pixels(one, 1.0, 3.1)]
