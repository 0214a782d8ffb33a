"""Object shifts and the random numbers behind them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.jets.chance import event_words, normal, uniform
from fullchain.jets.settings import ResolutionShift, ScaleShift, TrackEfficiencyShift
from fullchain.jets.shifts import kept_tracks, resolution, scale_factors, smearing_factors

N = 20_000


def words(
    seed: int = 1, n: int = N, first: int = 0, keys: tuple[str, ...] = ("jets", "qcd", "jer")
) -> np.ndarray:
    event = np.arange(first, first + n, dtype=np.uint64)
    run, block = np.ones(n, np.uint32), np.full(n, 7, np.uint32)
    return event_words(seed, run, block, event, keys=keys)


def test_chance_is_uniform_and_normal():
    numbers = uniform(words(), np.zeros(N, int))
    assert np.all((numbers > 0) & (numbers < 1))
    assert numbers.mean() == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / N))
    counts, _ = np.histogram(numbers, bins=20, range=(0, 1))
    chi2 = np.sum((counts - N / 20) ** 2 / (N / 20))
    assert chi2 < 45, "19 degrees of freedom: one in a thousand"
    gauss = normal(words(), np.zeros(N, int))
    assert gauss.mean() == pytest.approx(0, abs=4 / np.sqrt(N))
    assert gauss.std() == pytest.approx(1, abs=4 / np.sqrt(2 * N))


def test_chance_of_neighbours_is_independent():
    first, second = (uniform(words(), np.full(N, k)) for k in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(N)
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 4 / np.sqrt(N)
    other_seed = uniform(words(2), np.zeros(N, int))
    assert abs(np.corrcoef(first, other_seed)[0, 1]) < 4 / np.sqrt(N)


@pytest.mark.parametrize("keys", [("jets", "tt", "jer"), ("jets", "qcd", "track_efficiency")])
def test_chance_of_other_samples_and_shifts_is_independent(keys):
    first, second = (
        uniform(words(keys=k), np.zeros(N, int)) for k in (("jets", "qcd", "jer"), keys)
    )
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(N)


def test_chance_belongs_to_the_event_and_not_to_its_place():
    np.testing.assert_array_equal(words(n=10, first=5), words(n=15)[5:])


@given(shift=st.floats(-0.1, 0.1), pt=st.floats(10, 5000), eta=st.floats(-5, 5))
def test_scale_shift_is_exact(shift, pt, eta):
    factor = scale_factors(ScaleShift(shift=shift), np.array([pt]), np.array([eta]))
    assert factor[0] == pytest.approx(1 + shift, rel=1e-12)


def test_scale_shift_with_slopes():
    shift = ScaleShift(shift=0.01, pt_slope=0.02, eta_slope=0.003)
    factor = scale_factors(shift, np.array([600.0, 600 * np.e]), np.array([0.0, -2.0]))
    assert factor == pytest.approx([1.01, 1.01 + 0.02 + 0.006], rel=1e-12)


@pytest.mark.parametrize("factor", [1.2, 0.8])
def test_resolution_of_matched_jets_is_scaled(factor):
    rng = np.random.default_rng(1)
    gen_pt = np.full(N, 600.0)
    shift = ResolutionShift(factor=factor)
    width = float(resolution(shift, np.array([600.0]))[0])
    pt = gen_pt * rng.normal(1, 0.5 * width, N)
    shifted = pt * smearing_factors(shift, pt, gen_pt, words(), np.zeros(N, int))
    assert np.std(shifted) / np.std(pt) == pytest.approx(factor, rel=1e-3)
    assert np.mean(shifted) == pytest.approx(np.mean(pt), rel=1e-3)


def test_resolution_of_unmatched_jets_is_smeared():
    pt = np.full(N, 600.0)
    shift = ResolutionShift(factor=1.25)
    factor = smearing_factors(shift, pt, np.full(N, np.nan), words(), np.zeros(N, int))
    expected = resolution(shift, pt[:1])[0] * np.sqrt(1.25**2 - 1)
    assert np.std(factor) == pytest.approx(expected, rel=0.03)
    better = ResolutionShift(factor=0.8)
    unchanged = smearing_factors(better, pt, np.full(N, np.nan), words(), np.zeros(N, int))
    assert np.all(unchanged == 1)


def test_far_particle_level_jet_counts_as_none():
    pt, shift = np.array([600.0]), ResolutionShift(factor=1.1)
    far = smearing_factors(shift, pt, np.array([200.0]), words(n=1), np.zeros(1, int))
    none = smearing_factors(shift, pt, np.array([np.nan]), words(n=1), np.zeros(1, int))
    assert far == none


def test_lost_tracks():
    charge = np.where(np.arange(N) % 2, 1, 0)
    kept = kept_tracks(TrackEfficiencyShift(loss=0.1), charge, words(), np.zeros(N, int))
    assert kept[charge == 0].all()
    lost = 1 - kept[charge != 0].mean()
    assert lost == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / (N / 2)))
