"""The solver that is fitted to a velocity."""

import pytest
import torch
from torch import Tensor

from fullchain.learning import ode
from fullchain.learning.bespoke_solver import Base, BespokeSolver


def stiff(time: float | Tensor, state: Tensor) -> Tensor:
    """Towards 1 + t, quickly at the end."""
    rate = 1.0 + 30.0 * time**4
    return 1.0 - rate * (state - 1.0 - time)


@pytest.mark.parametrize("base", ["euler", "midpoint"])
def test_begins_as_its_base_method(base: Base) -> None:
    start = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    solver = BespokeSolver(4, base)
    expected = ode.equal_steps(stiff, start, base, solver.evaluations)
    torch.testing.assert_close(solver(stiff, start), expected)


def test_times_rise_from_zero_to_one_whatever_the_numbers() -> None:
    solver = BespokeSolver(5, "midpoint")
    torch.nn.init.normal_(solver.increments, std=3.0)
    times = solver.times().detach()
    assert float(times[0]) == 0.0 and float(times[-1]) == pytest.approx(1.0)
    assert (times.diff() > 0).all()


def test_a_consistent_change_of_time_and_scale_is_exact_with_many_steps() -> None:
    """With t(r) = r^2 and s(r) = 1 + r the solution is the same."""
    steps = 400
    solver = BespokeSolver(steps, "euler").double()
    nodes = torch.arange(steps + 1, dtype=torch.float64) / steps
    with torch.no_grad():
        solver.increments.copy_((nodes**2).diff().log())
        solver.log_speed.copy_((2 * nodes[:-1]).clamp_min(1e-12).log())
        solver.log_scale.copy_((1 + nodes[1:]).log())
        solver.slope.fill_(1.0)
    start = torch.randn(20, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    exact = ode.rk4(lambda time, state: torch.cos(state), start, 100)
    torch.testing.assert_close(
        solver(lambda time, state: torch.cos(state), start), exact, atol=5e-3, rtol=0
    )


def test_beats_methods_of_equal_evaluations_on_a_stiff_velocity() -> None:
    chance = torch.Generator().manual_seed(1)
    start, other = torch.randn(256, 1, generator=chance), torch.randn(256, 1, generator=chance)
    exact, unseen = ode.rk4(stiff, start, 400), ode.rk4(stiff, other, 400)
    solver = BespokeSolver(4, "midpoint")
    optimiser = torch.optim.Adam(solver.parameters(), 2e-2)
    for _ in range(300):
        optimiser.zero_grad()
        ((solver(stiff, start) - exact) ** 2).mean().backward()
        optimiser.step()

    def missed(end: Tensor) -> float:
        return float((end - unseen).pow(2).mean().sqrt())

    with torch.no_grad():
        own = missed(solver(stiff, other))
        assert own < 0.05 * missed(ode.rk4(stiff, other, 2))
        assert own < 0.05 * missed(ode.midpoint(stiff, other, 4))


def test_a_solver_without_steps() -> None:
    with pytest.raises(ValueError, match="step"):
        BespokeSolver(0, "euler")
