"""Differences of scores before and after a change, with uncertainties of the same jets."""

from typing import Any

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.learning import roc
from fullchain.tagging.robustness import NONE_SEEN, Compared, compare
from fullchain.tagging.robustness_metrics import robustness_metrics, text

N = 4000


def jets(**changed: Any) -> Compared:
    generator = np.random.default_rng(1)
    signal = np.arange(N) % 2 == 0
    score = np.clip(generator.normal(np.where(signal, 0.6, 0.4), 0.15), 0, 1)
    return Compared(
        signal,
        np.ones(N),
        np.arange(N),
        score,
        {(name, 1.0): change(score, signal) for name, change in changed.items()},
    )


def test_no_change_is_no_difference_and_its_uncertainty_is_that_of_zero_jets() -> None:
    sample = jets(nothing=lambda score, _: score)
    (case,) = compare(sample, [0.5], 30, 7)["cases"]
    assert case["difference"]["auc"] == {"value": 0.0, "deviation": 0.0}
    (point,) = case["difference"]["working_points"]
    for side in ("signal_efficiency", "background_efficiency"):
        assert point[side]["value"] == 0
        assert point[side]["deviation"] == pytest.approx(NONE_SEEN / (N / 2))
    (ratio,) = case["background_ratio"]
    assert ratio["value"] == 1 and 0 < ratio["deviation"] < 0.02


def test_the_uncertainty_is_that_of_the_jets_that_change_sides() -> None:
    def some_fail(score: Any, signal: Any) -> Any:
        chosen = signal & (score >= np.median(score[signal])) & (np.arange(len(score)) % 100 == 0)
        return np.where(chosen, 0.0, score)

    sample = jets(some=some_fail)
    moved = int((sample.changed["some", 1.0] != sample.nominal).sum())
    assert 5 < moved < 40
    found = compare(sample, [0.5], 300, 7)
    (case,) = found["cases"]
    (point,) = case["difference"]["working_points"]
    assert point["signal_efficiency"]["value"] == pytest.approx(-moved / (N / 2))
    expected = np.sqrt(moved) / (N / 2)
    assert point["signal_efficiency"]["deviation"] == pytest.approx(expected, rel=0.15)
    # Of two independent sets it would be much larger.
    alone = found["nominal"]["working_points"][0]["signal_efficiency"]["deviation"]
    assert alone > 2 * expected
    area = [
        roc.area(roc.roc_curve(score, sample.is_signal))
        for score in (sample.nominal, sample.changed["some", 1.0])
    ]
    assert case["auc"]["value"] == pytest.approx(area[1])
    assert case["difference"]["auc"]["value"] == pytest.approx(area[1] - area[0])
    assert case["difference"]["auc"]["deviation"] < 0.5 * found["nominal"]["auc"]["deviation"]


def test_a_background_that_fails_altogether_leaves_an_upper_end() -> None:
    sample = jets(all_fail=lambda score, signal: np.where(signal, score, 0.0))
    (case,) = compare(sample, [0.5], 30, 7)["cases"]
    (point,) = case["working_points"]
    assert point["background_efficiency"]["value"] == 0
    assert point["background_efficiency"]["deviation"] == pytest.approx(NONE_SEEN / (N / 2))
    (ratio,) = case["background_ratio"]
    assert ratio["value"] == 0 and ratio["deviation"] > 0


def test_too_few_events_are_told() -> None:
    sample = Compared(
        np.array([True, False]), np.ones(2), np.zeros(2, int), np.array([0.9, 0.1]), {}
    )
    assert compare(sample, [0.5], 30, 1)["cases"] == []
    with pytest.raises(InputError, match=r"tagging\.robustness\.max_jets"):
        compare(sample, [0.5], 1, 1)


def test_metrics_say_what_was_done() -> None:
    found = compare(
        jets(drop=lambda score, _: 0.9 * score, smear=lambda score, _: score**2), [0.3, 0.5], 20, 3
    )
    how = {"kind": "drop", "particles": "charged", "pt_below": 2.0}
    perturbations = {"drop": how, "smear": {**how, "kind": "smear_pt", "particles": "all"}}
    rows = robustness_metrics({"tagger": "pfn", "perturbations": perturbations, **found})
    assert len(rows) == 2 * (1 + 2 * 2) and len({row.name for row in rows}) == len(rows)
    assert rows[0].name == "pfn.drop_1.auc_difference"
    assert {row.uncertainty_kind for row in rows} == {"paired bootstrap"}
    assert text(perturbations["smear"], 0.05) == "pT of particles below 2 GeV smeared by 5 %"
    words = "charged particles below 2 GeV dropped with probability 0.5"
    assert text(how, 0.5) == words
