"""Areas under ROC curves, discriminants fitted to other events, and peaks."""

import math

import numpy as np
import pytest

from fullchain.pileup.discrimination_settings import DiscriminantSettings
from fullchain.pileup.quantities import Pairs
from fullchain.pileup.restoration import difference, peak
from fullchain.pileup.separation import NOT_FOUND, areas, crossfitted

QUICK = DiscriminantSettings(folds=3, divisions=1, iterations=25)


def shifted(n: int, by: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A feature with a Gaussian distribution, moved for signal; and which is signal."""
    rng = np.random.default_rng(seed)
    is_signal = np.arange(n) % 2 == 0
    return rng.normal(size=n) + by * is_signal, is_signal


def identities(events: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(events), np.ones_like(events), events], axis=1).astype(np.uint64)


def fit(features, is_signal, event=None, applied=None, weight=None, seed=1):
    event = np.arange(len(features)) if event is None else event
    return crossfitted(
        features, applied or {"own": features}, is_signal,
        np.ones(len(features)) if weight is None else weight, identities(event), QUICK, seed,
    )  # fmt: skip


def test_the_area_of_two_gaussians_is_known():
    score, is_signal = shifted(6000, 1.3, 1)
    expected = 0.5 * (1 + math.erf(1.3 / 2))
    weights = np.stack([np.ones(6000), np.random.default_rng(2).poisson(1.0, 6000)])
    found = areas(score, is_signal, weights)
    # standard deviation of the area: about 0.0055
    assert found == pytest.approx(np.full(2, expected), abs=0.02)
    assert areas(-score, is_signal, weights) == pytest.approx(1 - found)


def test_areas_count_weights_and_ties():
    is_signal = np.array([True, True, False, False])
    weights = np.array([[1.0, 1, 1, 1], [1, 0, 1, 0], [1, 3, 1, 3]])
    found = areas(np.array([1.0, 0.0, 1.0, 0.0]), is_signal, weights)
    assert found == pytest.approx([0.5, 0.5, 0.5])
    found = areas(np.array([2.0, 0.0, 1.0, -1.0]), is_signal, weights)
    # pairs in order: all but (0.0, 1.0); of weight 3 in 16
    assert found == pytest.approx([0.75, 1.0, 1 - 3 / 16])


def test_an_area_needs_both_classes():
    is_signal = np.array([True, False])
    found = areas(np.array([1.0, 0.0]), is_signal, np.array([[1.0, 1.0], [0.0, 1.0]]))
    assert found[0] == 1.0 and np.isnan(found[1])
    assert np.isnan(areas(np.array([1.0]), np.array([True]), np.ones((2, 1)))).all()


def test_trees_reach_the_area_of_the_best_score():
    """Two features of which only the distance from zero tells: no cut on one of them does."""
    rng = np.random.default_rng(3)
    is_signal = np.arange(2000) % 2 == 0
    features = rng.normal(size=(2000, 2)) * np.where(is_signal, 0.4, 1.0)[:, None]
    found = fit(features, is_signal)["own"]
    one = np.ones((1, 2000))
    best = areas(-np.sum(features**2, axis=1), is_signal, one)[0]
    assert best - 0.03 < areas(found, is_signal, one)[0] < best + 0.005
    assert areas(features[:, 0], is_signal, one)[0] == pytest.approx(0.5, abs=0.05)


def test_jets_are_scored_by_trees_that_do_not_know_their_event():
    """Two like jets in each event, whose class is drawn: whoever knows one knows the other."""
    rng = np.random.default_rng(4)
    event = np.repeat(np.arange(300), 2)
    features = np.repeat(rng.normal(size=(300, 2)), 2, axis=0)
    is_signal = np.repeat(rng.random(300) < 0.5, 2)
    one = np.ones((1, 600))
    apart = areas(fit(features, is_signal, event)["own"], is_signal, one)[0]
    torn = areas(fit(features, is_signal, np.arange(600))["own"], is_signal, one)[0]
    assert apart == pytest.approx(0.5, abs=0.1)
    assert torn > 0.6


def test_scores_are_the_same_again():
    feature, is_signal = shifted(400, 1.0, 5)
    one, other = (fit(feature[:, None], is_signal)["own"] for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, fit(feature[:, None], is_signal, seed=2)["own"])


def test_jets_that_were_not_found_come_last():
    feature, is_signal = shifted(400, 2.0, 6)
    features = np.stack([feature, feature], axis=1)
    features[:5] = np.nan
    features[5, 0] = np.nan
    found = fit(features, is_signal)["own"]
    assert np.all(found[:5] == NOT_FOUND)
    assert np.all((found[5:] > 0) & (found[5:] < 1))


def test_classes_of_a_fit_weigh_the_same():
    """Ten times the weight of one class does not move the scores."""
    feature, is_signal = shifted(600, 1.0, 7)
    weight = np.where(is_signal, 10.0, 1.0)
    one, other = (fit(feature[:, None], is_signal, weight=w)["own"] for w in (None, weight))
    assert other == pytest.approx(one, abs=1e-6)


def test_no_fit_without_both_classes():
    assert fit(np.ones((20, 1)), np.ones(20, bool)) is None


def test_trees_are_applied_to_what_is_given():
    feature, is_signal = shifted(600, 2.0, 8)
    features = feature[:, None]
    applied = {"own": features, "moved": features + 1.0, "blind": np.zeros((600, 1))}
    found = fit(features, is_signal, applied=applied)
    one = np.ones((1, 600))
    assert np.mean(found["moved"]) > np.mean(found["own"])
    # each part has another constant score
    assert areas(found["blind"], is_signal, one)[0] == pytest.approx(0.5, abs=0.05)


def test_the_peak_of_a_gaussian_is_its_mean_whatever_the_tail():
    rng = np.random.default_rng(9)
    core, tail = rng.normal(173.0, 15.0, 8000), rng.uniform(0.0, 90.0, 2000)
    weights = np.stack([np.ones(10000), rng.poisson(1.0, 10000)]).astype(float)
    values = np.concatenate([core, tail])
    found = peak(Pairs(values, values, np.arange(10000)), weights)
    assert found["position"] == pytest.approx([173.0, 173.0], abs=2.0)
    # half of all jets are 62.5 % of those in the peak: 0.887 and not 0.674 deviations each way
    assert found["width"] == pytest.approx(np.full(2, 15.0 * 0.887 / 0.674), rel=0.06)
    alone = peak(Pairs(core, core, np.arange(8000)), weights[:, :8000])
    assert alone["width"] == pytest.approx([15.0, 15.0], rel=0.06)


def test_a_peak_counts_weights():
    values = np.array([1.0, 2.0, 3.0, 50.0, 51.0])
    pairs = Pairs(values, values, np.arange(5))
    weights = np.array([[1.0, 1, 1, 1, 1], [0, 0, 1, 3, 3], [0, 0, 0, 0, 0]])
    found = peak(pairs, weights)
    assert found["position"][:2] == pytest.approx([2.0, 50.5])
    assert np.isnan(found["position"][2])


def test_a_known_shift_is_found():
    rng = np.random.default_rng(10)
    reference = rng.uniform(0.2, 0.8, 4000)
    value = reference + rng.normal(0.05, 0.02, 4000)
    found = difference(Pairs(value, reference, np.arange(4000)), np.ones((1, 4000)))
    assert found["shift"][0] == pytest.approx(0.05, abs=0.002)
    assert found["iqr"][0] == pytest.approx(1.349 * 0.02, rel=0.06)
