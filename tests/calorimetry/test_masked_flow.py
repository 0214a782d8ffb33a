"""Masked networks and flows: who sees whom, both directions, determinants, a known density."""

import math
from collections.abc import Iterator

import pytest
import torch

from fullchain.calorimetry.masked_flow import MaskedFlow, log_normal, orders
from fullchain.calorimetry.masked_flow_settings import MaskedFlowSettings
from fullchain.calorimetry.masked_network import MaskedNetwork, Steps
from fullchain.learning.device import repeatable

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = MaskedFlowSettings(blocks=3, layers=(30, 24), embedding=4, bins=5, bound=5.0)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    with repeatable(1):
        yield


def lively(module: torch.nn.Module, width: float = 0.3, seed: int = 3) -> torch.nn.Module:
    """Give all weights values, also those that begin at zero."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in module.parameters():
            weights.copy_(width * torch.randn(weights.shape, generator=chance))
    return module.double().eval()


@pytest.mark.parametrize("layers", [(30,), (30, 24), (4, 5)])
def test_an_output_sees_the_numbers_before_it_and_no_other(layers: tuple[int, ...]) -> None:
    numbers = 8
    sizes = SIZES.model_copy(update={"layers": layers, "activation": "silu"})
    network = lively(MaskedNetwork(numbers, 2, 3, sizes))
    rows = torch.randn(1, numbers, dtype=torch.float64)
    condition = torch.randn(1, 2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda given: network(given, condition)[0], rows)
    seen = jacobian[:, :, 0].abs().sum(dim=0)
    before = torch.ones(numbers, numbers).tril(-1).bool()
    assert bool((seen[~before] == 0).all())
    if layers[0] >= numbers:
        assert bool((seen[before] > 0).all())


def test_all_outputs_see_the_condition() -> None:
    network = lively(MaskedNetwork(6, 2, 3, SIZES))
    condition = torch.randn(1, 2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(
        lambda c: network(torch.zeros(1, 6, dtype=torch.float64), c)[0], condition
    )
    assert bool((jacobian.abs().sum(dim=(2, 3)) > 0).all())


def test_steps_give_what_one_pass_gives() -> None:
    network = lively(MaskedNetwork(9, 2, 3, SIZES))
    rows = torch.randn(11, 9, dtype=torch.float64)
    condition = torch.randn(11, 2, dtype=torch.float64)
    whole = network(rows, condition)
    steps = Steps(network, condition)
    for number in range(9):
        step = steps.step(number, rows.t()[:number])
        assert torch.allclose(step, whole[:, :, number].t(), atol=1e-12)


@pytest.mark.parametrize("inverse", [False, True])
def test_the_slow_way_undoes_the_fast_one(inverse: bool) -> None:
    flow = lively(MaskedFlow([4, 5, 1], 2, SIZES, inverse))
    values = 2.0 * torch.randn(25, 10, dtype=torch.float64)
    condition = torch.randn(25, 2, dtype=torch.float64)
    passage = flow.fast(values, condition)
    other = passage.data if inverse else passage.normal
    assert float((other - values).detach().abs().max()) > 0.5
    back, stretch = flow.slow(other, condition)
    assert torch.allclose(back, values, atol=1e-8)
    assert torch.allclose(stretch, passage.stretch, atol=1e-8)


@pytest.mark.parametrize("inverse", [False, True])
def test_the_density_is_that_of_the_change_of_variables(inverse: bool) -> None:
    flow = lively(MaskedFlow([3, 2], 1, SIZES, inverse))
    values = torch.randn(1, 5, dtype=torch.float64)
    condition = torch.randn(1, 1, dtype=torch.float64)
    passage = flow.fast(values, condition)

    def other(given: torch.Tensor) -> torch.Tensor:
        found = flow.fast(given.unsqueeze(0), condition)
        return (found.data if inverse else found.normal)[0]

    determinant = torch.autograd.functional.jacobian(other, values[0]).det().log()
    expected = -determinant if inverse else determinant
    assert math.isclose(float(passage.stretch[0].detach()), float(expected.detach()), abs_tol=1e-9)
    density = flow.log_density(passage.data, condition)
    assert torch.allclose(density, log_normal(passage.normal) + expected, atol=1e-8)


@pytest.mark.parametrize("inverse", [False, True])
def test_the_density_has_area_one(inverse: bool) -> None:
    flow = lively(MaskedFlow([1, 1], 1, SIZES, inverse))
    axis = torch.linspace(-7.0, 7.0, 141, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    density = flow.log_density(grid, torch.full((len(grid), 1), 0.3, dtype=torch.float64)).exp()
    area = float(density.sum()) * float(axis[1] - axis[0]) ** 2
    assert area == pytest.approx(1.0, abs=5e-3)
    # And it is not the normal density that a flow begins with.
    assert float((density - log_normal(grid).exp()).abs().max()) > 0.02


def test_an_untrained_flow_is_normal() -> None:
    flow = MaskedFlow([2, 2], 1, SIZES)
    values = torch.randn(20, 4)
    assert torch.allclose(
        flow.log_density(values, torch.randn(20, 1)), log_normal(values), atol=1e-3
    )


def test_orders_keep_groups_together() -> None:
    groups = [3, 5, 1]
    torch.manual_seed(1)
    found = orders(groups, 4)
    assert found[0].tolist() == list(range(9))
    assert found[1].tolist() == [2, 1, 0, 7, 6, 5, 4, 3, 8]
    for order in found:
        assert sorted(order[:3].tolist()) == [0, 1, 2]
        assert sorted(order[3:8].tolist()) == [3, 4, 5, 6, 7]
    assert found[2].tolist() != found[0].tolist()


def test_it_learns_a_known_density() -> None:
    torch.manual_seed(5)
    flow = MaskedFlow([2], 1, MaskedFlowSettings(blocks=1, layers=(16, 16), bins=6, bound=6.0))

    def truth(rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        condition = torch.rand(rows, 1)
        first = torch.randn(rows, 1)
        second = torch.randn(rows, 1)
        width = 0.3 + condition
        values = torch.cat([first, first.sin() + width * second], dim=1)
        return values, condition, log_normal(torch.cat([first, second], 1)) - width.log()[:, 0]

    optimiser = torch.optim.Adam(flow.parameters(), 0.01)
    for step in range(150):
        optimiser.param_groups[0]["lr"] = 0.01 * (1 - step / 150)
        values, condition, _ = truth(512)
        loss = -flow.log_density(values, condition).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    values, condition, expected = truth(20_000)
    with torch.no_grad():
        divergence = expected - flow.log_density(values, condition)
    assert float(divergence.mean()) < 0.04
