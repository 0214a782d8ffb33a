"""Our compiled substructure against fastjet, against closed formulas, and its symmetries."""

import awkward as ak
import fastjet
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullchain.jets.arrays import Kinematics, momenta, offsets_of, sums
from fullchain.jets.correlators import d2_and_n2
from fullchain.jets.declustering import decluster
from fullchain.jets.settings import SubstructureSettings
from fullchain.jets.subjettiness import subjettiness
from fullchain.jets.substructure import energy_fractions, measure

RADIUS = 0.8


def random_jets(seed: int, n_jets: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 90, n_jets)
    n = counts.sum()
    # around phi = pi, so that the seam of the azimuth lies inside the jets
    phi = (rng.normal(np.pi, 0.25, n) + np.pi) % (2 * np.pi) - np.pi
    p4 = momenta(rng.exponential(9, n) + 0.05, rng.normal(0.3, 0.25, n), phi, np.full(n, 0.14))
    return p4, offsets_of(counts)


@pytest.fixture(scope="module")
def jets() -> tuple[np.ndarray, np.ndarray]:
    return random_jets(1)


@pytest.fixture(scope="module")
def sequence(jets: tuple[np.ndarray, np.ndarray]) -> fastjet.ClusterSequence:
    p4, offsets = jets
    columns = dict(zip(("px", "py", "pz", "E"), p4.T.copy(), strict=True))
    records = ak.zip(columns, with_name="Momentum4D")
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, 100.0)
    return fastjet.ClusterSequence(ak.unflatten(records, np.diff(offsets)), definition)


@pytest.mark.parametrize(("z_cut", "beta"), [(0.1, 0.0), (0.05, 1.0), (0.2, 2.0)])
def test_soft_drop_agrees_with_fastjet(jets, sequence, z_cut, beta):
    mass, pt, kept, _, _ = decluster(*jets, z_cut, beta, RADIUS)
    groomed = sequence.exclusive_jets_softdrop_grooming(1, beta=beta, symmetry_cut=z_cut, R0=RADIUS)
    np.testing.assert_allclose(pt, groomed.ptsoftdrop, rtol=1e-9)
    np.testing.assert_allclose(mass, groomed.msoftdrop, rtol=1e-6, atol=1e-6)
    counted = sums(kept.astype(float), jets[1])
    np.testing.assert_array_equal(counted, ak.num(groomed.constituents))


def test_lund_plane_agrees_with_fastjet(jets, sequence):
    _, _, _, offsets, lund = decluster(*jets, 0.1, 0.0, RADIUS)
    theirs = ak.flatten(sequence.exclusive_jets_lund_declusterings(1), axis=1)
    np.testing.assert_array_equal(np.diff(offsets), ak.num(theirs))
    np.testing.assert_allclose(lund[:, 0], ak.flatten(theirs.kt), rtol=1e-9)
    np.testing.assert_allclose(lund[:, 1], ak.flatten(theirs.Delta), rtol=1e-9)
    assert np.all((lund[:, 2] > 0) & (lund[:, 2] <= 0.5))


@pytest.mark.parametrize(("axes", "one_pass"), [("KT_Axes", False), ("OnePass_KT_Axes", True)])
def test_subjettiness_agrees_with_fastjet(jets, sequence, axes, one_pass):
    ours = subjettiness(*jets, 4, RADIUS, one_pass)
    theirs = ak.to_numpy(sequence.njettiness(axes_definition=axes, R0=RADIUS)).reshape(-1, 4)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_correlators_agree_with_fastjet(jets, sequence, beta):
    d2, n2 = d2_and_n2(*jets, beta)
    for ours, name in ((d2, "d2"), (n2, "n2")):
        theirs = ak.to_numpy(sequence.exclusive_jets_energy_correlator(1, beta=beta, func=name))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


def three_prongs(z: tuple[float, float, float], pt: float = 600.0) -> np.ndarray:
    """Massless prongs at equal rapidity distances 0.1, 0.2, 0.3: on a line."""
    share = np.array(z)
    return momenta(pt * share, np.array([0.0, 0.1, 0.3]), np.zeros(3), np.zeros(3))


def test_three_prongs_in_closed_form():
    z1, z2, z3 = z = (0.5, 0.3, 0.2)
    d2, n2 = d2_and_n2(three_prongs(z), np.array([0, 3]), 1.0)
    e2 = z1 * z2 * 0.1 + z2 * z3 * 0.2 + z1 * z3 * 0.3
    assert d2[0] == pytest.approx(z1 * z2 * z3 * 0.1 * 0.2 * 0.3 / e2**3, rel=1e-9)
    assert n2[0] == pytest.approx(z1 * z2 * z3 * 0.1 * 0.2 / e2**2, rel=1e-9)


def test_two_prongs_in_closed_form():
    distance, z = 0.4, 0.3
    p4 = momenta(600 * np.array([1 - z, z]), np.zeros(2), np.array([0.0, distance]), np.zeros(2))
    found = measure(p4, np.array([0, 2]), RADIUS, SubstructureSettings())
    mass = 600 * np.sqrt(2 * z * (1 - z) * (1 - np.cos(distance)))
    assert found.msoftdrop[0] == pytest.approx(mass, rel=1e-9)
    assert found.d2[0] == found.n2[0] == 0
    assert list(found.tau[0, 1:]) == [0, 0, 0]
    kt, delta, share = found.lund[0]
    assert (kt, delta, share) == pytest.approx((600 * z * distance, distance, z), rel=1e-9)
    # one axis with beta = 1 is the median: on the harder prong
    assert found.tau[0, 0] == pytest.approx(z * distance / RADIUS, rel=1e-3)


