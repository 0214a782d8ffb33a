import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from fullchain.errors import InputError
from fullchain.learning import roc

SHIFT = 1.5
"""Distance of two unit Gaussians; the exact AUC is Phi(SHIFT / sqrt 2)."""
EXACT_AUC = norm.cdf(SHIFT / np.sqrt(2))


def gaussians(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    is_signal = np.arange(rows) % 2 == 0
    return generator.normal(SHIFT * is_signal, 1.0), is_signal


def bootstrap(score: np.ndarray, is_signal: np.ndarray, **changes: object) -> roc.Bootstrap:
    options: dict = {
        "event": np.arange(len(score)),
        "grid": [0.3, 0.5, 0.9],
        "working_points": [0.3, 0.5],
        "cut": SHIFT / 2,
        "replicas": 60,
        "seed": 5,
    } | changes
    return roc.bootstrap(roc.Sorted(score, is_signal, options.pop("weight", None)), **options)


def test_too_few_events_for_a_bootstrap_are_named() -> None:
    # The only background jet has a negative weight: no replica has a background efficiency.
    score, is_signal = np.array([0.9, 0.1]), np.array([True, False])
    with pytest.raises(InputError, match=r"of 20 replicas .* over 2 events 0 hold signal and"):
        bootstrap(score, is_signal, weight=np.array([1.0, -1.0]), replicas=20)


def test_gaussian_scores_have_the_exact_area_rejection_and_accuracy() -> None:
    found = bootstrap(*gaussians(0, 20000))
    assert abs(found.area.value - EXACT_AUC) < 3 * found.area.deviation
    for point, interval in found.background.items():
        exact = norm.sf(norm.isf(point) + SHIFT)
        assert abs(interval.value - exact) < 3 * interval.deviation
        assert interval.low < interval.value < interval.high
    assert abs(found.accuracy.value - norm.cdf(SHIFT / 2)) < 3 * found.accuracy.deviation
    assert (found.band[0] < found.band[1]).all()


def test_bootstrap_covers() -> None:
    trials = 120
    inside = {"area": 0, 0.3: 0, 0.5: 0}
    for trial in range(trials):
        found = bootstrap(*gaussians(100 + trial, 600), seed=trial)
        inside["area"] += abs(found.area.value - EXACT_AUC) < found.area.deviation
        for point, interval in found.background.items():
            exact = norm.sf(norm.isf(point) + SHIFT)
            inside[point] += interval.low < exact < interval.high
    # 68 % of 120 trials with a binomial deviation of 0.043; small samples cover a little less.
    for covered in inside.values():
        assert 0.53 < covered / trials < 0.83


def test_bootstrap_is_over_events_and_not_over_rows() -> None:
    score, is_signal = gaussians(1, 2000)
    once = bootstrap(score, is_signal).area.deviation
    event = np.tile(np.arange(2000), 4)
    repeated = bootstrap(np.tile(score, 4), np.tile(is_signal, 4), event=event).area.deviation
    assert repeated == pytest.approx(once, rel=1e-6)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(1, 4)), min_size=2))
def test_area_with_ties_and_weights_against_sklearn(rows: list[tuple[int, bool, int]]) -> None:
    score, is_signal, weight = (np.array(column) for column in zip(*rows, strict=True))
    if is_signal.all() or not is_signal.any():
        with pytest.raises(ValueError, match="signal and of background"):
            roc.roc_curve(score, is_signal, weight)
        return
    expected = roc_auc_score(is_signal, score, sample_weight=weight)
    assert roc.area(roc.roc_curve(score, is_signal, weight)) == pytest.approx(expected)


def test_working_point_keeps_at_least_its_signal() -> None:
    score, is_signal = gaussians(2, 501)
    curve = roc.roc_curve(score, is_signal)
    for target in (0.1, 0.3, 0.5, 1.0):
        cut = roc.threshold(curve, target)
        assert (score[is_signal] >= cut).mean() >= target
        assert roc.background_efficiency(curve, target) == (score[~is_signal] >= cut).mean()


def test_threshold_meets_an_efficiency_that_a_point_has_exactly() -> None:
    curve = roc.roc_curve(np.arange(20), np.arange(20) >= 10)
    assert roc.threshold(curve, 0.3) == 17
    assert roc.background_efficiency(curve, 0.3) == 0


def test_accuracy_counts_equal_scores_as_passing() -> None:
    curve = roc.roc_curve([0.2, 0.5, 0.5, 0.9], [False, False, True, True])
    assert roc.accuracy(curve, 0.5) == 0.75
    assert roc.accuracy(curve, 0.6) == 0.75
    assert roc.accuracy(curve, 2.0) == 0.5


def test_integer_weights_are_repeated_rows() -> None:
    score, is_signal = gaussians(3, 300)
    weight = np.random.default_rng(0).integers(1, 4, 300)
    repeated = roc.roc_curve(np.repeat(score, weight), np.repeat(is_signal, weight))
    weighted = roc.roc_curve(score, is_signal, weight)
    np.testing.assert_allclose(weighted.background, repeated.background, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_and_weights_must_be_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        roc.roc_curve([bad, 0.0], [True, False])
    with pytest.raises(ValueError, match="not finite"):
        roc.roc_curve([1.0, 0.0], [True, False], [1.0, bad])


def test_event_numbers_are_equal_exactly_for_equal_identities() -> None:
    numbers = roc.event_numbers([1, 1, 2, 1], [7, 8, 7, 7], [3, 3, 3, 3])
    assert numbers[0] == numbers[3]
    assert len(set(numbers.tolist())) == 3
    assert sorted(set(numbers.tolist())) == [0, 1, 2]
