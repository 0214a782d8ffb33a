"""A distorted ratio is made right, a right one stays, and bad events are named."""

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.inference import ratio_calibration
from fullchain.inference.ratio_calibration import Calibration, Sample
from fullchain.seeds import stream


def normals(events=60_000, key="a"):
    """Points of N(1, 1) and of N(0, 1), whose log ratio is x - 1/2."""
    chance = stream(1, "calibration", key)
    return chance.normal(1, 1, events), chance.normal(0, 1, events)


def exact(x):
    return x - 0.5


def distorted(x):
    return 1.6 * exact(x) + 0.3 * np.sin(x) + 0.4


@pytest.mark.parametrize("kind", ["histogram", "isotonic"])
def test_a_distorted_ratio_is_made_right(kind):
    one, zero = normals()
    found = ratio_calibration.fit(Sample.of(distorted(one), distorted(zero)), kind, 30)
    x = np.linspace(-1.5, 2.5, 41)
    assert np.abs(distorted(x) - exact(x)).max() > 1.0
    assert np.abs(found(distorted(x)) - exact(x)).max() < 0.12
    # With other events.
    one, zero = normals(key="b")
    mean, error = ratio_calibration.normalisation(found(distorted(zero)))
    assert abs(mean - 1) < 4 * error
    before = ratio_calibration.reliability(Sample.of(distorted(one), distorted(zero)), 10)
    sample = Sample.of(found(distorted(one)), found(distorted(zero)))
    after = ratio_calibration.reliability(sample, 10)
    assert before.chi_squared > 1000
    assert after.chi_squared < 50


def test_reliability_of_a_right_ratio_is_a_chi_squared():
    values = []
    for number in range(40):
        one, zero = normals(3000, f"chi{number}")
        found = ratio_calibration.reliability(Sample.of(exact(one), exact(zero)), 8)
        values.append(found.chi_squared / len(found.learned))
    assert abs(np.mean(values) - 1) < 4 * np.sqrt(2 / (8 * 40))


@pytest.mark.parametrize("kind", ["histogram", "isotonic"])
def test_a_right_ratio_stays(kind):
    one, zero = normals(200_000)
    found = ratio_calibration.fit(Sample.of(exact(one), exact(zero)), kind, 12)
    x = np.linspace(-1.5, 2.5, 41)
    assert np.abs(found(exact(x)) - exact(x)).max() < 0.1


def test_weights_are_heeded():
    one, zero = normals()
    # These weights make N(1, 1) of the denominator: its events have the ratio one.
    weight = np.exp(exact(zero))
    found = ratio_calibration.fit(Sample.of(exact(one), exact(zero), None, weight), "histogram", 10)
    assert np.abs(found(np.linspace(-1, 1.5, 9))).max() < 0.1


def test_anchored_calibration_keeps_one():
    one, zero = normals()
    found = ratio_calibration.fit(
        Sample.of(distorted(one), distorted(zero)), "histogram", 20, anchored=True
    )
    assert found(0.0) == 0.0


def test_none_only_normalises():
    _, zero = normals()
    found = ratio_calibration.fit(Sample.of(zero, exact(zero) + 0.7), "none", 10)
    assert found.learned == ()
    assert found(0.7) == pytest.approx(0.0, abs=0.02)


def test_slope_one_outside_of_the_knots():
    found = Calibration((0.0, 1.0), (0.5, 2.0), 0.1)
    assert np.allclose(found([-3.0, 0.0, 0.5, 1.0, 4.0]), [-2.6, 0.4, 1.15, 1.9, 4.9])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [1.0]), "no events of the numerator"),
        (([1.0], []), "no events of the denominator"),
        (([1.0, np.nan], [1.0]), "1 log ratios of the numerator are not finite"),
        (([1.0], [np.inf]), "1 log ratios of the denominator are not finite"),
        (([1.0], [1.0], [0.0]), "of positive sum"),
        (([1.0], [1.0], None, [-1.0]), "not negative"),
    ],
)
def test_bad_events_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        Sample.of(*arguments)


def test_a_ratio_that_overflows_is_named():
    with pytest.raises(InputError, match="not finite"), np.errstate(over="ignore"):
        ratio_calibration.normalisation([1000.0, 1.0])
