"""SoftKiller and the association of tracks."""

import numpy as np
import pytest

from fullchain.pileup.association import LEADING, PILEUP, UNKNOWN, origins
from fullchain.pileup.classical_settings import AssociationSettings, SoftKillerSettings
from fullchain.pileup.softkiller import softkiller_weights


def cut_by_hand(pt, eta, phi, low, high, size=0.4):
    """Median of the largest pT in the patches of both sides."""
    rows, columns = round((high - low) / size), round(2 * np.pi / size)
    largest = {(s, r, c): 0.0 for s in (-1, 1) for r in range(rows) for c in range(columns)}
    for p, e, f in zip(pt, eta, phi, strict=True):
        if low <= abs(e) < high:
            row = int((abs(e) - low) / (high - low) * rows)
            key = (np.sign(e), row, int((f + np.pi) / (2 * np.pi) * columns) % columns)
            largest[key] = max(largest[key], p)
    ordered = sorted(largest.values())
    return ordered[len(ordered) // 2]


def test_half_of_the_patches_are_emptied():
    rng = np.random.default_rng(1)
    n = 2000
    pt, eta = rng.exponential(1.0, n), rng.uniform(-4.9, 4.9, n)
    phi, origin = rng.uniform(-np.pi, np.pi, n), np.full(n, UNKNOWN)
    weights, cuts = softkiller_weights(
        pt, eta, phi, origin, np.array([0, n]), SoftKillerSettings(abs_eta_edges=(0, 2.5, 5))
    )
    by_hand = [cut_by_hand(pt, eta, phi, 0, 2.5), cut_by_hand(pt, eta, phi, 2.5, 5)]
    assert cuts[0] == pytest.approx(by_hand)
    own = np.where(np.abs(eta) < 2.5, *by_hand)
    assert list(weights) == list((pt > own).astype(float))


def test_tracks_are_kept_or_dropped_by_their_vertex():
    rng = np.random.default_rng(2)
    n = 900
    pt, eta, phi = rng.exponential(1.0, n), rng.uniform(-2, 2, n), rng.uniform(-3, 3, n)
    origin = np.repeat([LEADING, PILEUP, UNKNOWN], n // 3)
    weights, cuts = softkiller_weights(
        pt, eta, phi, origin, np.array([0, n, n]), SoftKillerSettings()
    )
    assert np.all(weights[origin == LEADING] == 1)
    assert np.all(weights[origin == PILEUP] == 0)
    neutral = origin == UNKNOWN
    assert cuts[0, 0] == cut_by_hand(pt[neutral], eta[neutral], phi[neutral], 0, 2.5)
    assert list(cuts[1]) == [0, 0]


def test_what_is_no_number_has_no_weight():
    pt, eta = np.array([np.nan, 5.0, 5.0, np.inf]), np.array([0.0, np.nan, 7.0, 1.0])
    weights, _ = softkiller_weights(
        pt, eta, np.zeros(4), np.full(4, UNKNOWN), np.array([0, 4]), SoftKillerSettings()
    )
    assert list(weights) == [0, 0, 1, 0]


PT = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 30.0, 30.0, 5.0])
ETA = np.array([0.0, 0.0, 0.0, 2.45, 0.0, 0.0, 0.0, 0.0])
CHARGE = np.array([1, 1, -1, 1, 1, -1, 1, 0])
FROM_PV = np.array([3, 0, 2, 1, 0, 1, 0, 3])
DZ = np.array([0.5, 0.5, 0.5, np.nan, 0.1, 0.5, 0.5, np.nan])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"loose_tracks": "nearest"}, "LPLPLLLU"),
        ({"loose_tracks": "dz"}, "LPPPLLLU"),
        ({"loose_tracks": "dz", "dz_eta_min": 2.4}, "LPUPLLLU"),
        ({"loose_tracks": "free"}, "LPUULLLU"),
        ({"loose_tracks": "nearest", "fitted_dz_max": 0}, "LPLPPLLU"),
        ({"loose_tracks": "nearest", "protected_track_pt": 0}, "LPLPLPPU"),
    ],
)
def test_association_of_tracks(changes, expected):
    chosen = AssociationSettings.model_validate(changes)
    found = origins(PT, ETA, CHARGE, FROM_PV, DZ, chosen)
    assert "".join("ULP"[one] for one in found) == expected
