import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.calorimetry import separation
from fullchain.calorimetry.separation import Resampled

EDGES = np.linspace(0.0, 1.0, 11)

samples = st.lists(st.floats(-0.5, 1.5), min_size=2, max_size=40).map(np.array)


@given(samples, samples)
def test_lies_between_zero_and_one_and_is_symmetric(first, second):
    value = separation.separation(first, second, EDGES)
    assert 0.0 <= value <= 1.0 + 1e-12
    assert value == pytest.approx(separation.separation(second, first, EDGES))
    assert separation.separation(first, first, EDGES) == 0.0


def test_what_lies_outside_the_bins_counts():
    inside = np.array([0.5, 0.5])
    assert separation.separation(inside, np.array([0.5, -1.0]), EDGES) == pytest.approx(
        0.5 * (0.5**2 / 1.5 + 0.5**2 / 0.5)
    )
    # Below and above are not the same.
    assert separation.separation(np.array([-1.0]), np.array([2.0]), EDGES) == 1.0


def test_counts_as_numpy_does_inside():
    values = np.random.default_rng(1).uniform(-0.2, 1.2, 500)
    values[:2] = 1.0, 0.0
    found = separation.counts(values, EDGES)
    np.testing.assert_array_equal(found[1:-1], np.histogram(values, EDGES)[0])
    assert found.sum() == 500 and found[0] == (values < 0).sum()


def _permuted(first, second, number, rng):
    both = np.concatenate([first, second])
    found = []
    for _ in range(number):
        rng.shuffle(both)
        found.append(separation.separation(both[: len(first)], both[len(first) :], EDGES))
    return np.mean(found), np.std(found) / np.sqrt(number)


@pytest.mark.parametrize(("n", "m", "close"), [(60, 60, 0.0), (400, 100, 0.05)])
def test_expected_is_the_mean_over_divisions(n, m, close):
    rng = np.random.default_rng(2)
    first, second = rng.beta(2, 3, n), rng.beta(3, 2, m)
    mean, error = _permuted(first, second, 3000, rng)
    found = separation.expected(separation.counts(first, EDGES), separation.counts(second, EDGES))
    assert found == pytest.approx(mean, abs=4 * error + close * mean)


def test_expected_of_pairs_is_the_mean_over_exchanges():
    rng = np.random.default_rng(3)
    common = rng.uniform(0, 1, 80)
    first, second = common + rng.normal(0, 0.05, 80), common + rng.normal(0, 0.05, 80)
    numbers = [separation.bin_numbers(one, EDGES) for one in (first, second)]
    found = []
    for _ in range(3000):
        swap = rng.random(80) < 0.5
        found.append(
            separation.separation(
                np.where(swap, second, first), np.where(swap, first, second), EDGES
            )
        )
    expected = separation.expected_of_pairs(*numbers, len(EDGES) + 1)
    assert expected == pytest.approx(np.mean(found), abs=4 * np.std(found) / np.sqrt(3000))
    # Samples that share their energies are closer than independent ones.
    counts = [np.bincount(one, minlength=12) for one in numbers]
    assert expected < separation.expected(*counts)


def test_expected_of_spectra_knows_that_entries_of_a_shower_belong_together():
    rng = np.random.default_rng(4)
    # Half of the showers have all voxels in one bin, half in the other.
    rows = np.array([[10, 0], [0, 10]], dtype=np.uint16)
    values = []
    for _ in range(400):
        first, second = rows[rng.integers(2, size=200)], rows[rng.integers(2, size=200)]
        values.append(separation.of_counts(first.sum(axis=0), second.sum(axis=0)))
    expected = separation.expected_of_spectra(first, second, paired=False)
    assert expected == pytest.approx(np.mean(values), abs=5 * np.std(values) / 20)
    assert separation.expected_of_spectra(first, first, paired=True) == 0.0


def test_bootstrap_error_is_the_spread_of_repeated_samples():
    rng = np.random.default_rng(5)
    # Far apart, so that the separation is nearly linear in the counts.
    values = [
        separation.separation(rng.beta(2, 6, 400), rng.beta(6, 2, 400), EDGES) for _ in range(300)
    ]
    first, second = rng.beta(2, 6, 400), rng.beta(6, 2, 400)
    counts = [
        Resampled(400, 300, rng).counts(separation.bin_numbers(one, EDGES), len(EDGES) + 1)
        for one in (first, second)
    ]
    assert np.std(separation.of_counts(*counts)) == pytest.approx(np.std(values), rel=0.25)


def test_resampled_means_are_of_the_chosen_showers():
    resampled = Resampled(100, 20, np.random.default_rng(6))
    assert (resampled.weights.sum(axis=1) == 100).all()
    chosen = np.arange(40)
    np.testing.assert_allclose(resampled.select(chosen).means(np.full(40, 3.0)), 3.0, rtol=1e-6)
