"""The 16 features: by hand, by brute force, against fastjet and the stage jets, symmetries."""

import itertools

import awkward as ak
import fastjet
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullchain.firmware.inputs_settings import FEATURES
from fullchain.firmware.substructure_observables import CORRELATORS, observables
from fullchain.jets.arrays import momenta, offsets_of
from fullchain.jets.correlators import d2_and_n2
from fullchain.jets.declustering import decluster


def random_jets(seed: int, n_jets: int = 40) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 40, n_jets)
    n = counts.sum()
    # around phi = pi, so that the seam of the azimuth lies inside the jets
    phi = (generator.normal(np.pi, 0.25, n) + np.pi) % (2 * np.pi) - np.pi
    pt, eta = generator.exponential(9, n) + 0.05, generator.normal(0.3, 0.25, n)
    return momenta(pt, eta, phi, np.full(n, 0.14)), offsets_of(counts)


def features(p4: np.ndarray, offsets: np.ndarray, *, groomed: bool = False) -> dict:
    values = observables(p4, offsets, FEATURES, groomed=groomed)
    assert np.isfinite(values).all()
    return dict(zip(FEATURES, values.T, strict=True))


def one_jet(pt: list, eta: list, phi: list, *, groomed: bool = False) -> dict:
    p4 = momenta(np.array(pt), np.array(eta), np.array(phi), np.zeros(len(pt)))
    found = features(p4, np.array([0, len(pt)]), groomed=groomed)
    return {name: value[0] for name, value in found.items()}


def test_jets_of_no_and_of_one_particle_have_defined_values():
    p4 = momenta(np.array([50.0]), np.array([0.3]), np.array([1.0]), np.array([0.14]))
    for groomed in (False, True):
        found = features(p4, np.array([0, 0, 1, 1]), groomed=groomed)
        assert list(found["multiplicity"]) == [0, 1, 0]
        assert found["mass_mmdt"] == pytest.approx([0, 0.14, 0], rel=1e-6)
        for name in set(FEATURES) - {"multiplicity", "mass_mmdt"}:
            assert (found[name] == 0).all(), name


def test_no_jets_at_all():
    assert observables(np.zeros((0, 4)), np.zeros(1, np.int64), FEATURES, groomed=True).shape == (
        0,
        16,
    )


def test_two_particles_by_hand():
    z, distance = 0.3, 0.4
    found = one_jet([700 * (1 - z), 700 * z], [0.0, 0.0], [0.0, distance])
    assert found["zlogz"] == pytest.approx(z * np.log(z) + (1 - z) * np.log(1 - z))
    for power in range(3):
        assert found[f"c1_b{power}"] == pytest.approx(z * (1 - z) * distance**power)
    mass = 700 * np.sqrt(2 * z * (1 - z) * (1 - np.cos(distance)))
    assert found["mass_mmdt"] == pytest.approx(mass)
    assert found["multiplicity"] == 2
    for name in CORRELATORS[3:]:
        assert found[name] == 0, name


@pytest.mark.parametrize("groomed", [False, True])
def test_three_particles_by_hand(groomed):
    # at rapidities 0, 0.1, 0.3: distances 0.1, 0.2, 0.3, and all pass z > 0.1
    z1, z2, z3 = 0.5, 0.3, 0.2
    found = one_jet([300, 180, 120], [0.0, 0.1, 0.3], [0.0, 0.0, 0.0], groomed=groomed)
    every = z1 * z2 * z3
    expected = {"multiplicity": 3, "zlogz": sum(z * np.log(z) for z in (z1, z2, z3))}
    e2, e3 = {}, {}
    for b in (0, 1, 2):
        e2[b] = z1 * z2 * 0.1**b + z2 * z3 * 0.2**b + z1 * z3 * 0.3**b
        e3[b] = every * (0.1 * 0.2 * 0.3) ** b
        expected[f"c1_b{b}"] = e2[b]
    for b in (1, 2):
        expected[f"c2_b{b}"] = e3[b] / e2[b] ** 2
        expected[f"d2_b{b}"] = e3[b] / e2[b] ** 3
        expected[f"m2_b{b}"] = every * 0.1**b / e2[b]
        expected[f"n2_b{b}"] = every * (0.1 * 0.2) ** b / e2[b] ** 2
    expected["d2_a1_b1"] = e3[1] / e2[1] ** 3
    expected["d2_a1_b2"] = e3[1] / e2[2] ** 1.5
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


def test_two_columns_of_the_published_data_are_one_number():
    found = features(*random_jets(3))
    np.testing.assert_array_equal(found["d2_b1"], found["d2_a1_b1"])


