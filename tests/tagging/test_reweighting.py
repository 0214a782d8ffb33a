from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fullchain.tagging.reweighting import training_weights
from fullchain.tagging.reweighting_settings import ReweightingSettings

RNG = np.random.default_rng(0)
ROWS = 6000
IS_SIGNAL = np.arange(ROWS) < 2000
TARGET = np.where(IS_SIGNAL, 0, 1)
PT = np.where(IS_SIGNAL, RNG.uniform(500, 700, ROWS), 500 + RNG.exponential(50, ROWS) % 200)
ETA = RNG.normal(0, 1, ROWS)
WEIGHT = RNG.uniform(0.5, 2.0, ROWS)


def weights(reference: Any, **changes: Any) -> np.ndarray:
    options: dict[str, Any] = {"bins": 10, "largest": 1e6} | changes
    columns = options.pop("columns", {"pt": PT})
    options |= {"reference": {"signal": 0, "background": 1}.get(reference, reference)}
    return training_weights(columns, TARGET, WEIGHT, classes=2, **options)


def spectra(weight: np.ndarray) -> list[np.ndarray]:
    edges = np.linspace(PT.min(), PT.max(), 11)
    counts = [
        np.histogram(PT[chosen], edges, weights=weight[chosen])[0]
        for chosen in (IS_SIGNAL, ~IS_SIGNAL)
    ]
    return [count / count.sum() for count in counts]


@pytest.mark.parametrize("reference", ["none", "flat", "signal", "background"])
def test_classes_are_balanced_and_the_mean_is_one(reference: Any) -> None:
    found = weights(reference)
    assert found.mean() == pytest.approx(1.0)
    assert found[IS_SIGNAL].sum() == pytest.approx(found[~IS_SIGNAL].sum())


def test_both_classes_get_the_reference_spectrum() -> None:
    unchanged = spectra(weights("none"))
    for reference, goal in (
        ("flat", np.full(10, 0.1)),
        ("signal", unchanged[0]),
        ("background", unchanged[1]),
    ):
        for spectrum in spectra(weights(reference)):
            np.testing.assert_allclose(spectrum, goal, atol=1e-9)
    assert np.abs(unchanged[0] - unchanged[1]).max() > 0.1


def test_two_variables_at_once() -> None:
    found = weights("signal", columns={"pt": PT, "eta": ETA}, bins=4)
    edges = [np.linspace(values.min(), values.max(), 5) for values in (PT, ETA)]
    signal, background = (
        np.histogram2d(PT[chosen], ETA[chosen], edges, weights=found[chosen])[0]
        for chosen in (IS_SIGNAL, ~IS_SIGNAL)
    )
    filled = np.histogram2d(PT[~IS_SIGNAL], ETA[~IS_SIGNAL], edges)[0] > 0
    ratio = background[filled] / signal[filled].clip(1e-9)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


def test_no_jet_gets_more_than_the_largest_factor() -> None:
    found = weights("flat", largest=2.0)
    factor = found[~IS_SIGNAL] / WEIGHT[~IS_SIGNAL]
    assert factor.max() <= 2.0 * np.median(factor) * 1.2


def test_weights_that_cancel_are_named() -> None:
    weight = np.where(np.arange(ROWS) % 2, 1.0, -1.0)
    with pytest.raises(ValueError, match="do not sum to a positive number"):
        training_weights(
            {"pt": PT}, TARGET, weight, classes=2, reference="none", bins=5, largest=10
        )


def test_five_classes_get_one_sum_and_one_spectrum() -> None:
    target = np.arange(ROWS) % 5
    found = training_weights(
        {"pt": PT}, target, WEIGHT, classes=5, reference=3, bins=10, largest=1e6
    )
    edges = np.linspace(PT.min(), PT.max(), 11)
    counts = [np.histogram(PT[target == k], edges, weights=found[target == k])[0] for k in range(5)]
    for count in counts:
        np.testing.assert_allclose(count, counts[3], rtol=1e-9)
    assert found.mean() == pytest.approx(1.0)


@pytest.mark.parametrize("reference", ["flat", "signal"])
def test_jets_where_a_variable_does_not_exist_have_a_bin_of_their_own(reference: Any) -> None:
    tau32 = np.where(RNG.random(ROWS) < np.where(IS_SIGNAL, 0.05, 0.3), np.nan, PT / 1000)
    found = weights(reference, columns={"tau32": tau32})
    missing = np.isnan(tau32)
    parts = [
        found[chosen & missing].sum() / found[chosen].sum() for chosen in (IS_SIGNAL, ~IS_SIGNAL)
    ]
    assert parts[0] == pytest.approx(parts[1])
    if reference == "flat":
        # One bin like the ten others.
        assert parts[0] == pytest.approx(1 / 11)
    # The others are as they would be without them.
    edges = np.linspace(np.nanmin(tau32), np.nanmax(tau32), 11)
    counts = [
        np.histogram(tau32[chosen & ~missing], edges, weights=found[chosen & ~missing])[0]
        for chosen in (IS_SIGNAL, ~IS_SIGNAL)
    ]
    np.testing.assert_allclose(counts[0], counts[1])


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "tau32 is NaN for all jets"), (np.inf, "tau32 is infinite")]
)
def test_a_variable_that_is_no_number_is_named(value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weights("signal", columns={"pt": PT, "tau32": np.full(ROWS, value)})


def test_three_variables_at_once() -> None:
    columns = {"pt": PT, "eta": ETA, "width": RNG.random(ROWS)}
    found = weights("signal", columns=columns, bins=3)
    for chosen in (columns["width"] > 0.5, ETA > 0, PT > 600):
        parts = [found[mine & chosen].sum() / found[mine].sum() for mine in (IS_SIGNAL, ~IS_SIGNAL)]
        assert parts[0] == pytest.approx(parts[1], abs=0.05)


def test_settings_take_any_columns_as_far_as_bins_hold() -> None:
    names = ("pt", "eta", "my_branch", "width")
    assert ReweightingSettings(variables=names).variables == names
    with pytest.raises(ValidationError, match=r"20 bins in each of 5 are 3200000 joint bins"):
        ReweightingSettings(variables=(*names, "mass"))
    with pytest.raises(ValidationError, match="each column once"):
        ReweightingSettings(variables=("pt", "pt"))
