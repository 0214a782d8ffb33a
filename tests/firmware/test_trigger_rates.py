"""Thresholds at a fixed rate and efficiencies: known truth, ties, weights, nothing at all."""

import numpy as np
import pytest
from scipy import stats

from fullchain.errors import InputError
from fullchain.firmware.trigger_rates import (
    Areas,
    Ranked,
    cut,
    efficiency,
    replicas,
)
from fullchain.learning import roc


def ranked(scores, weights=None):
    scores = np.asarray(scores, dtype=float)
    return Ranked(scores, np.ones(len(scores)) if weights is None else np.asarray(weights, float))


def test_efficiency_of_gaussian_scores_is_the_analytic_one():
    generator = np.random.default_rng(1)
    number, shift = 200_000, 1.5
    background = ranked(generator.normal(size=number))
    signal = ranked(generator.normal(shift, 1.0, size=number))
    for fraction in (0.01, 0.1):
        chosen = cut(background, fraction)
        wanted = stats.norm.sf(stats.norm.isf(fraction) - shift)
        found = float(signal.above(np.array([chosen.value]))[0])
        # The threshold fluctuates with the background, the efficiency with the signal.
        slope = stats.norm.pdf(stats.norm.isf(fraction) - shift) / stats.norm.pdf(
            stats.norm.isf(fraction)
        )
        error = np.hypot(
            np.sqrt(wanted * (1 - wanted) / number),
            slope * np.sqrt(fraction * (1 - fraction) / number),
        )
        assert abs(found - wanted) < 4 * error
        assert chosen.achieved <= fraction < chosen.looser
        assert chosen.achieved == pytest.approx(fraction, abs=1.1 / number)
    area = Areas(background, signal).area()
    assert area == pytest.approx(stats.norm.cdf(shift / np.sqrt(2)), abs=4e-3)


def test_a_part_that_can_be_had_exactly_is_had():
    background = ranked(np.arange(100))
    chosen = cut(background, 0.1)
    assert (chosen.value, chosen.achieved, chosen.looser) == (90.0, 0.1, 0.11)


def test_equal_scores_pass_together():
    # 10 of 100 events at 3, 20 at 2, the rest at 0.
    background = ranked(np.repeat([3.0, 2.0, 0.0], [10, 20, 70]))
    assert cut(background, 0.29).value == 3.0
    assert cut(background, 0.29).achieved == pytest.approx(0.1)
    assert cut(background, 0.29).looser == pytest.approx(0.3)
    assert cut(background, 0.3).value == 2.0
    signal = ranked([3.0, 2.0, 2.0, 0.0])
    assert signal.above(np.array([3.0, 2.5, 2.0, 0.0, -1.0])).tolist() == [0.25, 0.25, 0.75, 1, 1]


def test_no_threshold_where_too_many_events_share_the_highest_score():
    background = ranked(np.repeat([3.0, 0.0], [10, 90]))
    chosen = cut(background, 0.05)
    assert (chosen.value, chosen.achieved) == (np.inf, 0.0)
    assert chosen.looser == pytest.approx(0.1)
    assert ranked([3.0, 5.0]).above(np.array([chosen.value]))[0] == 0.0


def test_a_weight_of_two_is_two_events():
    scores, weights = np.array([4.0, 3.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0])
    heavy, many = ranked(scores, weights), ranked(np.repeat(scores, weights.astype(int)))
    for fraction in (0.1, 0.3, 0.35, 0.6, 0.9):
        assert cut(heavy, fraction).value == cut(many, fraction).value
        assert cut(heavy, fraction).achieved == pytest.approx(cut(many, fraction).achieved)
    signal = ranked([3.5, 1.5])
    assert Areas(heavy, signal).area() == pytest.approx(Areas(many, signal).area())
    # Factors come in the order of the events as they were given, not as they are sorted.
    shuffled = ranked(scores[[2, 0, 3, 1]])
    factor = weights[[2, 0, 3, 1]]
    assert shuffled.passing(factor) == pytest.approx(heavy.passing())


def test_a_threshold_depends_on_the_rate_not_on_the_unit_of_weights():
    generator = np.random.default_rng(2)
    scores, weights = generator.normal(size=500), generator.random(500)
    first, second = ranked(scores, weights), ranked(scores, 1e-9 * weights)
    assert cut(first, 0.05).value == cut(second, 0.05).value


@pytest.mark.parametrize(
    ("scores", "weights", "words"),
    [
        ([], [], "no events"),
        ([1.0, np.nan], [1.0, 1.0], "not finite"),
        ([1.0, 2.0], [1.0, np.inf], "not finite"),
        ([1.0, 2.0], [1.0, -1.0], "positive"),
    ],
)
def test_events_that_make_no_sample(scores, weights, words):
    with pytest.raises(InputError, match=words):
        ranked(scores, weights)


def test_efficiency_of_weighted_events():
    passed = np.array([True, True, False, False])
    plain = efficiency(passed, np.ones(4))
    assert (plain.value, plain.passed, plain.events) == (0.5, 2, 4)
    # Weights twice as large tell nothing more; unequal ones tell less.
    assert efficiency(passed, np.full(4, 2.0)) == plain
    unequal = efficiency(passed, np.array([9.0, 1.0, 9.0, 1.0]))
    assert unequal.value == 0.5
    assert unequal.high - unequal.low > plain.high - plain.low
    assert efficiency(np.zeros(0, dtype=bool), np.zeros(0)) is None


def test_area_agrees_with_that_of_the_roc_curve_and_counts_ties_half():
    generator = np.random.default_rng(3)
    background, signal = generator.integers(0, 9, 300), generator.integers(2, 12, 200)
    weights = [generator.random(300), generator.random(200)]
    found = Areas(ranked(background, weights[0]), ranked(signal, weights[1])).area()
    curve = roc.roc_curve(
        np.concatenate([background, signal]), np.arange(500) >= 300, np.concatenate(weights)
    )
    assert found == pytest.approx(roc.area(curve))
    assert Areas(ranked([1.0, 1.0]), ranked([1.0])).area() == 0.5


def test_bootstrap_gives_the_error_of_an_efficiency():
    generator = np.random.default_rng(4)
    scores = generator.random(400)
    signal, background = ranked(scores), ranked(generator.random(50))
    found = [
        signal.above(np.array([0.7]), factors[0])[0]
        for _, factors in replicas(len(background), [len(signal)], 300, 5)
    ]
    value = (scores >= 0.7).mean()
    assert np.std(found) == pytest.approx(np.sqrt(value * (1 - value) / 400), rel=0.15)
    first, second = ([factors for factors, _ in replicas(50, [400], 3, 5)] for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
