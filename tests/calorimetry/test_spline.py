"""Splines: compiled against tensors, against their own inverses, against numerical derivatives."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fullchain.calorimetry.spline import by_tensors, parameters, spline


def drawn(bins: int = 6, rows: int = 40, numbers: int = 7, spread: float = 1.5, seed: int = 1):
    chance = torch.Generator().manual_seed(seed)
    shape = spread * torch.randn(rows, parameters(bins), numbers, generator=chance)
    return shape, 3.0 * torch.randn(rows, numbers, generator=chance)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("bins", [2, 5, 10])
def test_compiled_and_tensors_agree_with_their_gradients(bins: int, inverse: bool) -> None:
    shape, point = drawn(bins)
    results, slopes = [], []
    for kind in (torch.float32, torch.float64):
        one, other = shape.to(kind).requires_grad_(), point.to(kind).requires_grad_()
        mapped, stretch = spline(one, other, 5.0, inverse)
        weights = torch.arange(len(point), dtype=kind)
        total = (mapped.sin().sum(dim=1) * weights + stretch * weights.cos()).sum()
        slopes.append(torch.autograd.grad(total, (one, other)))
        results.append((mapped, stretch))
    for low, high in zip(*results, strict=True):
        assert torch.allclose(low.double(), high, rtol=1e-4, atol=2e-4)
    for low, high in zip(*slopes, strict=True):
        assert float((low.double() - high).abs().max() / high.abs().max()) < 2e-3


@pytest.mark.parametrize("inverse", [False, True])
def test_gradients_by_tensors_are_those_of_differences(inverse: bool) -> None:
    shape, point = (one.double().requires_grad_() for one in drawn(4, 3, 2))
    assert torch.autograd.gradcheck(
        lambda *given: by_tensors(*given, 5.0, inverse), (shape, point), atol=1e-5
    )


@settings(max_examples=25, deadline=None)
@given(
    bins=st.integers(2, 12),
    bound=st.floats(1.0, 20.0),
    spread=st.floats(0.0, 3.0),
    seed=st.integers(0, 1000),
)
def test_the_inverse_undoes_and_rises(bins: int, bound: float, spread: float, seed: int) -> None:
    shape, point = (one.double() for one in drawn(bins, 20, 5, spread, seed))
    mapped, stretch = by_tensors(shape, point, bound)
    back, shrink = by_tensors(shape, mapped, bound, inverse=True)
    assert torch.allclose(back, point, atol=1e-7 * bound)
    assert torch.allclose(shrink, -stretch, atol=1e-6)
    assert bool(((mapped.abs() <= bound) == (point.abs() <= bound)).all())


def test_zeros_are_the_identity_and_so_is_all_beyond_the_bound() -> None:
    shape, point = drawn(spread=2.0)
    mapped, stretch = spline(torch.zeros_like(shape), point, 5.0)
    assert torch.allclose(mapped, point, atol=1e-5)
    assert float(stretch.abs().max()) < 1e-4
    far = point.sign() * (5.0 + point.abs())
    mapped, stretch = spline(shape, far, 5.0)
    assert torch.equal(mapped, far)
    assert float(stretch.abs().max()) == 0.0


def test_one_number_a_row_as_many_numbers_in_a_row() -> None:
    # Steps of a slow pass put rows in the place of numbers.
    shape, point = drawn(numbers=1)
    turned = shape[:, :, 0].t().unsqueeze(0), point.t()
    mapped, _ = spline(shape, point, 5.0)
    other, _ = spline(*turned, 5.0, summed=False)
    assert torch.allclose(mapped[:, 0], other[0], atol=1e-6)
