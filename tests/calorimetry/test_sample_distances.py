import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

from fullchain.calorimetry import coverage, frechet, independent_batches, kernel_distance
from fullchain.errors import InputError


def _covariance(rng, d):
    root = rng.normal(size=(d, d))
    return root @ root.T


def test_frechet_distance_is_that_of_scipy():
    rng = np.random.default_rng(1)
    c, d = _covariance(rng, 5), _covariance(rng, 5)
    m, n = rng.normal(size=5), rng.normal(size=5)
    known = ((m - n) ** 2).sum() + np.trace(c + d - 2 * np.real(sqrtm(c @ d)))
    assert float(frechet.distance(m, c, n, d)) == pytest.approx(known, rel=1e-8)


def test_frechet_distance_of_commuting_and_singular_gaussians():
    c, d = np.diag([4.0, 9.0, 0.0]), np.diag([1.0, 1.0, 0.0])
    zero = np.zeros(3)
    assert float(frechet.distance(zero, c, zero, d)) == pytest.approx(1.0 + 4.0)
    many = frechet.distance(np.zeros((2, 3)), np.stack([c, d]), zero, d)
    np.testing.assert_allclose(many, [5.0, 0.0], atol=1e-12)


def test_moments_of_blocks_are_those_of_numpy():
    rng = np.random.default_rng(2)
    values = rng.normal(5.0, 2.0, (400, 3))
    found = frechet.moments(values, np.zeros(3), 20, rng.permutation(400))
    mean, covariance = found.of(np.ones(20))
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(values.T), rtol=1e-9)


def _limits(first, second, seed=3, sizes=(1000, 4000)):
    return [
        frechet.extrapolated(first, second, sizes, np.random.default_rng(seed), replace=replace)
        for replace in (True, False)
    ]


def test_limit_of_known_gaussians():
    rng = np.random.default_rng(4)
    first, second = rng.normal(0.3, 1.0, (4000, 4)), rng.normal(0.0, 1.5, (4000, 4))
    known = 4 * (0.3**2 + 0.5**2)
    for limit in _limits(first, second):
        assert limit.value == pytest.approx(known, abs=4 * limit.error)
        assert 0 < limit.error < 0.1 * known


def test_limit_of_equal_distributions_is_zero_without_replacement():
    rng = np.random.default_rng(5)
    found = []
    for seed in range(12):
        both = rng.normal(size=(2, 2000, 6))
        found.append([one.value for one in _limits(*both, seed=seed, sizes=(500, 2000))])
    with_replacement, without = np.array(found).T
    error = without.std(ddof=1) / np.sqrt(12)
    assert abs(without.mean()) < 4 * error
    # The challenge's way keeps what the finite samples add.
    assert with_replacement.mean() > 4 * with_replacement.std(ddof=1) / np.sqrt(12)


def test_error_of_the_limit_is_the_spread_of_repeated_samples():
    rng = np.random.default_rng(6)
    limits = [
        _limits(rng.normal(0.4, 1, (2000, 2)), rng.normal(0, 1, (2000, 2)), seed)[1]
        for seed in range(25)
    ]
    spread = np.std([one.value for one in limits], ddof=1)
    assert np.mean([one.error for one in limits]) == pytest.approx(spread, rel=0.5)


def _paired(rng, number):
    """Samples of one distribution whose entries share most of it, as showers share energies."""
    common = rng.normal(size=(number, 3))
    return [common + rng.normal(0, 0.3, (number, 3)) for _ in range(2)]


@pytest.mark.parametrize("paired", [True, False])
def test_samples_that_share_energies_have_no_bias_if_they_never_meet(paired):
    rng = np.random.default_rng(20)
    frechets, kernels = [], []
    for seed in range(40):
        both = _paired(rng, 1000)
        limit = frechet.extrapolated(
            *both, (100, 500), np.random.default_rng(seed), replace=False, paired=paired
        )
        frechets.append(limit.value)
        kernels.append(
            kernel_distance.of_batches(*both, np.random.default_rng(seed), batches=2, paired=paired)
        )
    for values in (np.array(frechets), np.array([value for value, _, _ in kernels])):
        pull = values.mean() / (values.std(ddof=1) / np.sqrt(len(values)))
        # Else what they share is taken for closeness.
        assert abs(pull) < 3.5 if paired else pull < -3.5


def test_pairs_do_not_meet_in_batches():
    random = np.random.default_rng(21)
    some = list(independent_batches.independent((103, 103), 5, 20, True, random))
    assert len(np.unique(np.concatenate([rows for rows, _ in some]))) == 100
    assert len(np.unique(np.concatenate([others for _, others in some]))) == 100
    assert all(not set(rows) & set(others) for rows, others in some)


