"""Densities and samples of the synthetic benchmark."""

import numpy as np
import pytest

from fullchain.inference import synthetic_model as model


def test_densities_integrate_to_one():
    x0, x1, x2 = (np.linspace(*ends, 121) for ends in ((-12, 16), (-16, 16), (0, 12)))
    x = np.stack(np.meshgrid(x0, x1, x2, indexing="ij"), axis=-1)
    for log_density in (
        model.log_density_signal(x),
        model.log_density_background(x, 0.3, 2.5),
    ):
        total = np.exp(log_density)
        for points in (x2, x1, x0):
            total = np.trapezoid(total, points, axis=-1)
        assert total == pytest.approx(1.0, abs=0.006)


def test_no_event_has_a_negative_third_coordinate():
    x = np.array([0.0, 0.0, -0.1])
    assert model.log_density_signal(x) == -np.inf
    assert model.log_density_background(x) == -np.inf


def test_samples_have_the_moments_of_the_densities():
    chance = np.random.default_rng(1)
    signal = model.sample_signal(200_000, chance)
    np.testing.assert_allclose(signal.mean(axis=0), [0.0, 0.0, 0.5], atol=0.01)
    np.testing.assert_allclose(signal.std(axis=0), [1.0, 1.0, 0.5], atol=0.01)
    background = model.sample_background(200_000, 0.4, 4.0, chance)
    np.testing.assert_allclose(background.mean(axis=0), [2.4, 0.0, 0.25], atol=0.03)
    np.testing.assert_allclose(background.std(axis=0), [5**0.5, 3.0, 0.25], rtol=0.01)


def test_moved_background_is_that_drawn_at_the_other_parameters():
    at_nominal = model.sample_background(1000, 0.0, 3.0, np.random.default_rng(2))
    there = model.sample_background(1000, 0.2, 2.5, np.random.default_rng(2))
    np.testing.assert_allclose(model.varied(at_nominal, 0.2, 2.5), there)


def test_the_five_cases():
    assert [len(case.nuisances) for case in model.CASES.values()] == [0, 1, 2, 2, 3]
    np.testing.assert_allclose(model.CASES["B2"].precision, 0.0)
    np.testing.assert_allclose(model.CASES["B4"].precision, [0.0, 6.25, 1.0, 1e-4])
    assert model.CASES["B4"].shapes == ("r", "rate")
