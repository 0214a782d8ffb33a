"""Networks and paths of flow matching: what is known of them exactly."""

import math

import pytest
import torch
from torch import Tensor, nn

from fullchain.calorimetry import geometry, probability_path
from fullchain.calorimetry.averaged import Averaged
from fullchain.calorimetry.energy_transformer import EnergyTransformer
from fullchain.calorimetry.geometry import Geometry, Layer
from fullchain.calorimetry.patches import Patches
from fullchain.calorimetry.transformer_block import TransformerBlock
from fullchain.calorimetry.vision_transformer import VisionTransformer
from fullchain.errors import InputError
from fullchain.learning import ode
from fullchain.learning.equal_steps import EVALUATIONS_OF_STEP


def regular(layers: int, angles: int, rings: int) -> Geometry:
    edges = tuple(float(edge) for edge in range(rings + 1))
    return Geometry(11, "regular", tuple(Layer(i, edges, angles) for i in range(layers)))


def test_a_network_that_gives_zero_keeps_normal_numbers() -> None:
    def nothing(position: Tensor, time: Tensor) -> Tensor:
        return torch.zeros_like(position)

    start = torch.randn(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def velocity(time: float, position: Tensor) -> Tensor:
        at = position.new_full((len(position), 1), time)
        return probability_path.velocity(nothing, at, position)

    end = ode.rk4(velocity, start, 200)
    torch.testing.assert_close(end, start, atol=1e-6, rtol=0)


def test_the_exact_velocity_of_a_gaussian_has_the_least_loss_and_draws_it() -> None:
    """For data of mean m and width s the velocity is known; the loss of others is larger."""
    mean, width = 1.5, 0.4

    def exact(position: Tensor, time: Tensor) -> Tensor:
        own = probability_path.spread(time)
        at = position * own
        variance = (1 - time) ** 2 + (time * width) ** 2
        slope = (time * width**2 - (1 - time)) / variance
        velocity = mean + slope * (at - time * mean)
        return velocity * own - (2 * time - 1) * position

    chance = torch.Generator().manual_seed(3)
    noise = torch.randn(40_000, 1, generator=chance)
    target = mean + width * torch.randn(40_000, 1, generator=chance)
    time = probability_path.times(40_000, "uniform", torch.device("cpu"), chance)

    def mean_loss(shift: float) -> float:
        return float(
            probability_path.loss(
                lambda position, at: exact(position, at) + shift, target, time, noise
            ).mean()
        )

    assert mean_loss(0.1) - mean_loss(0.0) == pytest.approx(0.01, abs=0.003)
    assert mean_loss(-0.1) - mean_loss(0.0) == pytest.approx(0.01, abs=0.003)

    def velocity(at: float, position: Tensor) -> Tensor:
        times = position.new_full((len(position), 1), at)
        return probability_path.velocity(exact, times, position)

    start = torch.randn(1000, 1, generator=chance)
    end = ode.rk4(velocity, start, 40)
    torch.testing.assert_close(end, mean + width * start, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("how", ["uniform", "logit_normal"])
def test_times_lie_inside_and_have_their_distribution(how: str) -> None:
    found = probability_path.times(5000, how, torch.device("cpu"), torch.Generator().manual_seed(1))
    assert found.shape == (5000, 1)
    assert float(found.min()) > 0 and float(found.max()) < 1
    assert float(found.mean()) == pytest.approx(0.5, abs=0.002)
    expected = 1 / 12 if how == "uniform" else 0.0433
    assert float(found.var()) == pytest.approx(expected, abs=0.001)


def test_solvers_converge_to_one_solution_at_their_orders() -> None:
    def velocity(time: float, state: Tensor) -> Tensor:
        return torch.sin(2 * state) + math.exp(time)

    start = torch.linspace(-1, 1, 5, dtype=torch.float64)
    exact = ode.rk4(velocity, start, 400)
    for solver, order in (("euler", 1), ("midpoint", 2), ("rk4", 4)):
        each = EVALUATIONS_OF_STEP[solver]
        coarse, fine = (
            float((ode.equal_steps(velocity, start, solver, steps * each) - exact).abs().max())
            for steps in (20, 40)
        )
        assert coarse / fine == pytest.approx(2**order, rel=0.15), solver
    adaptive, _ = ode.dopri5(velocity, start, 1e-8)
    torch.testing.assert_close(adaptive, exact, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("solver", "number"), [("rk4", 3), ("midpoint", 1), ("heun", 8)])
def test_too_few_evaluations_or_an_unknown_solver(solver: str, number: int) -> None:
    with pytest.raises(InputError, match=solver):
        ode.equal_steps(lambda time, state: state, torch.ones(1), solver, number)


@pytest.mark.parametrize("size", [(3, 4, 1), (1, 1, 1), (6, 8, 3), (2, 2, 3)])
def test_patches_come_back_and_hold_neighbours(size: tuple[int, int, int]) -> None:
    cut = Patches(regular(6, 8, 3), size)
    voxels = torch.arange(2.0 * 6 * 8 * 3).view(2, -1)
    patches = cut.cut(voxels)
    assert patches.shape == (2, cut.number, math.prod(size))
    assert torch.equal(cut.joined(patches), voxels)
    whole = voxels.view(2, 6, 8, 3)[0, : size[0], : size[1], : size[2]].flatten()
    assert torch.equal(patches[0, 0], whole)


def test_set_2_can_be_cut() -> None:
    assert Patches(geometry.load("set2_electrons"), (3, 16, 1)).number == 135


def test_geometries_that_cannot_be_cut() -> None:
    with pytest.raises(InputError, match=r"shower\.patch.*differ.*resnet"):
        Patches(geometry.load("set1_photons"), (1, 1, 1))
    with pytest.raises(InputError, match=r"shower\.patch.*5 angles.*\[1, 2, 4, 8\]"):
        Patches(regular(6, 8, 3), (3, 5, 1))


def test_modulated_blocks_begin_as_the_identity() -> None:
    torch.manual_seed(1)
    block = TransformerBlock(12, 3, condition=5)
    places, condition = torch.randn(4, 7, 12), torch.randn(4, 5)
    assert torch.equal(block(places, condition), places)
    nn.init.normal_(block.modulation[1].weight)
    assert not torch.allclose(block(places, condition), places)


def test_a_vision_transformer_begins_with_zero_and_depends_on_all_inputs_later() -> None:
    torch.manual_seed(1)
    network = VisionTransformer(Patches(regular(4, 4, 2), (2, 2, 1)), 3, 8, 2, 2)
    inputs = [torch.randn(2, 32), torch.rand(2, 1), torch.randn(2, 3)]
    assert torch.equal(network(*inputs), torch.zeros(2, 32))
    for weights in network.parameters():
        nn.init.normal_(weights, std=0.2)
    first = network(*inputs)
    for place in range(3):
        changed = [one.clone() for one in inputs]
        changed[place][0] += 0.3
        found = network(*changed)
        # Rows do not see each other; the changed one changes everywhere.
        torch.testing.assert_close(found[1], first[1])
        assert ((found[0] - first[0]).abs() > 1e-6).all()


def test_ratios_depend_on_those_before_only() -> None:
    torch.manual_seed(1)
    network = EnergyTransformer(4, 8, 2, 2, (8,))
    ratios, condition = torch.randn(3, 3), torch.randn(3, 1)
    first = network.conditions(ratios, condition)
    changed = ratios.clone()
    changed[:, 1] += 1.0
    second = network.conditions(changed, condition)
    torch.testing.assert_close(second[:, :2], first[:, :2])
    assert ((second[:, 2:] - first[:, 2:]).abs().amax(dim=2) > 1e-4).all()
    # What is known at one place does not depend on how many follow.
    torch.testing.assert_close(network.conditions(ratios[:, :1], condition), first[:, :2])


def test_the_average_follows_and_is_what_is_evaluated() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    model = Averaged(network, 0.9)
    nn.init.constant_(model.live.weight, 0.0)
    for _ in range(200):
        model.update()
    assert model.average.weight.item() == pytest.approx(0.0, abs=1e-6)
    nn.init.constant_(model.live.weight, 1.0)
    model.update()
    assert model.average.weight.item() == pytest.approx(0.1, abs=1e-6)
    one = torch.ones(1, 1)
    assert model.train()(one).item() == 1.0
    assert model.eval()(one).item() == pytest.approx(0.1, abs=1e-6)
    without = Averaged(nn.Linear(1, 1), 0.0)
    assert without.average is None and without.eval().network is without.live
