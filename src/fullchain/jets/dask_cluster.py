"""A Dask cluster as the settings want it: started, watched and closed.

The scheduler runs in the process of the step; workers are processes of this machine or batch jobs.
Dask runs what it is sent, so that scheduler and workers of ours speak TLS with keys made for this
one cluster, unless the settings say otherwise.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, Status
from distributed.security import Security

from fullchain import grace
from fullchain.errors import InputError
from fullchain.jets.dask_settings import DaskSettings

_PROGRAMS = {
    "slurm": ("sbatch", "squeue", "scancel"),
    "htcondor": ("condor_submit", "condor_q", "condor_rm"),
}
_REFUSALS = 3
"""So many submissions of each job, refused by the batch system in a row, end the step."""

_CANCELLING = 60.0
"""Time that closing a cluster and cancelling its jobs may take when the step is told to end [s]."""

_NOWHERE = "127.0.0.1:0"
"""Dask's page of status: a free port, which only this machine reaches."""

INHERITED = (
    "X509_USER_PROXY",
    "X509_CERT_DIR",
    "BEARER_TOKEN_FILE",
    "SSL_CERT_FILE",
    "FULLCHAIN_COPIES",
    "FULLCHAIN_CACHE",
    "XRD_",
)
"""Variables, and beginnings of such, that batch jobs get from the environment of the step.

Not BEARER_TOKEN: others may be able to read the scripts of jobs.
"""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass
class Pool:
    """Workers that can be given work.

    Parameters
    ----------
    client
        Of Dask.
    cluster
        Of Dask; None for a scheduler that somebody else started.
    workers
        How many are wanted.
    refusals
        What the batch system said to submissions that it refused, since the last that it took.
    """

    client: Any
    cluster: Any
    settings: DaskSettings
    workers: int
    refusals: list[str] = field(default_factory=list)

    @property
    def jobs(self) -> int:
        """How many batch jobs the workers are."""
        return -(-self.workers // self.settings.cores)

    @property
    def is_served(self) -> bool:
        """Whether there is at least one worker now."""
        try:
            return bool(self.client.nthreads())
        except (OSError, TimeoutError):
            return False

    def refill(self) -> None:
        """Submit batch jobs again in place of those that ended.

        Raises
        ------
        InputError
            The batch system refuses them.
        """
        if len(self.refusals) >= _REFUSALS * self.jobs:
            raise InputError(
                f"jets.reading.dask: {self.settings.cluster} refuses the jobs of the workers:\n"
                f"{self.refusals[-1]}\nThe job was\n{self.cluster.job_script()}"
            )
        if self.settings.in_batch:
            self.cluster.loop.add_callback(self._forget_refused)
            if not self.settings.adaptive:
                self.cluster.scale(jobs=self.jobs)

    def _forget_refused(self) -> None:
        for name, job in list(self.cluster.workers.items()):
            if job.status == Status.failed:
                del self.cluster.workers[name]

    def describe(self) -> str:
        """Say what is known of the workers that do not come."""
        if self.settings.cluster == "address":
            return f"The scheduler at {self.settings.address} has no workers: start some"
        if not self.settings.in_batch:
            return "The processes of the local cluster do not start, or die"
        jobs = [str(job.job_id) for job in self.cluster.workers.values() if job.job_id]
        refused = "".join(f"\nRefused: {text}" for text in self.refusals[-1:])
        return (
            f"State of the batch jobs {', '.join(jobs) or '(none was accepted)'}:\n"
            f"{_queue(self.settings.cluster, jobs)}{refused}\n"
            f"The job was\n{self.cluster.job_script()}\nIts logs are in {self.settings.logs}"
        )


@contextmanager
def pool(settings: DaskSettings, workers: int) -> Iterator[Pool]:
    """Start a cluster, and close it and its jobs at the end, whatever the end is.

    Raises
    ------
    InputError
        The scheduler cannot be reached, or the batch system is not there.
    """
    limits = {
        "distributed.scheduler.allowed-failures": settings.attempts - 1,
        # nothing of the status needs to be reached
        "distributed.scheduler.http.routes": [],
    }
    with ExitStack() as stack:
        if settings.in_batch:
            grace.allow(_CANCELLING)
        stack.enter_context(_terminable())
        stack.enter_context(dask.config.set(limits))
        if settings.cluster == "address":
            yield Pool(stack.enter_context(_client(str(settings.address))), None, settings, workers)
            return
        security = _security(settings.encrypt)
        if settings.in_batch:
            started = _batch(stack, settings, workers, security)
        else:
            started = _local(stack, settings, workers, security)
        yield started


def _local(stack: ExitStack, settings: DaskSettings, workers: int, security: Any) -> Pool:
    cluster = stack.enter_context(
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=f"{settings.memory}MB",
            dashboard_address=_NOWHERE,
            local_directory=settings.scratch,
            security=security,
            protocol="tls://" if security else None,
        )
    )
    return Pool(stack.enter_context(Client(cluster)), cluster, settings, workers)


