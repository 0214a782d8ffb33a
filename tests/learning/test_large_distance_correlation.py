"""Distance correlation of many rows: against dcor, against all pairs at once, and its gradient."""

from collections.abc import Callable, Iterator

import dcor
import numpy as np
import pytest
import torch
from torch import Tensor

from fullchain.learning.distance_correlation import distance_correlation, distance_correlations
from fullchain.learning.large_distance_correlation import by_blocks, by_sorting

Function = Callable[[Tensor, Tensor, Tensor | None], Tensor]

ONE_COLUMN: dict[str, Function] = {
    "dense": lambda x, y, w: distance_correlation(x[:, None], y[:, None], w),
    "sorting": by_sorting,
    "blocks": lambda x, y, w: by_blocks(x[:, None], y[:, None], w, rows_at_once=17),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Many small operations: threads that wait for each other would take most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rows(number: int, *, step: float = 0.0, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Two dependent columns; with a step, rounded to it, so that many values are equal."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=number)
    y = x**2 + generator.normal(size=number)
    if step:
        x, y = np.round(x / step) * step, np.round(y / step) * step
    return x, y


def tensors(*arrays: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(np.asarray(array, dtype=float)) for array in arrays]


@pytest.mark.parametrize("name", ONE_COLUMN)
@pytest.mark.parametrize("step", [0.0, 0.5])
@pytest.mark.parametrize("number", [2, 3, 64, 301])
def test_one_column_is_as_in_dcor(name: str, step: float, number: int) -> None:
    x, y = rows(number, step=step)
    found = float(ONE_COLUMN[name](*tensors(x, y), None))
    assert found == pytest.approx(dcor.distance_correlation_sqr(x, y), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_a_whole_weight_is_as_many_rows_in_dcor(name: str) -> None:
    x, y = rows(80)
    weight = np.random.default_rng(2).integers(0, 5, 80)
    found = float(ONE_COLUMN[name](*tensors(x, y, weight)))
    repeated = dcor.distance_correlation_sqr(np.repeat(x, weight), np.repeat(y, weight))
    assert found == pytest.approx(repeated, rel=1e-9)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5])
def test_several_columns_and_exponents_are_as_in_dcor(power: float) -> None:
    x, y = rows(90)
    both = np.stack([x, np.roll(y, 1)], axis=1)
    wanted = dcor.distance_correlation_sqr(both, y[:, None], exponent=power)
    first, second = tensors(both, y[:, None])
    dense = distance_correlation(first, second, power=power)
    blocks = by_blocks(first, second, power=power, rows_at_once=20)
    assert [float(dense), float(blocks)] == pytest.approx([wanted, wanted], rel=1e-9)


def test_at_large_numbers_of_rows_it_is_still_the_one_of_dcor() -> None:
    x, y = rows(10_000)
    # Single precision, and far from zero, as masses come.
    x32, y32 = (200.0 + 50.0 * x).astype(np.float32), (0.5 + 0.01 * y).astype(np.float32)
    found = float(by_sorting(torch.from_numpy(x32), torch.from_numpy(y32)))
    wanted = dcor.distance_correlation_sqr(x32.astype(float), y32.astype(float))
    assert found == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("name", ["sorting", "blocks"])
@pytest.mark.parametrize("step", [0.0, 0.5])
def test_the_gradient_is_that_of_all_pairs_at_once(name: str, step: float) -> None:
    x, y, weight = tensors(*rows(150, step=step), np.random.default_rng(3).random(150))
    y.requires_grad_()
    wanted = torch.autograd.grad(ONE_COLUMN["dense"](x, y, weight), y)[0]
    found = torch.autograd.grad(ONE_COLUMN[name](x, y, weight), y)[0]
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_the_gradient_is_that_of_finite_differences(name: str) -> None:
    x, y, weight = tensors(*rows(25), np.random.default_rng(3).random(25))
    y.requires_grad_()
    assert torch.autograd.gradcheck(lambda values: ONE_COLUMN[name](x, values, weight), [y])


@pytest.mark.parametrize("power", [0.5, 1.5, 2.0])
def test_the_gradient_of_blocks_with_other_exponents_and_columns(power: float) -> None:
    first, second = torch.randn(2, 40, 2, generator=torch.Generator().manual_seed(4)).double()
    second[3] = second[7]
    second.requires_grad_()
    found, wanted = (
        torch.autograd.grad(value, second)[0]
        for value in (
            by_blocks(first, second, power=power, rows_at_once=9),
            distance_correlation(first, second, power=power),
        )
    )
    assert torch.isfinite(wanted).all()
    torch.testing.assert_close(found, wanted)


def test_a_row_that_is_repeated_does_not_pull_at_its_copy() -> None:
    x, y = tensors(*rows(20))
    x, y = torch.cat([x, x[:1]]), torch.cat([y, y[:1]]).requires_grad_()
    gradient = torch.autograd.grad(by_sorting(x, y), y)[0]
    assert gradient[0] == pytest.approx(float(gradient[-1]), rel=1e-12)


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_scores_that_do_not_vary_have_no_correlation_and_a_finite_gradient(name: str) -> None:
    x, _ = tensors(*rows(30))
    constant = torch.full((30,), 0.3, dtype=torch.double, requires_grad=True)
    found = ONE_COLUMN[name](x, constant, None)
    found.backward()
    assert float(found.detach()) == pytest.approx(0.0, abs=1e-9)
    assert constant.grad is not None and torch.isfinite(constant.grad).all()


def test_pairs_of_columns_are_the_same_estimate() -> None:
    values = torch.stack(tensors(*rows(50)), dim=1)
    pairs = distance_correlations(values)
    assert float(pairs[0, 1]) == pytest.approx(
        float(distance_correlation(values[:, :1], values[:, 1:])), rel=1e-12
    )
