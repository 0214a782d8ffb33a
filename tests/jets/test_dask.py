"""Events read on a Dask cluster: the same bits, through workers that die, and never for ever."""

import importlib.util
import json
import multiprocessing
import os
import re
import signal
from contextlib import nullcontext
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import pytest
from coffea.processor.executor import WorkItem
from distributed import KilledWorker, LocalCluster
from pydantic import ValidationError

from fullchain.dag.closure import code
from fullchain.errors import InputError
from fullchain.jets import cluster, part
from fullchain.jets.chunk_executor import OtherEnvironment, _result, _Task
from fullchain.jets.dask_cluster import INHERITED, Pool, _environment, _job_queue, pool
from fullchain.jets.dask_settings import DaskSettings
from fullchain.jets.processor import JetProcessor
from fullchain.jets.settings import JetsSettings, ReadingSettings
from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part
from fullchain.step import Given
from fullchain.unfolding.event_processor import EventProcessor

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
    own = {} if changes.get("cluster") == "address" else {"encrypt": ENCRYPT}
    return {"executor": "dask", "dask": json.dumps({**own, **changes})}


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
    # Whatever else waited at the same workers is suspected, too, and may be named first.
    with pytest.raises(InputError, match=r"\.root: entries \d+ to \d+ of tree 'Events'.*memory"):
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


def test_a_scheduler_with_tls_needs_certificates(toy: Path, tmp_path: Path) -> None:
    options = on_dask(cluster="address", address="tls://127.0.0.1:9")
    with pytest.raises(
        InputError, match=r"tls://127\.0\.0\.1:9 asks for TLS.*distributed\.comm\.tls"
    ):
        made(toy, tmp_path, **options)


@pytest.mark.parametrize(
    ("cluster", "remedy"),
    [
        ("local", r"raise jets\.reading\.dask\.memory"),
        ("address", "workers of the scheduler at tcp"),
    ],
)
def test_what_helps_against_a_lack_of_memory_depends_on_the_cluster(
    cluster: str, remedy: str
) -> None:
    address = {"address": "tcp://a:1"} if cluster == "address" else {}
    settings = DaskSettings.model_validate({"cluster": cluster, **address})
    died = KilledWorker("chunk", SimpleNamespace(address="tcp://b:2"), 1)
    future = SimpleNamespace(status="error", exception=lambda: died)
    item = WorkItem("toy", "a.root", "Events", 0, 10, b"", {})
    with pytest.raises(InputError, match=remedy):
        _result(future, item, Pool(None, None, settings, 1))


def test_workers_elsewhere_read_remote_files_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bool] = []

    class Noted(part.ReplicatedFile):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            taken.append(self.copies)

        def open(self) -> None:
            raise InputError("enough")

    source = SourceFile("https://127.0.0.1:9/a.root", "Events", 3, 3.0)
    write_part(tmp_path / "part.json", PartManifest("mine", "0000", "pfnano", (source,)))
    monkeypatch.setattr(part, "ReplicatedFile", Noted)
    for dask_settings in ({}, {"cluster": "address", "address": "tcp://127.0.0.1:9"}):
        chosen = JetsSettings.model_validate(
            {"reading": {"executor": "dask", "dask": dask_settings}}
        )
        monkeypatch.setattr(part, "execution", lambda *_: nullcontext())
        with pytest.raises(InputError, match="enough"):
            part.read(tmp_path / "part.json", chosen, SEED)
    assert taken == [True, False]


def test_jobs_get_what_remote_input_needs_and_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X509_USER_PROXY", "/home/me/a proxy")
    monkeypatch.setenv("XRD_STREAMTIMEOUT", "30")
    monkeypatch.setenv("FULLCHAIN_COPIES_GB", "20")
    monkeypatch.setenv("BEARER_TOKEN", "secret")
    monkeypatch.delenv("X509_CERT_DIR", raising=False)
    lines = _environment()
    assert "export X509_USER_PROXY='/home/me/a proxy'" in lines
    assert "export XRD_STREAMTIMEOUT=30" in lines
    assert "export FULLCHAIN_COPIES_GB=20" in lines
    assert not any("secret" in line or "X509_CERT_DIR" in line for line in lines)


def test_htcondor_jobs_of_the_workflow_get_the_same(project: Path) -> None:
    text = (project / "workflow/profiles/htcondor/profile.yaml").read_text()
    (names,) = re.findall(r"^  - getenv=(.*)$", text, re.MULTILINE)
    handed_on = names.split(",")
    assert {name.rstrip("*") for name in handed_on} == set(INHERITED)
    assert not any(fnmatch("BEARER_TOKEN", name) for name in handed_on)


@pytest.mark.parametrize("under_guardian", [True, False])
def test_a_step_with_batch_jobs_asks_for_time_to_cancel_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, under_guardian: bool
) -> None:
    path = programs(
        tmp_path, sbatch="echo Submitted batch job 77", squeue="",
        scancel=f'echo "$@" >> {tmp_path}/cancelled',
    )  # fmt: skip
    monkeypatch.setenv("PATH", path)
    monkeypatch.chdir(tmp_path)
    asked: list[float] = []
    monkeypatch.setattr("fullchain.jets.dask_cluster.grace.allow", asked.append)
    before = signal.getsignal(signal.SIGTERM)

    def guardians(number: int, frame: Any) -> None:
        raise SystemExit(7)

    if under_guardian:
        signal.signal(signal.SIGTERM, guardians)
    try:
        settings = DaskSettings(cluster="slurm", encrypt=ENCRYPT)
        with pytest.raises(SystemExit) as ended, pool(settings, 1) as workers:
            while not any(job.job_id for job in list(workers.cluster.workers.values())):
                pass
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == (7 if under_guardian else 128 + signal.SIGTERM)
    assert asked == [60.0]
    assert "77" in (tmp_path / "cancelled").read_text()


def test_a_worker_with_other_code_does_nothing() -> None:
    step = JetProcessor.step
    own = json.loads(code(step))
    packages = {**own, "packages": {**own["packages"], "numpy": "1.0"}}
    with pytest.raises(OtherEnvironment, match=r"has numpy [\d.]+ instead of 1\.0;"):
        _Task(lambda item: item, step, json.dumps(packages))(None)
    modules = {**own, "modules": {**own["modules"], "fullchain.jets.rows": "0"}}
    with pytest.raises(OtherEnvironment, match=r"has another fullchain\.jets\.rows;"):
        _Task(lambda item: item, step, json.dumps(modules))(None)
    assert _Task(lambda item: item, step, code(step))(3) == 3


def test_the_code_that_workers_need_is_that_of_the_step_alone() -> None:
    """A comment, or a module for figures that is saved while a step runs, stops none of it."""
    for processor, name in ((JetProcessor, "cluster"), (EventProcessor, "select")):
        modules = json.loads(code(processor.step))["modules"]
        assert f"fullchain.{processor.step}" in modules and processor.step.endswith(name)
        assert processor.__module__ in modules
        assert "fullchain.jets.figures" not in modules


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
        ({"adaptive": True}, "adaptive: has no effect with cluster 'local'"),
        ({"cluster": "htcondor", "queue": "short"}, "queue: has no effect.*only with slurm"),
        *(
            ({"cluster": "address", "address": "tcp://a:1", name: value}, f"{name}: has no effect")
            for name, value in (
                ("attempts", 5),
                ("memory", 900),
                ("encrypt", False),
                ("prologue", ["true"]),
                ("scratch", "/scratch"),
            )
        ),
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