def test_sizes_are_equally_spaced_in_the_inverse():
    rng = np.random.default_rng(7)
    values = rng.normal(size=(4000, 2))
    sizes = np.array(_limits(values, values[::-1])[0].sizes)
    assert (sizes[0], sizes[-1], len(sizes)) == (1000, 4000, 10)
    steps = np.diff(1.0 / sizes)
    # Whole blocks of 20 entries.
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.2)


def test_too_few_showers_for_a_frechet_distance():
    values = np.random.default_rng(8).normal(size=(40, 14))
    with pytest.raises(InputError, match="needs 80 showers or more"):
        _limits(values, values)


def test_kernel_distance_is_the_double_sum(monkeypatch):
    rng = np.random.default_rng(9)
    first, second = rng.normal(size=(13, 3)), rng.normal(0.5, 1, (17, 3))
    kernel = lambda x, y: (x @ y / 3 + 1) ** 4  # noqa: E731
    within = [
        np.mean([kernel(x, y) for i, x in enumerate(one) for j, y in enumerate(one) if i != j])
        for one in (first, second)
    ]
    between = np.mean([kernel(x, y) for x in first for y in second])
    monkeypatch.setattr(kernel_distance, "ROWS", 5)
    known = sum(within) - 2 * between
    assert kernel_distance.squared(first, second) == pytest.approx(known, rel=1e-10)


def test_kernel_distance_has_no_bias_and_sees_a_shift():
    rng = np.random.default_rng(10)
    equal = [kernel_distance.squared(*rng.normal(size=(2, 60, 3))) for _ in range(300)]
    assert abs(np.mean(equal)) < 4 * np.std(equal) / np.sqrt(300)
    value, error, batches = kernel_distance.of_batches(
        rng.normal(0.5, 1, (2000, 3)), rng.normal(0, 1, (2000, 3)), rng
    )
    assert len(batches) == 10 and value > 5 * error


def test_deviation_of_equal_distributions_is_their_spread(monkeypatch):
    rng = np.random.default_rng(14)
    # One wide feature: the distribution of the discrepancy is far from normal.
    samples = rng.normal(size=(400, 2, 50, 2)) * [2.0, 0.2]
    spread = np.std([kernel_distance.squared(*both) for both in samples])
    monkeypatch.setattr(kernel_distance, "ROWS", 16)
    found = [kernel_distance.null_deviation(*both) for both in samples[:60]]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(spread, rel=0.35)
    pulls = []
    for both in rng.normal(size=(60, 2, 200, 2)) * [2.0, 0.2]:
        value, error, _ = kernel_distance.of_batches(*both, rng, batches=4)
        pulls.append(value / error)
    assert np.abs(pulls).max() < 5.0


def test_kernel_distance_needs_ten_showers_in_a_batch():
    values = np.zeros((99, 2))
    with pytest.raises(InputError, match="need 100 showers or more"):
        kernel_distance.of_batches(values, values, np.random.default_rng(1))


def _brute(generated, reference, k):
    radius = [np.sort(row)[k] for row in cdist(reference, reference)]
    own = [np.sort(row)[k] for row in cdist(generated, generated)]
    d = cdist(reference, generated)
    hits = sum((d[i] <= radius[i]).astype(int) for i in range(len(reference)))
    precision = np.mean(hits > 0)
    recall = np.mean([(d[i] <= own).any() for i in range(len(reference))])
    covered = np.mean([d[i].min() <= radius[i] for i in range(len(reference))])
    return [precision, recall, hits.mean() / k, covered]


def test_coverage_is_that_of_brute_force(monkeypatch):
    rng = np.random.default_rng(11)
    generated, reference = rng.normal(0.7, 0.8, (90, 2)), rng.normal(size=(70, 2))
    monkeypatch.setattr(coverage, "ROWS", 16)
    np.testing.assert_allclose(
        coverage.measured(generated, reference, 3), _brute(generated, reference, 3)
    )


def test_coverage_of_equal_distributions_is_as_expected():
    rng = np.random.default_rng(12)
    both = rng.normal(size=(2, 3000, 3))
    found = coverage.of_subsamples(*both, rng, size=600)
    value, error = found["coverage"]
    assert value == pytest.approx(coverage.same(600, 600), abs=4 * error + 0.005)
    assert coverage.same(600, 600) == pytest.approx(1 - 2.0**-5, abs=0.001)
    assert found["density"][0] == pytest.approx(1.0, abs=4 * found["density"][1] + 0.02)


def test_a_collapsed_model_is_precise_and_recalls_little():
    rng = np.random.default_rng(13)
    reference = rng.normal(size=(1000, 2))
    collapsed = rng.normal(0.0, 0.05, (1000, 2))
    precision, recall, density, covered = coverage.measured(collapsed, reference)
    assert precision > 0.99 and density > 0.7
    assert recall < 0.1 and covered < 0.1


def test_too_few_showers_for_subsamples():
    values = np.zeros((99, 2))
    with pytest.raises(InputError, match="need 100 showers or more"):
        coverage.of_subsamples(values, values, np.random.default_rng(1))
