"""Distance correlation: its definition, independence, weights, gradients."""

import numpy as np
import pytest
import torch

from fullchain.learning.distance_correlation import distance_correlations


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Squared distance correlation of two columns, term by term."""

    def centred(values: np.ndarray) -> np.ndarray:
        a = np.abs(values[:, None] - values[None, :])
        return a - a.mean(0)[None, :] - a.mean(1)[:, None] + a.mean()

    a, b = centred(x), centred(y)
    return float((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean()))


def test_it_is_what_the_definition_says() -> None:
    generator = np.random.default_rng(1)
    x = generator.normal(size=60)
    y = x**2 + generator.normal(size=60)
    found = distance_correlations(torch.from_numpy(np.stack([x, y], axis=1)))
    assert float(found[0, 1]) == pytest.approx(by_definition(x, y), rel=1e-10)
    assert found.diagonal().tolist() == pytest.approx([1.0, 1.0])


def test_a_whole_weight_is_as_many_rows() -> None:
    generator = np.random.default_rng(2)
    values = generator.normal(size=(30, 3))
    values[:, 2] += values[:, 0]
    weights = generator.integers(0, 4, 30)
    weighted = distance_correlations(torch.from_numpy(values), torch.from_numpy(weights * 1.0))
    repeated = distance_correlations(torch.from_numpy(np.repeat(values, weights, axis=0)))
    torch.testing.assert_close(weighted, repeated)


def test_it_sees_what_linear_correlation_does_not_and_little_of_independent_columns() -> None:
    generator = np.random.default_rng(3)
    x, other = generator.normal(size=(2, 800))
    found = distance_correlations(torch.from_numpy(np.stack([x, x**2, other], axis=1)))
    assert abs(np.corrcoef(x, x**2)[0, 1]) < 0.15
    assert float(found[0, 1]) > 0.2 and float(found[0, 2]) < 0.01


def test_a_column_that_does_not_vary_has_no_correlation_and_a_finite_gradient() -> None:
    values = torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    constant = torch.zeros(20, requires_grad=True)
    found = distance_correlations(torch.column_stack([values, constant]))
    assert float(found[0, 2].detach()) == 0.0
    found.sum().backward()
    assert constant.grad is not None and torch.isfinite(constant.grad).all()
