"""Events read on a Dask cluster: the same bits, through workers that die, and never for ever."""

import importlib.util
import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.jets import cluster, part
from fullchain.jets.chunk_executor import OtherEnvironment, _Task, environment
from fullchain.jets.dask_cluster import _environment, _job_queue, pool
from fullchain.jets.dask_settings import DaskSettings
from fullchain.jets.processor import JetProcessor
from fullchain.jets.settings import ReadingSettings
from fullchain.step import Given

ENCRYPT = importlib.util.find_spec("cryptography") is not None
SEED = 11


def made(manifest: Path, folder: Path, **options: Any) -> tuple[bytes, bytes]:
    """Run the step with options of reading; give the bytes of the table and of the summary."""
    folder.mkdir(exist_ok=True)
    jets, summary = folder / "jets.parquet", folder / "jets.json"
    cluster.main(
        manifest=manifest,
        jets=jets,
        summary=summary,
        settings=Given({"seed": SEED, "jets": {}}),
        **options,
    )
    return jets.read_bytes(), summary.read_bytes()


def on_dask(**changes: Any) -> dict[str, Any]:
    return {"executor": "dask", "dask": json.dumps({"encrypt": ENCRYPT, **changes})}


@pytest.fixture(scope="module")
def expected(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """What the iterative executor makes of all events at once."""
    return made(toy, tmp_path_factory.mktemp("iterative"), executor="iterative")


@pytest.mark.parametrize(
    "options",
    [
        {"executor": "iterative", "events_per_chunk": 7},
        {"executor": "futures", "workers": 2, "events_per_chunk": 11},
        {**on_dask(), "workers": 1, "events_per_chunk": 16},
        {**on_dask(), "workers": 2, "events_per_chunk": 5},
    ],
    ids=["iterative", "futures", "dask with one worker", "dask with two"],
)
def test_every_executor_writes_the_same_bytes(
    toy: Path, tmp_path: Path, expected: tuple[bytes, bytes], options: dict[str, Any]
) -> None:
    assert made(toy, tmp_path, **options) == expected
    assert not multiprocessing.active_children()


def test_a_chunk_whose_worker_is_killed_is_treated_again(
    toy: Path,
    tmp_path: Path,
    expected: tuple[bytes, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed = tmp_path / "killed"

    # defined here so that it travels to the workers with its code
    class Mortal(JetProcessor):
        def process(self, events: Any) -> Any:
            if events.metadata["entrystart"] == 10 and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().process(events)

    monkeypatch.setattr(part, "JetProcessor", Mortal)
    found = made(toy, tmp_path, **on_dask(), workers=2, events_per_chunk=5)
    assert killed.exists()
    assert found == expected


def test_a_chunk_that_kills_every_worker_is_named(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deadly(JetProcessor):
        def process(self, events: Any) -> Any:
            if events.metadata["entrystart"] == 15:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().process(events)

    monkeypatch.setattr(part, "JetProcessor", Deadly)
    with pytest.raises(InputError, match=r"\.root: entries 15 to 30 of tree 'Events'.*memory"):
        made(toy, tmp_path, **on_dask(attempts=2), workers=1, events_per_chunk=15)
    assert not (tmp_path / "jets.parquet").exists()
    assert not multiprocessing.active_children()


def test_a_scheduler_without_workers_is_given_up(toy: Path, tmp_path: Path) -> None:
    with LocalCluster(n_workers=0, dashboard_address=None) as empty:
        options = on_dask(cluster="address", address=empty.scheduler_address, wait=0.02)
        with pytest.raises(InputError, match=r"no worker[\s\S]*scheduler at tcp://.* start some"):
            made(toy, tmp_path, **options)


def test_workers_of_a_running_scheduler_are_used(
    toy: Path, tmp_path: Path, expected: tuple[bytes, bytes]
) -> None:
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as running:
        options = on_dask(cluster="address", address=running.scheduler_address)
        assert made(toy, tmp_path, **options, events_per_chunk=20) == expected


def test_an_address_where_nobody_answers_is_named(toy: Path, tmp_path: Path) -> None:
    options = on_dask(cluster="address", address="tcp://127.0.0.1:9")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(InputError, match=r"no scheduler answers at tcp://127.0.0.1:9"),
    ):
        made(toy, tmp_path, **options)


def test_a_worker_with_other_code_does_nothing() -> None:
    other = {**environment(), "numpy": "1.0"}
    with pytest.raises(OtherEnvironment, match=r"has numpy [\d.]+ instead of 1\.0"):
        _Task(lambda item: item, other)(None)
    assert _Task(lambda item: item, environment())(3) == 3


def test_encryption_is_not_left_out_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*_: Any) -> None:
        raise ImportError

    monkeypatch.setattr("fullchain.jets.dask_cluster.Security.temporary", without)
    with pytest.raises(InputError, match="encrypt"), pool(DaskSettings(), 1):
        pass


def programs(folder: Path, **scripts: str) -> str:
    """Write programs; give a PATH that finds them first."""
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_a_machine_without_batch_system_is_told(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"no condor_submit, condor_q, condor_rm"):
        made(toy, tmp_path, **on_dask(cluster="htcondor"))


def test_refused_jobs_end_the_step_with_answer_and_script(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = programs(
        tmp_path, sbatch="echo 'error: invalid partition' >&2; exit 1", squeue="", scancel=""
    )
    monkeypatch.setenv("PATH", path)
    monkeypatch.chdir(tmp_path)
    options = on_dask(cluster="slurm", queue="wrong")
    with pytest.raises(InputError, match=r"invalid partition[\s\S]*#SBATCH -p wrong"):
        made(toy, tmp_path, **options)


def test_jobs_that_never_start_are_described(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = programs(
        tmp_path,
        sbatch="echo Submitted batch job 77",
        squeue="echo 77 PENDING Resources",
        scancel=f'echo "$@" >> {tmp_path}/cancelled',
    )
    monkeypatch.setenv("PATH", path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no worker[\s\S]*77 PENDING Resources[\s\S]*#SBATCH"):
        made(toy, tmp_path, **on_dask(cluster="slurm", wait=0.02))
    assert "77" in (tmp_path / "cancelled").read_text()


def test_jobs_of_both_systems_say_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    common = {"cores": 2, "memory": 1500, "minutes": 90, "encrypt": False}
    slurm = DaskSettings(
        **common, cluster="slurm", queue="short", account="cms", directives=("--constraint=avx2",),
        prologue=("module load gcc",),
    )  # fmt: skip
    with _job_queue(slurm, None, []) as made_of_slurm:
        script = made_of_slurm.job_script()
    for line in (
        "#SBATCH -p short", "#SBATCH -A cms", "#SBATCH --cpus-per-task=2", "#SBATCH -t 01:30:00",
        "#SBATCH --constraint=avx2", "module load gcc", *_environment(),
    ):  # fmt: skip
        assert line in script.splitlines()
    assert "--nworkers 2" in script and "--nthreads 1" in script and "--lifetime 5280s" in script
    condor = DaskSettings(
        **common, cluster="htcondor", disk=500, directives=('+JobFlavour = "longlunch"',)
    )
    with _job_queue(condor, None, []) as made_of_condor:
        script = made_of_condor.job_script()
    for line in (
        "+MaxRuntime = 5400", '+JobFlavour = "longlunch"', "MY.DaskWorkerMemory = 3000000000",
        "MY.DaskWorkerDisk = 1000000000", "MY.DaskWorkerCores = 2",
    ):  # fmt: skip
        assert line in script.splitlines()
    assert "export PYTHONPATH=" in script and script.rstrip().endswith("Queue")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cluster": "address"}, "address"),
        ({"address": "tcp://a:1"}, "address"),
        ({"logs": "../elsewhere"}, "below results/"),
        ({"logs": "results/../../x"}, "below results/"),
        ({"cluster": "htcondor", "directives": ["--wrong"]}, "no assignment"),
        ({"memory": 10}, "memory"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DaskSettings.model_validate(changes)


@pytest.mark.parametrize("text", ["{", '{"cluster": "moon"}', "[1]"])
def test_a_wrong_option_is_an_error_of_the_user(text: str) -> None:
    with pytest.raises(InputError, match="--dask"):
        ReadingSettings.given({}, dask=text)


def test_processes_of_this_machine() -> None:
    def processes(**changes: Any) -> int:
        return ReadingSettings.model_validate({"workers": 4, **changes}).processes

    assert processes() == 1
    assert processes(executor="futures") == processes(executor="dask") == 4
    assert processes(executor="dask", dask={"cluster": "slurm"}) == 1
