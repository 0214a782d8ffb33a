import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning.checkpoint import fingerprint
from fullchain.learning.rows import WINDOW, Rows, Table, folder, shuffled
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import History, initialised, train


def batches(number: int = 7, rows: int = 50) -> list[dict[str, Any]]:
    generator = np.random.default_rng(5)
    return [
        {
            "inputs": generator.normal(size=(rows, 4, 3)).astype(np.float32),
            "signal": generator.random(rows) < 0.5,
            "event": generator.integers(0, 9, rows),
        }
        for _ in range(number)
    ]


def filled(rows: Rows) -> Table:
    for batch in batches():
        rows.append(batch)
    return rows.finish()


def test_rows_on_disk_are_those_in_memory(tmp_path: Path) -> None:
    # 350 rows of 57 bytes: the third batch is beyond the budget.
    with Rows("train", tmp_path, None) as near, Rows("train", tmp_path, 0.01) as far:
        memory, disk = filled(near), filled(far)
        assert not memory.on_disk and disk.on_disk
        assert len(list(tmp_path.glob(".unfinished.*.train.rows/*.bin"))) == 3
        assert set(memory) == set(disk) == {"inputs", "signal", "event"}
        for name, column in memory.items():
            assert torch.equal(column, disk[name]) and column.dtype == disk[name].dtype
            expected = np.concatenate([batch[name] for batch in batches()])
            assert np.array_equal(column.numpy(), expected)
        assert fingerprint({}, memory) == fingerprint({}, disk)
    assert not list(tmp_path.iterdir())


def test_budget_counts_the_copy_that_joins(tmp_path: Path) -> None:
    batch = {"x": np.zeros((1000, 250), dtype=np.float32)}  # 1 MB
    for budget, on_disk in ((1.9, True), (2.1, False)):
        with Rows("train", tmp_path, budget) as rows:
            rows.append(batch)
            assert rows.finish().on_disk == on_disk


def test_what_is_appended_is_a_copy(tmp_path: Path) -> None:
    with Rows("train", tmp_path, None) as rows:
        values = np.arange(4.0)
        rows.append({"x": values})
        values[:] = -1
        rows.append({"x": values[::2]})
        assert rows.finish()["x"].tolist() == [0, 1, 2, 3, -1, -1]


def objective(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    score = model(batch["inputs"].flatten(1)).squeeze(-1)
    return {"loss": ((score - batch["signal"].float()) ** 2 * batch["weight"]).mean()}


@pytest.mark.parametrize("block", [None, 16])
def test_training_does_not_see_where_rows_are(tmp_path: Path, block: int | None) -> None:
    settings = TrainingSettings(epochs=3, batch_size=32, shuffle_block=block)

    def result(rows: Rows) -> tuple[nn.Module, History]:
        table = filled(rows).with_columns({"weight": torch.linspace(0.5, 1.5, 350)})
        model = initialised(1, lambda: nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 1)))
        return model, train(model, objective, table, table, settings, seed=1)

    with Rows("train", tmp_path, None) as near, Rows("train", tmp_path, 0.01) as far:
        first, history = result(near)
        second, again = result(far)
    assert history == again
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_files_travel_by_name(tmp_path: Path) -> None:
    with Rows("train", tmp_path, 0.01) as rows:
        table = filled(rows).with_columns({"weight": torch.ones(350)})
        content = pickle.dumps(table)
        assert len(content) < table["inputs"].nbytes
        copy = pickle.loads(content)
        assert copy.on_disk and set(copy) == set(table)
        assert all(torch.equal(copy[name], table[name]) for name in table)


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        Rows("train", tmp_path, 0.001).append({"x": np.zeros(1000)})
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with Rows("validation", tmp_path, 1):
        assert left.exists()  # of other rows
    (alive := tmp_path / left.name.replace(left.name.split(".")[3], str(os.getppid()))).mkdir()
    with Rows("train", tmp_path, 1):
        assert list(tmp_path.iterdir()) == [alive]


def test_batches_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for other in ({"x": np.zeros(3)}, {"x": np.zeros((3, 2), np.float32)}, {"y": np.zeros((3, 2))}):
        with Rows("train", tmp_path, None) as rows:
            rows.append({"x": np.zeros((3, 2))})
            with pytest.raises(ValueError, match="does not fit"):
                rows.append(other)
    with Rows("train", tmp_path, None) as rows, pytest.raises(ValueError, match="does not fit"):
        rows.append({"x": np.zeros(3), "y": np.zeros(4)})


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    class Full:
        name = "file"

        def write(self, _: Any) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None: ...

    with Rows("train", tmp_path, 0.001) as rows:
        rows.append({"x": np.zeros(1000)})
        rows._files["x"] = Full()  # type: ignore[assignment]
        with pytest.raises(InputError, match=r"no room for the training rows in .*rows_folder"):
            rows.append({"x": np.zeros(1000)})
    assert not list(tmp_path.iterdir())


def test_folder_of_a_setting(tmp_path: Path) -> None:
    assert folder("output", tmp_path / "model.pt") == tmp_path
    assert folder("temporary", tmp_path / "model.pt") != tmp_path


def test_blocks_stay_close_and_all_rows_come_once() -> None:
    rows, block = 10_007, 8
    torch.manual_seed(1)
    order = shuffled(rows, block)
    assert torch.equal(order.sort().values, torch.arange(rows))
    # Each window reads at most so many blocks, and mixes them.
    window = order[: WINDOW * block]
    assert len(torch.unique(window // block)) in (WINDOW, WINDOW + 1)
    assert (window[1:] - window[:-1] == 1).float().mean() < 0.05
    assert window.float().mean() / rows == pytest.approx(0.5, abs=0.15)
    assert not torch.equal(order, shuffled(rows, block))


def test_without_blocks_the_order_is_a_permutation_of_torch() -> None:
    torch.manual_seed(2)
    order = shuffled(100, None)
    torch.manual_seed(2)
    assert torch.equal(order, torch.randperm(100))


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from torch import nn
from fullchain.learning.checkpoint import fingerprint
from fullchain.learning.rows import Rows
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import train

torch.set_num_threads(1)
def objective(model, batch):
    return {"loss": (model(batch["x"]).squeeze(-1) ** 2).mean()}
def own_mb():
    return int(open("/proc/self/status").read().split("VmData:")[1].split()[0]) / 1e3
few = {"x": torch.randn(64, 100)}
settings = TrainingSettings(epochs=1, batch_size=1000)
train(nn.Linear(100, 1), objective, few, few, settings, seed=1)  # what torch takes once
limit = int(1e6 * (own_mb() + 35))
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

def run(budget):
    with Rows("train", Path(sys.argv[1]), budget) as rows:
        for batch in range(30):
            rows.append({"x": np.full((5000, 100), batch, dtype=np.float32)})  # 2 MB
        table = rows.finish()
        fingerprint({}, table)
        train(nn.Linear(100, 1), objective, table, table, settings, seed=1)
        return table["x"].nbytes

print("trained on", run(6))
try:
    run(None)
except (MemoryError, RuntimeError) as problem:
    print("without a budget:", problem)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is of Linux")
def test_ten_times_the_budget_trains_under_a_hard_limit(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "trained on 60000000" in done.stdout, done.stderr
    # The limit is one: without the budget it is hit.
    assert "without a budget: Unable to allocate" in done.stdout, done.stderr
    assert not list(tmp_path.iterdir())
