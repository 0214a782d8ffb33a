import numpy as np
import torch

from fullchain.learning.standardise import (
    Standardisation,
    Standardise,
    measure,
    weighted_quantiles,
)


def test_measured_scale_of_gaussians_and_of_a_constant() -> None:
    generator = np.random.default_rng(0)
    features = np.stack([generator.normal(3, 2, 40000), np.full(40000, 7.0)], axis=1)
    found = measure(features, np.ones(40000))
    np.testing.assert_allclose(found.subtract, [3, 7], atol=0.05)
    np.testing.assert_allclose(found.multiply, [0.5, 1.0], atol=0.01)


def test_weighted_quantiles_are_those_of_repeated_values() -> None:
    generator = np.random.default_rng(1)
    values, weights = generator.normal(size=3000), generator.integers(0, 4, 3000)
    found = weighted_quantiles(values, weights, [0.16, 0.5, 0.84])
    expected = np.quantile(np.repeat(values, weights), [0.16, 0.5, 0.84])
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_module_clips_and_carries_its_numbers_in_the_state() -> None:
    module = Standardise(Standardisation((1.0, 0.0), (2.0, 1.0)), clip=5.0)
    found = module(torch.tensor([[2.0, 100.0], [0.0, -100.0]]))
    assert found.tolist() == [[2.0, 5.0], [-2.0, -5.0]]
    other = Standardise(Standardisation((0.0, 0.0), (1.0, 1.0)), clip=5.0)
    other.load_state_dict(module.state_dict())
    assert other.subtract.tolist() == [1.0, 0.0] and other.multiply.tolist() == [2.0, 1.0]
