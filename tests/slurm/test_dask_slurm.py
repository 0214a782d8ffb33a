"""Events read by workers that are batch jobs of a real SLURM: the same bits as in one process."""

import importlib.util
import json
import os
import signal
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.jets import cluster as step
from fullchain.jets import part
from fullchain.jets.processor import JetProcessor
from fullchain.step import Given

pytestmark = pytest.mark.slurm

ENCRYPT = importlib.util.find_spec("cryptography") is not None
EVENTS = 40


@pytest.fixture(scope="module")
def manifest(toy_events: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of one file."""
    folder = tmp_path_factory.mktemp("events")
    rng = np.random.default_rng(7)
    events = [toy_events.one_event(rng) for _ in range(EVENTS)]
    toy_events.write_events(folder / "a.root", events)
    return Path(toy_events.write_manifest(folder, folder / "a.root"))


def made(manifest: Path, folder: Path, **options: Any) -> tuple[bytes, bytes]:
    jets, summary = folder / "jets.parquet", folder / "jets.json"
    step.main(
        manifest=manifest,
        jets=jets,
        summary=summary,
        settings=Given({"seed": 11, "jets": {}}),
        **options,
    )
    return jets.read_bytes(), summary.read_bytes()


@pytest.fixture(scope="module")
def expected(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    return made(manifest, tmp_path_factory.mktemp("iterative"), executor="iterative")


def on_slurm(**changes: Any) -> dict[str, Any]:
    dask = {"cluster": "slurm", "memory": 1500, "minutes": 5, "encrypt": ENCRYPT, **changes}
    return {"executor": "dask", "dask": json.dumps(dask), "workers": 2, "events_per_chunk": 5}


@pytest.mark.parametrize(
    "changes",
    [{"queue": "main"}, {"adaptive": True}, {"encrypt": False}],
    ids=["fixed", "adaptive", "without encryption"],
)
def test_workers_on_slurm_give_the_same_bytes(
    cluster: Any,
    manifest: Path,
    expected: tuple[bytes, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert made(manifest, tmp_path, **on_slurm(**changes)) == expected
    assert list((tmp_path / "results/dask").glob("*.err")), "the logs of the workers"
    assert not cluster.answer("squeue", "-h", "-t", "PENDING,RUNNING", "-n", "dask-worker")


def test_a_cancelled_worker_is_replaced(
    cluster: Any,
    manifest: Path,
    expected: tuple[bytes, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    cancelled = tmp_path / "cancelled"

    class Mortal(JetProcessor):
        def process(self, events: Any) -> Any:
            if events.metadata["entrystart"] == 15 and not cancelled.exists():
                cancelled.touch()
                subprocess.run(["scancel", os.environ["SLURM_JOB_ID"]], check=True)
                signal.pause()
            return super().process(events)

    monkeypatch.setattr(part, "JetProcessor", Mortal)
    found = made(manifest, tmp_path, **(on_slurm() | {"workers": 1}))
    assert cancelled.exists()
    assert found == expected


def test_a_partition_that_is_not_there_is_told(
    cluster: Any, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"invalid partition[\s\S]*#SBATCH -p moon"):
        made(manifest, tmp_path, **on_slurm(queue="moon"))


def test_jobs_that_wait_are_described_and_cancelled(
    cluster: Any, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = on_slurm(wait=0.05, directives=["--begin=now+1hour"])
    with pytest.raises(InputError, match=r"no worker[\s\S]*PENDING BeginTime[\s\S]*--begin=now"):
        made(manifest, tmp_path, **options)
    assert not cluster.answer("squeue", "-h", "-t", "PENDING,RUNNING", "-n", "dask-worker")
