import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from fullchain.errors import InputError
from fullchain.learning.calibration import (
    LIMIT,
    calibration_error,
    fit_temperature,
    probabilities,
    reliability,
)


def drawn(rows: int, classes: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that follow them exactly."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (rows, classes))
    chances = probabilities(logits)
    label = (generator.random((rows, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(label, classes - 1)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_known_temperature_is_found(classes: int) -> None:
    logits, label = drawn(10_000, classes)
    assert fit_temperature(logits, label).value == pytest.approx(1, abs=0.06)
    found = fit_temperature(2.5 * logits, label)
    assert found.value == pytest.approx(2.5 * fit_temperature(logits, label).value, rel=1e-9)
    assert found.loss_after < found.loss_before and not found.limited
    # The order of the classes stays.
    before, after = (probabilities(2.5 * logits, t).argmax(axis=1) for t in (1.0, found.value))
    assert np.array_equal(before, after)


def test_temperature_is_at_the_minimum_of_the_weighted_likelihood() -> None:
    logits, label = drawn(500, 3)
    weight = np.random.default_rng(2).uniform(0, 3, 500)
    found = fit_temperature(logits, label, weight)

    def loss(temperature: float) -> float:
        rows = log_softmax(logits / temperature, axis=1)[np.arange(500), label]
        return -float(np.average(rows, weights=weight))

    best = minimize_scalar(loss, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-9})
    assert found.value == pytest.approx(best.x, rel=1e-6)
    assert found.loss_after == pytest.approx(best.fun, rel=1e-12)
    assert found.loss_before == pytest.approx(loss(1.0), rel=1e-12)
    assert found == fit_temperature(logits, label, weight)
    assert found.value != pytest.approx(fit_temperature(logits, label).value, rel=1e-3)


def test_weights_are_repetitions() -> None:
    logits, label = drawn(300, 3)
    times = np.random.default_rng(3).integers(0, 4, 300)
    repeated = [np.repeat(values, times, axis=0) for values in (logits, label)]
    weighted = fit_temperature(logits, label, times)
    assert weighted.value == pytest.approx(fit_temperature(*repeated).value, rel=1e-8)
    one = calibration_error(probabilities(logits), label, times, replicas=2)
    other = calibration_error(probabilities(repeated[0]), repeated[1], replicas=2)
    assert one.error.value == pytest.approx(other.error.value, rel=1e-10)


def test_rows_that_are_all_right_or_all_wrong_have_no_temperature() -> None:
    logits = np.array([[3.0, 0.0], [0.0, 2.0]])
    right = fit_temperature(logits, [0, 1])
    assert right.limited and right.value == pytest.approx(1 / LIMIT)
    wrong = fit_temperature(logits, [1, 0])
    assert wrong.limited and wrong.value == pytest.approx(LIMIT)


def test_calibration_error_of_a_hand_made_sample() -> None:
    # 0.9 said, 3 of 4 right; 0.6 said, 1 of 2 right: (4 x 0.15 + 2 x 0.1) / 6.
    chances = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 2)
    found = calibration_error(chances, [0, 0, 0, 1, 1, 0], bins=10)
    assert found.error.value == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)


def test_temperature_removes_the_calibration_error() -> None:
    logits, label = drawn(8000, 3)
    proud = 3 * logits
    before = calibration_error(probabilities(proud), label)
    temperature = fit_temperature(proud, label).value
    after = calibration_error(probabilities(proud, temperature), label)
    assert before.error.value > before.if_perfect + 5 * before.error.deviation
    assert abs(after.error.value - after.if_perfect) < 3 * after.error.deviation
    assert before.error.low < before.error.value < before.error.high


def test_deviation_is_that_of_repeated_samples() -> None:
    def found(seed: int, replicas: int) -> tuple[float, float]:
        logits, label = drawn(1000, 2, seed)
        error = calibration_error(probabilities(3 * logits), label, replicas=replicas).error
        return error.value, error.deviation

    values = [found(seed, 2)[0] for seed in range(100)]
    assert found(1, 200)[1] == pytest.approx(np.std(values), rel=0.25)


def test_jets_of_one_event_are_drawn_together() -> None:
    logits, label = drawn(1000, 2)
    chances = probabilities(3 * logits)
    alone = calibration_error(chances, label).error
    event = np.repeat(np.arange(1000), 4)
    four = calibration_error(np.repeat(chances, 4, axis=0), np.repeat(label, 4), event=event).error
    assert four.value == pytest.approx(alone.value)
    assert four.deviation == pytest.approx(alone.deviation)


def test_reliability_covers_the_truth() -> None:
    generator = np.random.default_rng(4)
    chance = generator.beta(0.7, 0.7, 4000)
    weight = generator.uniform(0.5, 1.5, 4000)
    curve = reliability(chance, generator.random(4000) < chance, weight, bins=10)
    assert np.all((curve.lower <= curve.predicted) & (curve.predicted <= curve.upper))
    inside = (curve.low <= curve.predicted) & (curve.predicted <= curve.high)
    assert inside.sum() >= 3 and curve.rows.sum() == 4000
    wide = np.abs(curve.observed - curve.predicted) < 3 * (curve.high - curve.low)
    assert wide.all()
    proud = reliability(chance**0.5, generator.random(4000) < chance, weight, bins=10)
    assert (proud.high < proud.predicted).sum() >= 6


def test_bins_without_rows_are_left_out() -> None:
    curve = reliability([0.0, 0.05, 1.0, 1.0], [False, False, True, True], bins=10)
    assert curve.lower.tolist() == [0.0, 0.9] and curve.rows.tolist() == [2, 2]
    assert curve.observed.tolist() == [0.0, 1.0]


def test_bad_input_is_named() -> None:
    logits, label = drawn(10, 3)
    with pytest.raises(InputError, match="labels from 0 to 3 for 3 classes"):
        fit_temperature(logits, [0, 1, 2, 3, 0, 0, 0, 0, 0, 0])
    with pytest.raises(InputError, match="finite"):
        fit_temperature(np.full((10, 3), np.nan), label)
    with pytest.raises(InputError, match="positive sum"):
        fit_temperature(logits, label, -np.ones(10))
    with pytest.raises(InputError, match="a label and a weight each"):
        fit_temperature(logits, label[:9])
    with pytest.raises(InputError, match="needs probabilities"):
        calibration_error(logits, label)
    with pytest.raises(InputError, match="needs probabilities"):
        reliability([0.5, 1.5], [True, False])