def _batch(stack: ExitStack, settings: DaskSettings, workers: int, security: Any) -> Pool:
    missing = [name for name in _PROGRAMS[settings.cluster] if shutil.which(name) is None]
    if missing:
        raise InputError(
            f"jets.reading.dask.cluster is {settings.cluster}, and this machine has no "
            f"{', '.join(missing)}: run on a machine that can submit jobs"
        )
    refusals: list[str] = []
    cluster = stack.enter_context(_job_queue(settings, security, refusals))
    client = stack.enter_context(Client(cluster))
    started = Pool(client, cluster, settings, workers, refusals)
    if settings.adaptive:
        cluster.adapt(minimum_jobs=0, maximum_jobs=started.jobs)
    else:
        cluster.scale(jobs=started.jobs)
    return started


def _job_queue(settings: DaskSettings, security: Any, refusals: list[str]) -> Any:
    """Make the cluster of dask-jobqueue, without workers yet."""
    import dask_jobqueue

    logs = Path(settings.logs)
    logs.mkdir(parents=True, exist_ok=True)
    kind: Any = dask_jobqueue.SLURMCluster
    special: dict[str, Any] = {
        "queue": settings.queue,
        "account": settings.account,
        "walltime": f"{settings.minutes // 60:02}:{settings.minutes % 60:02}:00",
        "job_extra_directives": list(settings.directives),
    }
    if settings.cluster == "htcondor":
        kind = dask_jobqueue.HTCondorCluster
        lines = dict(line.split("=", 1) for line in settings.directives)
        special = {
            "disk": f"{settings.disk * settings.cores}MB",
            "job_extra_directives": {
                "+MaxRuntime": 60 * settings.minutes,
                **{name.strip(): value.strip() for name, value in lines.items()},
            },
        }
    return kind(
        cores=settings.cores,
        processes=settings.cores,
        memory=f"{settings.memory * settings.cores}MB",
        python=shlex.quote(sys.executable),
        job_cls=_noting(kind.job_cls, refusals),
        job_script_prologue=[*_environment(), *settings.prologue],
        # a worker ends by itself before the batch system ends it, and hands its work back
        worker_extra_args=["--lifetime", f"{60 * settings.minutes - 120}s"],
        local_directory=settings.scratch,
        log_directory=str(logs.resolve()),
        shared_temp_directory=str(logs.resolve()),
        interface=settings.interface,
        security=security,
        protocol="tls://" if security else None,
        scheduler_options={"dashboard_address": _NOWHERE},
        **special,
    )  # fmt: skip


def _noting(job: Any, refusals: list[str]) -> Any:
    """Give the class of jobs with a memory of what the batch system refused."""

    async def submit(self: Any, script: str) -> Any:
        try:
            answer = await job._submit_job(self, script)
        except Exception as problem:
            refusals.append(str(problem))
            # dask-jobqueue leaves it as if it were still to come, and cannot be closed then
            self.status = Status.failed
            raise
        refusals.clear()
        return answer

    return type(job.__name__, (job,), {"_submit_job": submit})


def _environment() -> list[str]:
    """Give the commands that make the environment of a worker that of this process."""
    source = str(Path(__file__).resolve().parents[2])
    paths = dict.fromkeys([source, *filter(None, os.environ.get("PYTHONPATH", "").split(":"))])
    return [
        f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
        f"export PYTHONPATH={shlex.quote(':'.join(paths))}",
        *(f"export {name}=1" for name in _THREADS),
        *(f"export {name}={shlex.quote(os.environ[name])}" for name in _inherited()),
    ]


def _inherited() -> list[str]:
    beginnings = tuple(name for name in INHERITED if name.endswith("_") or "FULLCHAIN" in name)
    return sorted(n for n in os.environ if n in INHERITED or n.startswith(beginnings))


def _security(encrypt: bool) -> Security | None:
    if not encrypt:
        return None
    try:
        return Security.temporary()
    except ImportError:
        raise InputError(
            "jets.reading.dask.encrypt needs the package cryptography: install it, or set encrypt "
            "to false where nobody else can reach this machine"
        ) from None


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        client = Client(address)
    except TypeError as problem:
        # Dask says so where an address asks for TLS, and its configuration has no certificates
        if not address.startswith("tls://"):
            raise
        raise InputError(
            f"jets.reading.dask.address: {address} asks for TLS ({problem}); name certificate, key "
            "and authority in Dask's configuration (distributed.comm.tls)"
        ) from None
    except (OSError, TimeoutError, ValueError) as problem:
        raise InputError(
            f"jets.reading.dask.address: no scheduler answers at {address} ({problem}); start it, "
            "or give another cluster"
        ) from None
    with client:
        yield client


@contextmanager
def _terminable() -> Iterator[None]:
    """Where there is no guardian, let SIGTERM close the cluster and its jobs, too.

    With it a batch system ends the step. Under a guardian it does so already, and once
    (`fullchain.guardian`); without one a step runs in a debugger, or by a call of its function.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _queue(kind: str, jobs: list[str]) -> str:
    """Ask the batch system about jobs."""
    if not jobs:
        return "(nothing to ask for)"
    command = {
        "slurm": ["squeue", "--jobs", ",".join(jobs), "-o", "%i %T %r %N"],
        "htcondor": ["condor_q", "-nobatch", *jobs],
    }[kind]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"{command[0]}: {problem}"
    return (answer.stdout + answer.stderr).strip()
