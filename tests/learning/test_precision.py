from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning import device, precision
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import History, Resumption, initialised, train

ROWS = {
    "inputs": torch.randn(160, 4, generator=torch.Generator().manual_seed(1)),
}
ROWS["target"] = (ROWS["inputs"][:, 0] > 0).float()

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))


def objective(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    logits = model(batch["inputs"]).squeeze(-1)
    loss = nn.functional.binary_cross_entropy_with_logits(logits, batch["target"])
    return {"loss": loss, "bits": loss.new_tensor(8.0 * logits.element_size())}


def run(**changes: Any) -> tuple[nn.Module, History]:
    options = {name: changes.pop(name) for name in ("resumption", "after_epoch") if name in changes}
    settings = TrainingSettings.model_validate(
        {"epochs": 6, "batch_size": 16, "learning_rate": 0.03} | changes
    )
    model = initialised(1, network)
    return model, train(model, objective, ROWS, ROWS, settings, seed=1, **options)


def test_bfloat16_learns_with_weights_of_float32() -> None:
    model, history = run(precision="bfloat16")
    assert history.train[0]["bits"] == history.validation[0]["bits"] == 16
    assert all(weights.dtype == torch.float32 for weights in model.parameters())
    _, exact = run()
    assert exact.train[0]["bits"] == 32
    assert history.best_loss == pytest.approx(exact.best_loss, rel=0.05)
    assert history.best_loss != exact.best_loss and history.best_loss < 0.5


def test_bfloat16_is_repeatable() -> None:
    assert run(precision="bfloat16")[1] == run(precision="bfloat16")[1]


def test_float16_wants_cuda() -> None:
    with pytest.raises(InputError, match=r"float16 needs a CUDA device.*bfloat16"):
        run(precision="float16", device="cpu")


@cuda
def test_float16_resumes_with_its_scale(tmp_path: Path) -> None:
    def interrupt(epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    resumption = Resumption(tmp_path / "checkpoint.pt", "mark")
    changes = {"precision": "float16", "device": "cuda"}
    with pytest.raises(KeyboardInterrupt):
        run(**changes, resumption=resumption, after_epoch=interrupt)
    assert torch.load(resumption.path)["state"]["scaler"]["scale"] > 1
    resumed, _ = run(**changes, resumption=resumption)
    whole, _ = run(**changes)
    for one, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(one, other)


class Doubled:
    """Stands for torch's scaler, which needs a GPU: a scale that takes part and changes."""

    def __init__(self) -> None:
        self.factor = 4.0

    def scale(self, loss: Tensor) -> Tensor:
        return self.factor * loss

    def unscale_(self, optimiser: torch.optim.Optimizer) -> None:
        for group in optimiser.param_groups:
            for weights in group["params"]:
                weights.grad /= self.factor

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        optimiser.step()

    def update(self) -> None:
        self.factor *= 2

    def state_dict(self) -> dict[str, float]:
        return {"factor": self.factor}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.factor = state["factor"]


def test_scaled_steps_clip_the_true_gradient_and_the_scale_is_kept() -> None:
    def stepped(scaler: Doubled | None) -> tuple[Tensor, precision.Descent]:
        model = nn.Linear(2, 1, bias=False)
        nn.init.ones_(model.weight)
        optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
        descent = precision.Descent(optimiser, "float32", torch.device("cpu"), 0.5)
        descent.scaler = scaler  # type: ignore[assignment]
        descent.step(3 * model(torch.ones(1, 2)).sum(), model)
        return model.weight.detach(), descent

    weights, descent = stepped(Doubled())
    assert torch.allclose(weights, stepped(None)[0])
    state = descent.state()
    assert state["scaler"] == {"factor": 8.0}
    other = stepped(Doubled())[1]
    other.scaler.factor = 1.0  # type: ignore[union-attr]
    other.load(state)
    assert other.state()["scaler"] == {"factor": 8.0}


def test_without_a_compiler_the_network_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no working C++ compiler found\nlong trace")

    expected, _ = run()
    monkeypatch.setattr(torch, "compile", none)
    model, _ = run(compile=True)
    message = capsys.readouterr().err
    assert "nothing can be compiled for cpu here" in message
    assert "(RuntimeError: no working C++ compiler found); install" in message
    for one, other in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_is_trained_is_the_compiled_network(monkeypatch: pytest.MonkeyPatch) -> None:
    # The compiler itself is torch's; "eager" goes the same way through dynamo without its time.
    real = torch.compile
    kinds = []

    def eager(function: Any, **options: Any) -> Any:
        return real(function, backend="eager", **options)

    def watched(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        kinds.append(type(model).__name__)
        return objective(model, batch)

    monkeypatch.setattr(torch, "compile", eager)
    settings = TrainingSettings(epochs=2, batch_size=16, learning_rate=0.03, compile=True)
    model = initialised(1, network)
    train(model, watched, ROWS, ROWS, settings, seed=1)
    assert set(kinds) == {"OptimizedModule"}
    expected, _ = run(epochs=2)
    assert list(model.state_dict()) == list(expected.state_dict())
    for one, other in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_memory_is_given_back_and_can_be_kept_again() -> None:
    with device.keeping_memory():
        kept = torch.ones(1000, 1000)
    with device.keeping_memory():
        assert kept.sum() == 1e6