def test_soft_drop_removes_a_wide_soft_prong():
    hard = momenta(np.array([300.0, 280.0]), np.zeros(2), np.array([0.0, 0.2]), np.zeros(2))
    soft = momenta(np.array([5.0]), np.array([0.6]), np.zeros(1), np.zeros(1))
    mass, _, kept, _, lund = decluster(
        np.concatenate([hard, soft]), np.array([0, 3]), 0.1, 0.0, RADIUS
    )
    assert list(kept) == [True, True, False]
    assert mass[0] == pytest.approx(np.sqrt(2 * 300 * 280 * (1 - np.cos(0.2))), rel=1e-9)
    assert lund[0, 1] > lund[1, 1], "from wide to narrow"


def test_empty_and_single_constituents():
    p4 = momenta(np.array([500.0]), np.array([0.3]), np.array([1.0]), np.array([0.14]))
    found = measure(p4, np.array([0, 0, 1]), RADIUS, SubstructureSettings())
    assert np.isnan(found.msoftdrop[0]) and np.isnan(found.tau[0]).all()
    assert found.msoftdrop[1] == pytest.approx(0.14, rel=1e-3)
    assert list(found.tau[1]) == [0, 0, 0, 0]
    assert np.isnan(found.d2).all() and np.isnan(found.ratio(2, 1)).all()
    assert list(found.lund_offsets) == [0, 0, 0]


def observables(p4: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    found = measure(p4, offsets, RADIUS, SubstructureSettings())
    return np.column_stack([found.msoftdrop, found.tau, found.d2, found.n2])


@settings(max_examples=20, deadline=None)
@given(angle=st.floats(-3.1, 3.1), seed=st.integers(0, 5))
def test_rotation_about_the_beam_changes_nothing(angle, seed):
    p4, offsets = random_jets(seed, 8)
    turned = p4.copy()
    turned[:, 0] = np.cos(angle) * p4[:, 0] - np.sin(angle) * p4[:, 1]
    turned[:, 1] = np.sin(angle) * p4[:, 0] + np.cos(angle) * p4[:, 1]
    np.testing.assert_allclose(
        observables(turned, offsets), observables(p4, offsets), rtol=1e-6, atol=1e-5
    )


@settings(max_examples=20, deadline=None)
@given(rapidity=st.floats(-1.5, 1.5), seed=st.integers(0, 5))
def test_boost_along_the_beam_changes_nothing(rapidity, seed):
    p4, offsets = random_jets(seed, 8)
    boosted = p4.copy()
    boosted[:, 3] = np.cosh(rapidity) * p4[:, 3] + np.sinh(rapidity) * p4[:, 2]
    boosted[:, 2] = np.sinh(rapidity) * p4[:, 3] + np.cosh(rapidity) * p4[:, 2]
    np.testing.assert_allclose(
        observables(boosted, offsets), observables(p4, offsets), rtol=1e-5, atol=1e-4
    )


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.5, 2.0), seed=st.integers(0, 5))
def test_scaling_a_jet_scales_only_its_mass(factor, seed):
    p4, offsets = random_jets(seed, 8)
    before, after = observables(p4, offsets), observables(p4 * factor, offsets)
    np.testing.assert_allclose(after[:, 0], before[:, 0] * factor, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], rtol=1e-6, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 20), eta=st.floats(-0.3, 0.3), phi=st.floats(-0.3, 0.3))
def test_soft_particles_and_collinear_splittings_change_nothing(seed, eta, phi):
    rng = np.random.default_rng(seed)
    n = 12
    p4 = momenta(
        rng.exponential(40, n) + 1, rng.normal(0, 0.2, n), rng.normal(0, 0.2, n), np.zeros(n)
    )
    soft = momenta(np.array([1e-7]), np.array([eta]), np.array([phi]), np.zeros(1))
    split = np.concatenate([0.4 * p4[:1], 0.6 * p4[:1], p4[1:]])
    before = observables(p4, np.array([0, n]))
    for changed in (np.concatenate([p4, soft]), split):
        after = observables(changed, np.array([0, n + 1]))
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)


def test_energy_fractions_add_up():
    code = np.array([211, -211, 130, 22, 11, -13, 1, 2])
    charge = np.array([1, -1, 0, 0, -1, 1, 0, 0])
    energy = np.array([10.0, 5, 4, 3, 2, 1, 0.5, 0.25])
    found = energy_fractions(energy, code, charge, np.array([0, 8, 8]))
    shares = [getattr(found, f)[0] for f in found.__dataclass_fields__]
    assert sum(shares) == pytest.approx(1)
    assert np.array(shares) * energy.sum() == pytest.approx([15, 4.5, 3.25, 2, 1])
    assert found.muons[1] == 0, "a jet without constituents"


def test_kinematics_of_momenta():
    pt, eta, phi, mass = (np.array([x]) for x in (100.0, -1.2, 2.0, 30.0))
    back = Kinematics.of(momenta(pt, eta, phi, mass))
    for ours, given_ in zip(
        (back.pt, back.eta, back.phi, back.mass), (pt, eta, phi, mass), strict=True
    ):
        assert ours == pytest.approx(given_, rel=1e-9)


def test_fractions_of_jets_without_any_class_are_unknown():
    """Three jets: no class at all, one particle of no class, and no particle."""
    energy, charge = np.array([1.0, 3.0, 1.0, 3.0]), np.array([0, 0, 0, 0])
    fractions = energy_fractions(energy, np.array([0, 0, 22, 0]), charge, np.array([0, 2, 4, 4]))
    assert np.isnan(fractions.photons).tolist() == [True, False, False]
    assert fractions.photons[1:].tolist() == [0.25, 0]
    assert fractions.neutral_hadrons[1:].tolist() == [0.75, 0]
