import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from fullchain.errors import InputError
from fullchain.learning import checkpoint, device
from fullchain.learning.schedule import factor
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import History, Resumption, initialised, train, weighted_mean


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))


def rows(seed: int, number: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(number, 3, generator=generator)
    target = inputs[:, 0] * inputs[:, 1] + 0.1 * torch.randn(number, generator=generator)
    return {"inputs": inputs, "target": target, "weight": torch.ones(number)}


def objective(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    # The noise makes the test see a generator that is not restored.
    noise = 0.05 * torch.randn_like(batch["inputs"]) if model.training else 0.0
    error = (model(batch["inputs"] + noise).squeeze(-1) - batch["target"]) ** 2
    return {"loss": weighted_mean(error, batch["weight"])}


def run(settings: TrainingSettings, **options: Any) -> tuple[nn.Module, History]:
    model = initialised(4, network)
    history = train(model, objective, rows(1, 300), rows(2, 200), settings, seed=4, **options)
    return model, history


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def settings(**changes: Any) -> TrainingSettings:
    defaults = {
        "epochs": 8,
        "batch_size": 32,
        "learning_rate": 0.01,
        "schedule": "flat_then_decay",
        "device": "cpu",
        "threads": 1,
    }
    return TrainingSettings.model_validate(defaults | changes)


KILLED = """
import json, os, signal, sys
sys.path.insert(0, {folder!r})
from test_training import Resumption, run, settings
from pathlib import Path

def die(epoch):
    if epoch == {epoch}:
        os.kill(os.getpid(), signal.SIGKILL)

changes = json.loads({changes!r})
run(settings(**changes), resumption=Resumption(Path({path!r}), "mark"), after_epoch=die)
"""


@pytest.mark.parametrize("optimiser", ["adam", "radam"])
def test_a_killed_training_ends_with_the_same_bits(tmp_path: Path, optimiser: str) -> None:
    changes = {"optimiser": optimiser, "schedule": "one_cycle", "weight_decay": 0.01}
    path = tmp_path / "checkpoint.pt"
    script = KILLED.format(
        folder=str(Path(__file__).parent), epoch=4, changes=json.dumps(changes), path=str(path)
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(torch.load(path)["state"]["history"]["train"]) == 5

    resumed_epochs: list[int] = []
    resumed, history = run(
        settings(**changes), resumption=Resumption(path, "mark"), after_epoch=resumed_epochs.append
    )
    whole, expected = run(settings(**changes))
    assert resumed_epochs == [5, 6, 7]
    assert same(resumed, whole)
    assert history == expected


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    resumption = Resumption(path, "mark")
    run(settings(epochs=2), resumption=resumption)
    before = path.read_bytes()
    (tmp_path / ".unfinished.checkpoint.pt").write_bytes(before[:100])
    assert checkpoint.load(path, "mark") is not None


def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, "mark", {"epoch": 1})

    def full(content: Any, target: IO[bytes]) -> None:
        target.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, "mark", {"epoch": 2})
    assert checkpoint.load(path, "mark") == {"epoch": 1}
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


def test_a_checkpoint_of_another_training_is_left_aside(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    run(settings(learning_rate=0.5), resumption=Resumption(path, "other"))
    fresh, _ = run(settings(), resumption=Resumption(path, "mark"))
    expected, _ = run(settings())
    assert same(fresh, expected)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 truncated"])
def test_a_damaged_checkpoint_is_left_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    assert checkpoint.load(path, "mark") is None


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    run(settings(epochs=1), resumption=Resumption(path, "mark"))
    content = bytearray(path.read_bytes())
    position = content.index(network_weights_of(path))
    content[position + 5] ^= 0x10
    path.write_bytes(content)
    assert checkpoint.load(path, "mark") is None


def network_weights_of(path: Path) -> bytes:
    state = checkpoint.load(path, "mark")
    assert state is not None
    return bytes(state["model"]["0.weight"].numpy().tobytes())


def test_fingerprint_sees_settings_and_data() -> None:
    data = rows(1, 10)
    mark = checkpoint.fingerprint({"settings": "a"}, data)
    assert mark == checkpoint.fingerprint({"settings": "a"}, rows(1, 10))
    assert mark != checkpoint.fingerprint({"settings": "b"}, data)
    data["weight"][3] = 2.0
    assert mark != checkpoint.fingerprint({"settings": "a"}, data)


def test_two_runs_are_identical_and_seeds_differ() -> None:
    first, history = run(settings())
    torch.manual_seed(99)  # what ran before must not matter
    second, again = run(settings())
    assert same(first, second) and history == again
    other = initialised(5, network)
    assert not same(initialised(4, network), other)
    train(other, objective, rows(1, 300), rows(2, 200), settings(), seed=5)
    assert not same(first, other)


def test_state_of_torch_outside_is_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    run(settings(epochs=1, threads=1 + threads))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_early_stopping_keeps_the_best_epoch() -> None:
    # Validation rows of pure noise: the loss on them rises once the training rows are learnt.
    training = rows(1, 40)
    validation = rows(2, 40) | {"target": torch.randn(40, generator=torch.manual_seed(3))}
    model = initialised(1, network)
    history = train(
        model, objective, training, validation, settings(epochs=200, patience=5), seed=1
    )
    losses = [terms["loss"] for terms in history.validation]
    assert history.stopped_early
    assert len(losses) == history.best_epoch + 1 + 5
    assert history.best_epoch == int(np.argmin(losses))
    with torch.no_grad():
        found = mse_loss(model(validation["inputs"]).squeeze(-1), validation["target"])
    assert found.item() == pytest.approx(history.best_loss, rel=1e-5)


def test_rows_of_weight_zero_are_rows_that_are_absent() -> None:
    # With rows of another law at weight zero, the model learns the law of the others.
    data = rows(1, 400)
    data["target"][200:] = 50.0
    data["weight"][:200], data["weight"][200:] = 2.0, 0.0
    model = initialised(2, network)
    train(model, objective, data, rows(2, 200), settings(epochs=30), seed=2)
    with torch.no_grad():
        assert model(rows(3, 100)["inputs"]).abs().mean() < 5


def test_mean_over_batches_is_the_mean_over_rows() -> None:
    validation = rows(2, 203)
    model = initialised(4, network)
    history = train(
        model, objective, rows(1, 50), validation, settings(epochs=1, batch_size=7), seed=4
    )
    with torch.no_grad():
        expected = mse_loss(model(validation["inputs"]).squeeze(-1), validation["target"])
    assert history.validation[0]["loss"] == pytest.approx(expected.item(), rel=1e-6)


def test_a_loss_that_is_not_finite_is_named() -> None:
    broken = rows(1, 50)
    broken["target"][7] = math.nan
    with pytest.raises(InputError, match=r"training loss is nan in epoch 1: lower learning_rate"):
        train(initialised(1, network), objective, broken, rows(2, 20), settings(), seed=1)


def test_no_rows_and_unequal_rows_are_named() -> None:
    model = initialised(1, network)
    with pytest.raises(InputError, match="no rows for validation"):
        train(model, objective, rows(1, 10), rows(2, 0), settings(), seed=1)
    with pytest.raises(InputError, match="differ in their number of rows"):
        unequal = rows(1, 10) | {"weight": torch.ones(9)}
        train(model, objective, unequal, rows(2, 5), settings(), seed=1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device_is_named() -> None:
    with pytest.raises(InputError, match="no CUDA device"):
        device.choose("cuda")
    assert device.choose("auto") == torch.device("cpu")


@pytest.mark.parametrize("schedule", ["constant", "cosine", "flat_then_decay", "one_cycle"])
def test_schedules_begin_and_end_where_they_say(schedule: Any) -> None:
    values = [factor(schedule, step, 1000, 0.0, 0.01) for step in range(1001)]
    assert max(values) == pytest.approx(1.0, rel=1e-3) and min(values) > 0
    assert values[0] == pytest.approx(0.01 if schedule == "one_cycle" else 1.0)
    assert values[-1] == pytest.approx(1.0 if schedule == "constant" else 0.01)
    assert max(abs(np.diff(values))) < 0.02
    assert factor(schedule, 700, 1000, 0.0, 0.01) > 0.2


def test_warmup_rises_from_almost_zero() -> None:
    values = [factor("constant", step, 100, 0.1, 0.01) for step in range(100)]
    assert values[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert values[10:] == [1.0] * 90
