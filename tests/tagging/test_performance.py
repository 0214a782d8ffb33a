"""Calibration and intervals from arrays."""

import numpy as np
import pytest
from scipy.stats import binomtest

from fullchain.tagging.comparisons import (
    class_accuracy,
    difference,
    discriminant,
    fixed_cut,
    score_of,
)
from fullchain.tagging.dependence import efficiencies
from fullchain.tagging.performance import Sample, calibration, wilson
from fullchain.tagging.scored_jets import ScoredJets


def sample(score: list[float], is_signal: list[bool], event: list[int]) -> Sample:
    return Sample(np.array(score), np.array(is_signal), np.ones(len(score)), np.array(event))


@pytest.mark.parametrize("passed, number", [(0, 7), (7, 7), (3, 10), (50, 80)])
def test_wilson_is_the_interval_of_the_binomial_test(passed: int, number: int) -> None:
    low, high = wilson(np.array([passed / number]), np.array([float(number)]))
    expected = binomtest(passed, number).proportion_ci(0.6826894921, method="wilson")
    assert low[0] == pytest.approx(expected.low, abs=1e-9)
    assert high[0] == pytest.approx(expected.high, abs=1e-9)


def test_bins_of_one_class_have_an_uncertainty() -> None:
    jets = sample([0.1] * 4 + [0.9] * 4, [False] * 4 + [True] * 4, list(range(8)))
    found = calibration(jets, bins=3, replicas=5, seed=1)
    assert found["observed"] == [0.0, None, 1.0]
    # Wilson for none of n: z^2 / (n + z^2) with z = 1.
    assert found["high"][0] == pytest.approx(1 / 5) and found["low"][0] == pytest.approx(0.0)
    assert found["low"][2] == pytest.approx(4 / 5) and found["high"][2] == pytest.approx(1.0)
    assert found["low"][1] is None and found["high"][1] is None


def test_jets_of_one_event_count_together() -> None:
    score, signal = [0.1] * 4 + [0.9] * 4, [False] * 4 + [True] * 4
    pairs = calibration(sample(score, signal, [0, 0, 1, 1, 2, 2, 3, 3]), 3, 5, 1)
    assert pairs["high"][0] == pytest.approx(1 / 3)


def test_efficiencies_in_bins_against_counting() -> None:
    score = np.array([0.9, 0.2, 0.8, 0.7, 0.1, 0.6, 0.9])
    signal = np.array([True, True, True, False, False, False, True])
    pt = np.array([510.0, 520.0, 650.0, 510.0, 640.0, 650.0, 700.0])
    jets = Sample(score, signal, np.array([1.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0]), np.arange(7))
    bins = {"pt": [400.0, 500.0, 600.0, 700.0]}
    (point,) = efficiencies(jets, {"pt": pt}, bins, {0.5: 0.65})["pt"]["working_points"]
    # The last jet is at the upper edge: it is in no bin. The first bin has no jets.
    assert point["signal"][0] is None and point["background"][0] is None
    assert [row["value"] for row in point["signal"][1:]] == [0.25, 1.0]
    assert [row["value"] for row in point["background"][1:]] == [1.0, 0.0]
    # 1 and 3 count as (1 + 3)^2 / (1 + 9) jets.
    low, high = wilson(np.array([0.25]), np.array([1.6]))
    assert (point["signal"][1]["low"], point["signal"][1]["high"]) == (low[0], high[0])


def test_a_given_cut_has_the_deviation_of_counting() -> None:
    generator = np.random.default_rng(4)
    signal = np.arange(4000) < 2000
    score = generator.uniform(size=4000) ** np.where(signal, 0.5, 2.0)
    jets = Sample(score, signal, np.ones(4000), np.arange(4000))
    found = fixed_cut(jets, 0.7, 200, 1)
    for side, name in ((signal, "signal_efficiency"), (~signal, "background_efficiency")):
        passing = (score[side] >= 0.7).mean()
        assert found[name]["value"] == passing
        counting = np.sqrt(passing * (1 - passing) / 2000)
        assert found[name]["deviation"] == pytest.approx(counting, rel=0.2)
    other = difference(found["auc"], {"value": 0.5, "deviation": 4 * found["auc"]["deviation"]})
    assert other["deviation"] == pytest.approx(np.sqrt(17) * found["auc"]["deviation"])


def test_classes_are_right_by_counting() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    target = np.array([0, 0, 1, 2])
    columns = {"weight": np.array([3.0, 1.0, 5.0, 7.0])}
    jets = ScoredJets(columns, target, np.arange(4), probabilities, np.empty((0, 4, 3)))
    found = class_accuracy(jets, ["a", "b", "c"], 50, 1)
    assert found["matrix"] == [[0.75, 0.25, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert found["accuracy"]["value"] == pytest.approx((0.75 + 1 + 1) / 3)


def test_a_cut_on_the_score_is_one_on_the_discriminant() -> None:
    generator = np.random.default_rng(5)
    probabilities = generator.dirichlet(np.ones(5), 100)
    found = discriminant(probabilities, 0, range(1, 5))
    back = [score_of(value, 5) for value in found]
    np.testing.assert_allclose(back, probabilities[:, 0], rtol=1e-9)