def test_correlators_against_sums_over_all_triples():
    p4, offsets = random_jets(5, 6)
    found = features(p4, offsets)
    pt = np.hypot(p4[:, 0], p4[:, 1])
    rapidity = np.arctanh(p4[:, 2] / p4[:, 3])
    phi = np.arctan2(p4[:, 1], p4[:, 0])
    for jet in range(6):
        some = range(offsets[jet], offsets[jet + 1])
        if len(some) < 3:
            continue
        z = pt / pt[some].sum()

        def angle(i, j):
            turn = (phi[i] - phi[j] + np.pi) % (2 * np.pi) - np.pi
            return np.hypot(rapidity[i] - rapidity[j], turn)

        triples = [
            (z[i] * z[j] * z[k], *sorted((angle(i, j), angle(i, k), angle(j, k))))
            for i, j, k in itertools.combinations(some, 3)
        ]
        shares, small, middle, large = np.array(triples).T
        for b in (1, 2):
            e2 = sum(z[i] * z[j] * angle(i, j) ** b for i, j in itertools.combinations(some, 2))
            sums = {
                f"c2_b{b}": (shares * (small * middle * large) ** b).sum() / e2**2,
                f"d2_b{b}": (shares * (small * middle * large) ** b).sum() / e2**3,
                f"m2_b{b}": (shares * small**b).sum() / e2,
                f"n2_b{b}": (shares * (small * middle) ** b).sum() / e2**2,
                f"c1_b{b}": e2,
            }
            for name, value in sums.items():
                assert found[name][jet] == pytest.approx(value, rel=1e-7), name
        assert found["d2_a1_b2"][jet] == pytest.approx(
            (shares * small * middle * large).sum() / e2**1.5, rel=1e-7
        )
        pairs = sum(z[i] * z[j] for i, j in itertools.combinations(some, 2))
        assert found["c1_b0"][jet] == pytest.approx(pairs)


@pytest.mark.parametrize("beta", [1, 2])
def test_d2_and_n2_agree_with_the_stage_jets(beta):
    p4, offsets = random_jets(1)
    d2, n2 = d2_and_n2(p4, offsets, float(beta))
    several = np.diff(offsets) > 2
    found = features(p4, offsets)
    np.testing.assert_allclose(found[f"d2_b{beta}"][several], d2[several], rtol=1e-9)
    np.testing.assert_allclose(found[f"n2_b{beta}"][several], n2[several], rtol=1e-9)


def test_groomed_correlators_are_those_of_what_the_tagger_leaves():
    p4, offsets = random_jets(2)
    _, _, kept, _, _ = decluster(p4, offsets, 0.1, 0.0, 0.8)
    counts = np.add.reduceat(kept, offsets[:-1])
    assert (counts < np.diff(offsets)).any()
    groomed, of_all = features(p4, offsets, groomed=True), features(p4, offsets)
    alone = features(p4[kept], offsets_of(counts))
    for name in CORRELATORS:
        np.testing.assert_array_equal(groomed[name], alone[name])
    for name in ("zlogz", "mass_mmdt", "multiplicity"):
        np.testing.assert_array_equal(groomed[name], of_all[name])


def test_mass_agrees_with_fastjet():
    p4, offsets = random_jets(4)
    columns = dict(zip(("px", "py", "pz", "E"), p4.T.copy(), strict=True))
    records = ak.zip(columns, with_name="Momentum4D")
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, 100.0)
    sequence = fastjet.ClusterSequence(ak.unflatten(records, np.diff(offsets)), definition)
    theirs = sequence.exclusive_jets_softdrop_grooming(1, beta=0.0, symmetry_cut=0.1, R0=0.8)
    ours = features(p4, offsets)["mass_mmdt"]
    np.testing.assert_allclose(ours, ak.to_numpy(theirs.msoftdrop), rtol=1e-6, atol=1e-6)


def test_particles_at_one_place_give_zeros_and_not_rounding():
    found = one_jet([200, 100, 50, 7], [0.37] * 4, [2.1] * 4)
    shares = np.array([200, 100, 50, 7]) / 357
    assert found["c1_b0"] == pytest.approx(0.5 * (1 - (shares**2).sum()))
    for name in CORRELATORS[1:]:
        assert found[name] == 0, name


@settings(max_examples=20, deadline=None)
@given(
    boost=st.floats(-2, 2),
    turn=st.floats(0, 6.28),
    scale=st.floats(0.1, 10),
    groomed=st.booleans(),
    seed=st.integers(0, 9),
)
def test_symmetries(boost, turn, scale, groomed, seed):
    p4, offsets = random_jets(seed, 8)
    px, py, pz, energy = p4.T
    moved = scale * np.stack(
        [
            np.cos(turn) * px - np.sin(turn) * py,
            np.sin(turn) * px + np.cos(turn) * py,
            np.cosh(boost) * pz + np.sinh(boost) * energy,
            np.sinh(boost) * pz + np.cosh(boost) * energy,
        ],
        axis=1,
    )
    before, after = (features(some, offsets, groomed=groomed) for some in (p4, moved))
    for name in FEATURES:
        factor = scale if name == "mass_mmdt" else 1.0
        np.testing.assert_allclose(
            after[name], factor * before[name], rtol=1e-5, atol=1e-5, err_msg=name
        )


def test_order_of_particles_does_not_matter():
    p4, offsets = random_jets(6, 10)
    pieces = [p4[a:b][::-1] for a, b in itertools.pairwise(offsets)]
    before, after = features(p4, offsets), features(np.concatenate(pieces), offsets)
    for name in FEATURES:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9, atol=1e-12)
