"""What is known of the synthetic benchmark by integration."""

import numpy as np
import pytest

from fullchain.inference import fisher_integration as integration
from fullchain.inference import synthetic_model as model

PUBLISHED = {"B0": 14.71, "B1": 15.52, "B2": 15.65, "B3": 15.62, "B4": 16.89}
BEST_CLASSIFIER = {"B0": 14.97, "B1": 19.12, "B2": 24.93, "B3": 22.13, "B4": 27.98}


def test_the_analytic_row_of_the_paper_within_half_a_percent():
    found = integration.unbinned_uncertainties()
    assert found == pytest.approx(PUBLISHED, rel=0.005)


def test_the_grid_is_fine_enough():
    coarse, fine = (integration.unbinned_uncertainties(points) for points in (80, 160))
    assert coarse == pytest.approx(fine, rel=1e-6)


def test_the_best_classifier_of_the_paper():
    # The paper's is of a sample, ours an integral.
    found = integration.best_classifier_uncertainties()
    assert found == pytest.approx(BEST_CLASSIFIER, rel=0.015)


def test_parts_in_bins_of_the_classifier_are_those_of_a_sample():
    edges = np.linspace(0.0, 1.0, 11)
    chance = np.random.default_rng(3)
    expected = integration.classifier_bins(edges, r=0.2, rate=2.5)
    for part, events in zip(
        expected,
        (model.sample_signal(200_000, chance), model.sample_background(200_000, 0.2, 2.5, chance)),
        strict=True,
    ):
        ratio = model.log_density_signal(events) - model.log_density_background(events)
        counts, _ = np.histogram(1.0 / (1.0 + np.exp(-ratio)), edges)
        np.testing.assert_allclose(part, counts / len(events), atol=0.005)
        assert part.sum() == pytest.approx(1.0, abs=0.005)


def test_empty_bins_tell_nothing():
    signal, background = np.array([0.5, 0.5, 0.0]), np.array([0.1, 0.9, 0.0])
    case = model.CASES["B0"]
    whole = integration.binned_uncertainty(signal, background, {}, case)
    assert whole == integration.binned_uncertainty(signal[:2], background[:2], {}, case)
    counts = 50 * signal[:2] + 1000 * background[:2]
    assert whole == pytest.approx((signal[:2] ** 2 / counts).sum() ** -0.5)
