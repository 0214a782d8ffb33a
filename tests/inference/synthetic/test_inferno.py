"""The loss of INFERNO."""

import numpy as np
import pyhf
import pytest
import torch

from fullchain.inference.inferno import (
    information,
    uncertainty_of_poi,
    variance_and_gradients,
)

YIELDS = torch.tensor([20.0, 50.0, 8.0], dtype=torch.float64)
DERIVATIVES = torch.tensor([[1.0, 5.0, 3.0], [4.0, -3.0, 1.0]], dtype=torch.float64)
PRECISION = torch.tensor([0.0, 0.5], dtype=torch.float64)


def test_one_bin_without_nuisances():
    found = uncertainty_of_poi(torch.tensor([25.0]), torch.tensor([[1.0]]), torch.zeros(1))
    assert float(found) == pytest.approx(5.0)


def test_the_inverse_of_the_information():
    matrix = np.array(information(YIELDS, DERIVATIVES, PRECISION))
    expected = (DERIVATIVES / YIELDS) @ DERIVATIVES.T + torch.diag(PRECISION)
    np.testing.assert_allclose(matrix, expected)
    found = float(uncertainty_of_poi(YIELDS, DERIVATIVES, PRECISION))
    assert found == pytest.approx(np.linalg.inv(matrix)[0, 0] ** 0.5)


def test_the_uncertainty_is_that_of_a_fit():
    model = pyhf.simplemodels.correlated_background(
        [5.0, 10.0], [50.0, 60.0], [55.0, 63.0], [45.0, 57.0]
    )
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=0.001))
    expectation = model.expected_data(model.config.suggested_init())
    fit = np.array(pyhf.infer.mle.fit(expectation, model, return_uncertainties=True))
    fitted = fit[model.config.poi_index, 1]
    pyhf.set_backend("numpy")
    found = uncertainty_of_poi(
        torch.tensor([55.0, 70.0]),
        torch.tensor([[5.0, 10.0], [5.0, 3.0]]),
        torch.tensor([0.0, 1.0]),
    )
    assert float(found) == pytest.approx(fitted, rel=0.02)


def test_a_bin_without_events_tells_nothing():
    yields = torch.cat([YIELDS, torch.zeros(1)])
    derivatives = torch.cat([DERIVATIVES, torch.zeros(2, 1)], dim=1).requires_grad_()
    found = uncertainty_of_poi(yields, derivatives, PRECISION)
    assert float(found) == float(uncertainty_of_poi(YIELDS, DERIVATIVES, PRECISION))
    found.backward()
    assert torch.isfinite(derivatives.grad).all()


def test_gradients_in_closed_form_are_those_of_automatic_differentiation():
    yields, derivatives = YIELDS.clone().requires_grad_(), DERIVATIVES.clone().requires_grad_()
    (uncertainty_of_poi(yields, derivatives, PRECISION) ** 2).backward()
    variance, w, v = variance_and_gradients(YIELDS, DERIVATIVES, PRECISION)
    assert float(variance) == pytest.approx(
        float(uncertainty_of_poi(YIELDS, DERIVATIVES, PRECISION)) ** 2
    )
    np.testing.assert_allclose(w**2, yields.grad)
    np.testing.assert_allclose(-2 * torch.outer(v, w), derivatives.grad)


def test_several_at_once():
    both = uncertainty_of_poi(
        torch.stack([YIELDS, 2 * YIELDS]), torch.stack([DERIVATIVES] * 2), PRECISION
    )
    assert both.shape == (2,)
    assert float(both[0]) == float(uncertainty_of_poi(YIELDS, DERIVATIVES, PRECISION))
