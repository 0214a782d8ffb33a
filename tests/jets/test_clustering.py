"""Anti-kT clustering, pile-up mitigation, matching and selection."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullchain.errors import InputError
from fullchain.jets.arrays import momenta, offsets_of, sums
from fullchain.jets.clustering import cluster
from fullchain.jets.matching import nearest, take
from fullchain.jets.mitigation import has_weights, weights
from fullchain.jets.selection import identified, select
from fullchain.jets.settings import SelectionSettings
from fullchain.jets.substructure import EnergyFractions


def random_events(seed: int, n_events: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 200, n_events)
    n = counts.sum()
    p4 = momenta(
        rng.exponential(5, n) + 0.1,
        rng.normal(0, 1.5, n),
        rng.uniform(-np.pi, np.pi, n),
        np.zeros(n),
    )
    return p4, offsets_of(counts)


def anti_kt(p4: np.ndarray, radius: float) -> list[frozenset[int]]:
    """The definition of anti-kT, written down without any care for speed."""
    jets = {i: (p, frozenset([i])) for i, p in enumerate(p4)}
    found, fresh = [], len(p4)
    while jets:
        best = (np.inf, None, None)
        keys = list(jets)
        for a, i in enumerate(keys):
            px, py, pz, energy = jets[i][0]
            pt2, y, phi = px**2 + py**2, np.arctanh(pz / energy), np.arctan2(py, px)
            best = min(best, (1 / pt2, i, -1))
            for j in keys[a + 1 :]:
                qx, qy, qz, q_energy = jets[j][0]
                dphi = abs(phi - np.arctan2(qy, qx))
                dphi = min(dphi, 2 * np.pi - dphi)
                dr2 = (y - np.arctanh(qz / q_energy)) ** 2 + dphi**2
                best = min(best, (min(1 / pt2, 1 / (qx**2 + qy**2)) * dr2 / radius**2, i, j))
        _, i, j = best
        if j == -1:
            found.append(jets.pop(i)[1])
        else:
            (p, members), (q, others) = jets.pop(i), jets.pop(j)
            jets[fresh] = (p + q, members | others)
            fresh += 1
    return found


def test_clustering_is_anti_kt():
    rng = np.random.default_rng(3)
    n = 25
    p4 = momenta(
        rng.exponential(20, n) + 1, rng.normal(0, 1, n), rng.uniform(-3.1, 3.1, n), np.zeros(n)
    )
    jets = cluster(p4, np.array([0, n]), 0.8, 0.0)
    ours = {frozenset(jets.members[a:b].tolist()) for a, b in pairwise(jets.member_offsets)}
    assert ours == set(anti_kt(p4, 0.8))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_jets_are_sorted_and_sums_of_their_members(seed):
    p4, offsets = random_events(seed)
    jets = cluster(p4, offsets, 0.8, 5.0)
    pt = np.hypot(jets.momenta[:, 0], jets.momenta[:, 1])
    for first, last in pairwise(jets.event_offsets):
        assert np.all(np.diff(pt[first:last]) <= 0)
    np.testing.assert_allclose(
        sums(p4[jets.members], jets.member_offsets), jets.momenta, rtol=1e-9, atol=1e-9
    )
    member_event = np.searchsorted(offsets, jets.members, side="right") - 1
    np.testing.assert_array_equal(
        member_event, np.repeat(jets.events, np.diff(jets.member_offsets))
    )
    assert np.all(pt >= 5.0) and len(np.unique(jets.members)) == len(jets.members)


def test_events_do_not_influence_each_other():
    p4, offsets = random_events(4, 6)
    together = cluster(p4, offsets, 0.8, 5.0)
    alone = [cluster(p4[a:b], np.array([0, b - a]), 0.8, 5.0).momenta for a, b in pairwise(offsets)]
    np.testing.assert_array_equal(together.momenta, np.concatenate(alone))


def test_no_candidates_give_no_jets():
    jets = cluster(np.zeros((0, 4)), np.zeros(4, np.int64), 0.8, 5.0)
    assert len(jets.momenta) == 0 and list(jets.event_offsets) == [0, 0, 0, 0]


CHARGE = np.array([1, -1, 0, 1])
FROM_PV = np.array([3, 0, 3, 1])
PUPPI = np.array([1.0, 0.0, 0.3, 1.0])


@pytest.mark.parametrize(
    ("method", "puppi", "expected"),
    [
        ("none", PUPPI, [1, 1, 1, 1]),
        ("chs", PUPPI, [1, 0, 1, 1]),
        ("stored", PUPPI, [1, 0, 0.3, 1]),
        ("auto", PUPPI, [1, 0, 0.3, 1]),
        ("auto", np.ones(4), [1, 0, 1, 1]),
    ],
)
def test_mitigation(method, puppi, expected):
    assert list(weights(method, puppi, CHARGE, FROM_PV)) == expected


def test_stored_weights_that_are_not_there_are_an_error():
    with pytest.raises(InputError, match="puppiWeight"):
        weights("stored", np.ones(4), CHARGE, FROM_PV)


def test_without_pile_up_all_methods_agree():
    no_pile_up = np.full(4, 3)
    assert has_weights(np.ones(4), CHARGE, no_pile_up) is None
    for method in ("none", "chs", "stored", "auto"):
        assert list(weights(method, np.ones(4), CHARGE, no_pile_up)) == [1, 1, 1, 1]


def test_nearest_looks_across_the_seam_and_only_in_its_event():
    index = nearest(
        np.array([0.0, 0.0, 0.0]),
        np.array([3.1, 3.1, 0.0]),
        np.array([0, 1, 1]),
        np.array([0.0, 0.1, 0.0]),
        np.array([-3.1, 2.9, 3.1]),
        np.array([0, 2, 3]),
        0.4,
    )
    assert list(index) == [0, 2, -1]
    assert take(np.array([5.0, 6.0, 7.0]), index)[:2].tolist() == [5, 7]
    assert np.isnan(take(np.array([5.0, 6.0, 7.0]), index)[2])


def test_selection_ranks_good_jets_by_shifted_pt():
    chosen = SelectionSettings(pt_min=500, pt_max=700, jets_per_event=2)
    pt = np.array([900.0, 520, 650, 600, 499, 510])
    event = np.array([0, 0, 0, 0, 1, 1])
    good = np.array([False, True, True, True, True, True])
    place, rank = select(pt, good, event, chosen)
    assert place.tolist() == [2, 3, 5] and rank.tolist() == [0, 1, 0]
    # a leading jet above the window takes its place in the ranking all the same
    place, rank = select(pt, np.ones(6, bool), event, chosen)
    assert place.tolist() == [2, 5] and rank.tolist() == [1, 0]


def test_identification_drops_muons_and_passes_the_unknown():
    zeros = np.zeros(3)
    muons = np.array([0.9, 0.1, np.nan])
    fractions = EnergyFractions(zeros, zeros, zeros, zeros, muons)
    assert identified(fractions, SelectionSettings()).tolist() == [False, True, True]
    off = SelectionSettings(identification=False)
    assert identified(fractions, off).tolist() == [True, True, True]
