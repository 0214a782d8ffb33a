"""Observables of constituents, against values worked out by hand."""

import numpy as np
import pytest

from fullchain.tagging.constituent_observables import FUNCTIONS, observables

NAMES = tuple(FUNCTIONS)


def jet(particles: list[tuple[float, ...]], padding: int = 0) -> np.ndarray:
    """One jet of particles pT, eta, phi, charge, PDG code."""
    rows = np.zeros((1, len(particles) + padding, 6), dtype=np.float32)
    for place, (pt, eta, phi, charge, code) in enumerate(particles):
        rows[0, place] = (pt, eta, phi, 0.14, charge, code)
    return rows


# A photon and a pion on the axis of the jet in eta, 0.3 apart.
TWO = jet([(30.0, 0.5, 0.2, 1, 211), (10.0, 0.5, -0.1, 0, 22)])
AXIS = np.array([[0.5, 0.1]])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_pf", 2),
        ("width", 0.75 * 0.1 + 0.25 * 0.2),
        ("ptd", np.hypot(0.75, 0.25)),
        ("c_beta", 0.75 * 0.25 * 0.3**0.2),
        ("s_pid", np.log(2)),
        ("s_frag", -0.75 * np.log(0.75) - 0.25 * np.log(0.25)),
        ("e_q", 0.75),
        ("jet_charge", 0.75**0.5),
    ],
)
def test_two_particles(name: str, value: float) -> None:
    found = observables(TWO, AXIS, [name], beta=0.2)[name]
    assert found.tolist() == pytest.approx([value], rel=1e-5)


def test_angles_are_taken_around_the_circle() -> None:
    across = jet([(30.0, 0.5, 3.1, 1, 211), (10.0, 0.5, -3.1, 0, 22)])
    apart = 2 * np.pi - 6.2
    found = observables(across, np.array([[0.5, 3.1]]), ["width", "c_beta"], beta=1.0)
    assert found["width"][0] == pytest.approx(0.25 * apart, rel=1e-4)
    assert found["c_beta"][0] == pytest.approx(0.75 * 0.25 * apart, rel=1e-4)


def test_padding_and_order_change_nothing() -> None:
    generator = np.random.default_rng(1)
    particles = [
        (float(pt), float(eta), float(phi), int(charge), 211 if charge else 22)
        for pt, eta, phi, charge in zip(
            -np.sort(-generator.exponential(10, 9)),
            *generator.normal(0, 0.3, (2, 9)),
            generator.integers(-1, 2, 9),
            strict=True,
        )
    ]
    axis = np.zeros((1, 2))
    plain = observables(jet(particles), axis, NAMES)
    padded = observables(jet(particles, padding=7), axis, NAMES)
    turned = observables(jet(particles[::-1]), axis, NAMES)
    for name in NAMES:
        np.testing.assert_allclose(padded[name], plain[name], rtol=1e-5)
        np.testing.assert_allclose(turned[name], plain[name], rtol=1e-5)


def test_a_jet_without_constituents_has_zeros() -> None:
    found = observables(np.zeros((1, 4, 6)), np.zeros((1, 2)), NAMES)
    assert all(column.tolist() == [0.0] for column in found.values())
