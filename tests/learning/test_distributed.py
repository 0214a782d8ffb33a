import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fullchain.errors import InputError
from fullchain.learning import distributed
from fullchain.learning.distributed import Share
from fullchain.learning.rows import Rows
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import History, Resumption, initialised, train

# In a file of its own, because the other process imports it by name.
TASK = """
import os
import torch
from torch import nn

def objective(model, batch):
    error = (model(batch["inputs"]).squeeze(-1) - batch["target"]) ** 2
    return {"loss": (error * batch["weight"]).mean(), "error": error.mean()}

def rebuilt(process):
    assert process == os.getpid(), "not in another process"
    return Unpicklable(3, 1)

class Unpicklable(nn.Linear):
    def __reduce__(self):
        return rebuilt, (os.getpid(),)
"""


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "shared_task.py").write_text(TASK)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("shared_task", None)
    import shared_task  # type: ignore[import-not-found]

    module: ModuleType = shared_task
    return module


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))


def columns(seed: int, rows: int) -> dict[str, np.ndarray[Any, Any]]:
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(rows, 3)).astype(np.float32)
    target = inputs[:, 0] * inputs[:, 1]
    return {"inputs": inputs, "target": target, "weight": generator.random(rows, np.float32)}


def run(task: ModuleType, folder: Path, **changes: Any) -> tuple[nn.Module, History]:
    options = {name: changes.pop(name) for name in ("resumption", "after_epoch") if name in changes}
    settings = TrainingSettings.model_validate(
        {"epochs": 4, "batch_size": 21, "gradient_clip": 1.0, "patience": 2} | changes
    )
    model = initialised(1, network)
    with Rows("train", folder, 0.001) as train_rows, Rows("validation", folder, None) as others:
        train_rows.append(columns(1, 101))
        others.append(columns(2, 33))
        parts = train_rows.finish(), others.finish()
        assert parts[0].on_disk
        return model, train(model, task.objective, *parts, settings, seed=1, **options)


def test_two_processes_give_the_training_of_one_and_resume(
    task: ModuleType, tmp_path: Path
) -> None:
    expected, alone = run(task, tmp_path)
    resumption = Resumption(tmp_path / "checkpoint.pt", "mark")

    def interrupt(epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(task, tmp_path, processes=2, resumption=resumption, after_epoch=interrupt)
    state = torch.load(resumption.path)["state"]
    assert len(state["history"]["train"]) == 2
    model, history = run(task, tmp_path, processes=2, resumption=resumption)
    for part in ("train", "validation"):
        for one, other in zip(getattr(history, part), getattr(alone, part), strict=True):
            assert one == pytest.approx(other, rel=1e-5)
    assert (history.best_epoch, history.stopped_early) == (alone.best_epoch, alone.stopped_early)
    for one, other in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert not torch.distributed.is_initialized()


def test_an_unequal_split_of_a_batch_keeps_the_gradient_of_the_batch() -> None:
    # What the averaging of three processes would give, without starting them.
    losses = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 70.0])
    shares = [Share(rank, 3) for rank in range(3)]
    parts = [share.of(torch.arange(7)) for share in shares]
    assert sorted(torch.cat(parts).tolist()) == list(range(7))
    means = [
        share.weighted(losses[part].mean(), len(part), 7)
        for share, part in zip(shares, parts, strict=True)
    ]
    assert torch.stack(means).mean() == pytest.approx(losses.mean().item())
    assert [share.interval(7) for share in shares] == [(0, 2), (2, 4), (4, 7)]


def test_a_process_that_cannot_begin_is_reported(task: ModuleType, tmp_path: Path) -> None:
    rows = {name: torch.from_numpy(values) for name, values in columns(1, 40).items()}
    settings = TrainingSettings(epochs=1, batch_size=20, processes=2)
    with pytest.raises(RuntimeError, match=r"ended with exit status 1 before it began"):
        train(task.Unpicklable(3, 1), task.objective, rows, rows, settings, seed=1)
    assert not torch.distributed.is_initialized()


def test_more_processes_than_rows_or_devices_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    distributed.check(1, cuda, 1, 1)
    with pytest.raises(InputError, match="processes is 4, but a batch has 3 rows"):
        distributed.check(4, cpu, 3, 100)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="processes is 2, but there are 1 CUDA devices"):
        distributed.check(2, cuda, 100, 100)


def test_batch_norms_are_synchronised_on_cuda_only(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    share = Share(0, 2)
    assert distributed.prepared(model, Share(), torch.device("cuda")) is model
    there = distributed.prepared(model, share, torch.device("cuda"))
    assert isinstance(there[1], nn.SyncBatchNorm)  # type: ignore[index]
    assert type(model[1]) is nn.BatchNorm1d
    assert list(there.state_dict()) == list(model.state_dict())
    assert capsys.readouterr().err == ""
    assert distributed.prepared(model, share, torch.device("cpu")) is model
    assert "BatchNorm1d on cpu takes the statistics of a process's share" in capsys.readouterr().err

    class Masked(nn.BatchNorm1d):
        pass

    # torch would put its own, unmasked one in its place.
    masked = nn.Sequential(Masked(4))
    assert distributed.prepared(masked, share, torch.device("cuda")) is masked
    assert "Masked on cuda" in capsys.readouterr().err
