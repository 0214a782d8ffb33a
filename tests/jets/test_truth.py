"""Labels of jets on decay chains written by hand."""

import awkward as ak
import numpy as np
import pytest

from fullchain.jets.labels import BOTTOM, GLUON, HIGGS, LIGHT, TOP, UNMATCHED, W, Z
from fullchain.jets.truth import label

HARD = 1 << 7


def chain(*particles: tuple[int, int, float, float], hard: bool = False) -> ak.Array:
    """(pdgId, mother, eta, phi) of each particle of one event."""
    code, mother, eta, phi = (list(x) for x in zip(*particles, strict=True))
    n = len(code)
    return ak.Array(
        [
            [
                {
                    "pt": 600.0 - i,
                    "eta": eta[i],
                    "phi": phi[i],
                    "pdgId": code[i],
                    "mother": mother[i],
                    "status": 23 if hard else 1,
                    "statusFlags": HARD if hard else 0,
                }
                for i in range(n)
            ]
        ]
    )


def label_at(particles: ak.Array, eta: float, phi: float) -> tuple[int, bool]:
    found, contained = label(np.array([eta]), np.array([phi]), np.array([0]), particles, radius=0.8)
    return int(found[0]), bool(contained[0])


def top(b: tuple[float, float], q1: tuple[float, float], q2: tuple[float, float]) -> ak.Array:
    """A top with copies: t -> t -> b W, W -> W -> q q."""
    return chain(
        (6, -1, 0.0, 0.0),
        (6, 0, 0.0, 0.0),
        (5, 1, *b),
        (24, 1, 0.1, 0.0),
        (24, 3, 0.1, 0.0),
        (2, 4, *q1),
        (-1, 4, *q2),
    )


def test_contained_top():
    assert label_at(top((0.3, 0), (-0.2, 0.1), (0, -0.3)), 0, 0) == (TOP, True)


def test_top_with_a_lost_light_quark_is_not_contained():
    assert label_at(top((0.3, 0), (-0.2, 0.1), (0, -0.9)), 0, 0) == (TOP, False)


def test_w_of_a_top_whose_b_is_outside():
    assert label_at(top((1.2, 0), (-0.2, 0.1), (0, -0.3)), 0, 0) == (W, True)


def test_far_jet_is_unmatched():
    assert label_at(top((0.3, 0), (-0.2, 0.1), (0, -0.3)), 0, 2.5) == (UNMATCHED, False)


def test_contained_top_across_the_seam():
    quarks = [(0.3, np.pi - 0.1), (0.0, -np.pi + 0.1), (-0.2, np.pi - 0.2)]
    assert label_at(top(*quarks), 0, -np.pi + 0.05) == (TOP, True)


def test_leptonic_top_is_not_a_top_jet():
    particles = chain(
        (6, -1, 0.0, 0.0), (5, 0, 0.1, 0.0), (24, 0, 0.2, 0.0), (11, 2, 0.2, 0.1), (-12, 2, 0.2, 0)
    )
    assert label_at(particles, 0, 0) == (UNMATCHED, False)
    flagged = ak.with_field(particles, ak.full_like(particles["pdgId"], HARD), "statusFlags")
    assert label_at(flagged, 0, 0) == (BOTTOM, True)


@pytest.mark.parametrize(
    ("boson", "first", "second", "expected"),
    [
        (24, 4, -3, W),
        (-24, -2, 1, W),
        (23, 5, -5, Z),
        (25, 5, -5, HIGGS),
        (25, 21, 21, HIGGS),
    ],
)
def test_bosons(boson, first, second, expected):
    inside = chain((boson, -1, 0.0, 0.0), (first, 0, 0.3, 0.0), (second, 0, -0.3, 0.0))
    outside = chain((boson, -1, 0.0, 0.0), (first, 0, 0.3, 0.0), (second, 0, -0.9, 0.0))
    assert label_at(inside, 0, 0) == (expected, True)
    assert label_at(outside, 0, 0) == (expected, False)


@pytest.mark.parametrize(
    ("code", "expected"), [(21, GLUON), (1, LIGHT), (-4, LIGHT), (5, BOTTOM), (-5, BOTTOM)]
)
def test_partons(code, expected):
    assert label_at(chain((code, -1, 0.1, 0.1), hard=True), 0, 0) == (expected, True)


def test_hardest_parton_decides_and_soft_ones_do_not_count():
    hard = chain((21, -1, 0.7, 0.0), (1, -1, 0.1, 0.0), hard=True)
    assert label_at(hard, 0, 0) == (GLUON, True), "the first has the higher pT"
    assert label_at(chain((21, -1, 0.1, 0.0)), 0, 0) == (UNMATCHED, False)


def test_each_jet_sees_only_its_event():
    particles = ak.concatenate(
        [chain((21, -1, 0.0, 0.0), hard=True), chain((5, -1, 0.0, 0.0), hard=True)]
    )
    found, _ = label(np.zeros(3), np.zeros(3), np.array([1, 0, 1]), particles, 0.8)
    assert found.tolist() == [BOTTOM, GLUON, BOTTOM]


def test_turning_the_event_turns_the_label_with_it():
    rng = np.random.default_rng(5)
    for _ in range(50):
        quarks = [(rng.normal(0, 0.5), rng.normal(0, 0.5)) for _ in range(3)]
        angle = rng.uniform(-np.pi, np.pi)
        particles = top(*quarks)
        turned = ak.with_field(
            particles, (particles["phi"] + angle + np.pi) % (2 * np.pi) - np.pi, "phi"
        )
        phi = (angle + np.pi) % (2 * np.pi) - np.pi
        assert label_at(particles, 0, 0) == label_at(turned, 0, phi)
