import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fullchain.learning import optimisers
from fullchain.learning.optimisers import Ranger
from fullchain.learning.schedule import factor
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import History, Resumption, initialised, train


def ranger_by_hand(start: float, gradients: list[float], rate: float, decay: float) -> list[float]:
    """Algorithm 2 of 1908.03265 inside algorithm 1 of 1907.08610, for one number."""
    beta1, beta2, eps, alpha, k = 0.95, 0.999, 1e-5, 0.5, 6
    longest = 2 / (1 - beta2) - 1
    fast = slow = start
    first = second = 0.0
    path = []
    for t, gradient in enumerate(gradients, 1):
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        unbiased = first / (1 - beta1**t)
        length = longest - 2 * t * beta2**t / (1 - beta2**t)
        fast -= rate * decay * fast
        if length > 5:
            rectification = math.sqrt(
                (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            )
            adaptive = math.sqrt(1 - beta2**t) / (math.sqrt(second) + eps)
            fast -= rate * rectification * adaptive * unbiased
        else:
            fast -= rate * unbiased
        if t % k == 0:
            slow += alpha * (fast - slow)
            fast = slow
        path.append(fast)
    return path


def test_ranger_follows_the_published_algorithms() -> None:
    gradients = np.random.default_rng(1).normal(0.3, 1, 40).tolist()
    weights = nn.Parameter(torch.tensor([0.7], dtype=torch.float64))
    optimiser = Ranger([weights], lr=0.02, weight_decay=0.1)
    path = []
    for gradient in gradients:
        weights.grad = torch.tensor([gradient], dtype=torch.float64)
        optimiser.step()
        path.append(weights.item())
    assert path == pytest.approx(ranger_by_hand(0.7, gradients, 0.02, 0.1), rel=1e-10)


def test_ranger_without_slow_weights_is_radam() -> None:
    def result(build: Any) -> Tensor:
        weights = nn.Parameter(torch.linspace(-1, 1, 5))
        optimiser = build([weights])
        for _ in range(20):
            optimiser.zero_grad()
            (weights**4).sum().backward()
            optimiser.step()
        return weights.detach()

    radam = result(lambda p: torch.optim.RAdam(p, lr=0.1, betas=(0.95, 0.999), eps=1e-5))
    assert torch.allclose(result(lambda p: Ranger(p, lr=0.1, alpha=1.0, k=1)), radam)
    assert not torch.allclose(result(lambda p: Ranger(p, lr=0.1)), radam)


def test_ranger_leaves_weights_without_gradient_alone() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimiser = Ranger([used, unused], lr=0.1, k=2)
    for _ in range(4):
        used.grad = torch.ones(2)
        optimiser.step()
    assert unused.tolist() == [1.0, 1.0] and used[0] < 1


def test_ranger_names_a_bad_lookahead() -> None:
    with pytest.raises(ValueError, match="alpha"):
        Ranger([nn.Parameter(torch.ones(1))], alpha=0)


class Interrupted(Exception):
    pass


def objective(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    return {"loss": ((model(batch["inputs"]).squeeze(-1) - batch["target"]) ** 2).mean()}


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "radam", "ranger"])
def test_an_interrupted_training_ends_with_the_same_bits(tmp_path: Path, optimiser: str) -> None:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(70, 3, generator=generator)
    rows = {"inputs": inputs, "target": inputs[:, 0] * inputs[:, 1]}
    # Seven steps in an epoch and six between synchronisations: the break falls between two.
    settings = TrainingSettings.model_validate(
        {"optimiser": optimiser, "epochs": 6, "batch_size": 10, "weight_decay": 0.01}
    )

    def run(**options: Any) -> tuple[nn.Module, History]:
        model = initialised(1, lambda: nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)))
        return model, train(model, objective, rows, rows, settings, seed=1, **options)

    def interrupt(epoch: int) -> None:
        if epoch == 2:
            raise Interrupted

    resumption = Resumption(tmp_path / "checkpoint.pt", "mark")
    with pytest.raises(Interrupted):
        run(resumption=resumption, after_epoch=interrupt)
    resumed, history = run(resumption=resumption)
    whole, expected = run()
    assert history == expected
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[name])


def test_slow_weights_are_in_the_state() -> None:
    model = nn.Linear(2, 1)
    optimiser = optimisers.build(model, TrainingSettings(optimiser="ranger"))
    initial = model.weight.detach().clone()
    model(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    state = optimiser.state_dict()
    assert torch.equal(state["state"][0]["slow"], initial)
    assert state["param_groups"][0]["since_synchronised"] == 1


def test_one_cycle_is_that_of_torch() -> None:
    optimiser = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    # torch counts the top as the last step of the rise: one step less in each part.
    there = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 1.0, total_steps=1001, div_factor=50, final_div_factor=1, cycle_momentum=False
    )
    for step in range(1000):
        assert there.get_last_lr()[0] == pytest.approx(
            factor("one_cycle", step, 1000, 0.0, 0.02), abs=0.01
        )
        optimiser.step()
        there.step()


def test_cosine_is_that_of_torch() -> None:
    optimiser = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    there = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=50, eta_min=0.02)
    for step in range(50):
        assert there.get_last_lr()[0] == pytest.approx(factor("cosine", step, 50, 0.0, 0.02))
        optimiser.step()
        there.step()


def test_flat_then_decay_is_flat_and_then_exponential() -> None:
    def at(progress: float) -> float:
        return factor("flat_then_decay", round(1000 * progress), 1000, 0.0, 0.01)

    assert at(0) == at(0.3) == at(0.7) == 1.0
    # 1 % at the end, and the same ratio over equal times.
    assert at(1) == pytest.approx(0.01)
    assert at(0.85) == pytest.approx(0.1)
    assert at(0.8) / at(0.75) == pytest.approx(at(0.95) / at(0.9))


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RAdam"])
def test_without_the_wrappers_of_the_compiler_the_steps_are_the_same(name: str) -> None:
    found = []
    for module in (optimisers, torch.optim):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 1))
        values = torch.randn(16, 5)
        optimiser = getattr(module, name)(network.parameters(), lr=1e-2, foreach=True)
        for step in range(12):
            optimiser.zero_grad(set_to_none=True)
            network(values).square().mean().backward()
            optimiser.step()
            if step == 5:
                optimiser.load_state_dict(optimiser.state_dict())
        found.append(torch.cat([weights.detach().flatten() for weights in network.parameters()]))
    assert torch.equal(*found)


IMPORTED = """
import sys
import torch
from fullchain.learning import optimisers
from fullchain.learning.settings import TrainingSettings

network = torch.nn.Linear(3, 1)
for name in ("ranger", "radam", "adam", "adamw"):
    optimiser = optimisers.build(network, TrainingSettings(optimiser=name))
    network(torch.ones(2, 3)).sum().backward()
    optimiser.step()
    optimiser.zero_grad()
print("torch._dynamo" in sys.modules)
"""


def test_optimisers_do_not_import_the_compiler() -> None:
    answer = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True)
    assert answer.stdout.strip() == "False", answer.stderr
