"""A personal HTCondor pool: real daemons of one unprivileged user, one node, on the loopback.

`make test-htcondor` puts the daemons where they are looked for here. HTCondor takes no jobs of
root, so that root runs daemons and driver in a user namespace in which it is somebody else.
"""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TREE = Path(os.environ.get("FULLCHAIN_HTCONDOR", "/opt/fullchain-htcondor"))
# `daemon` of Debian: any user but root that has a name.
UNPRIVILEGED = ("unshare", "--user", "--map-user=1", "--map-group=1")

CONFIGURATION = """
RELEASE_DIR = {tree}/usr
BIN = $(RELEASE_DIR)/bin
SBIN = $(RELEASE_DIR)/sbin
LIB = $(RELEASE_DIR)/lib/condor
LIBEXEC = $(RELEASE_DIR)/libexec/condor
SHARE = $(RELEASE_DIR)/share/condor
LOCAL_DIR = {folder}
LOG = $(LOCAL_DIR)/log
LOCK = $(LOG)
RUN = $(LOG)
SPOOL = $(LOCAL_DIR)/spool
EXECUTE = $(LOCAL_DIR)/execute
LOCAL_CONFIG_FILE =
LOCAL_CONFIG_DIR =
CONDOR_HOST = 127.0.0.1
COLLECTOR_HOST = 127.0.0.1:{port}
NETWORK_INTERFACE = 127.0.0.1
BIND_ALL_INTERFACES = False
USE_SHARED_PORT = False
DISCARD_SESSION_KEYRING_ON_STARTUP = False
DAEMON_LIST = MASTER COLLECTOR NEGOTIATOR SCHEDD STARTD
UID_DOMAIN = fullchain.test
FILESYSTEM_DOMAIN = fullchain.test
TRUST_UID_DOMAIN = True
# Daemons and the driver's library are of different versions: they share no other method.
SEC_DEFAULT_AUTHENTICATION = REQUIRED
SEC_DEFAULT_AUTHENTICATION_METHODS = CLAIMTOBE
SEC_CLIENT_AUTHENTICATION_METHODS = CLAIMTOBE
SEC_DEFAULT_ENCRYPTION = OPTIONAL
SEC_DEFAULT_INTEGRITY = OPTIONAL
ALLOW_READ = 127.0.0.1
ALLOW_WRITE = 127.0.0.1
ALLOW_ADMINISTRATOR = 127.0.0.1
ALLOW_DAEMON = 127.0.0.1
ALLOW_NEGOTIATOR = 127.0.0.1
NUM_CPUS = 4
MEMORY = 16000
NUM_SLOTS = 1
NUM_SLOTS_TYPE_1 = 1
SLOT_TYPE_1 = 100%
SLOT_TYPE_1_PARTITIONABLE = True
START = True
SUSPEND = False
PREEMPT = False
KILL = False
CLAIM_WORKLIFE = 0
RunBenchmarks = False
STARTER_JOB_ENVIRONMENT = "PYTHONPATH={pythonpath}"
NEGOTIATOR_INTERVAL = 2
NEGOTIATOR_CYCLE_DELAY = 1
NEGOTIATOR_MIN_INTERVAL = 1
SCHEDD_INTERVAL = 2
SCHEDD_MIN_INTERVAL = 1
UPDATE_INTERVAL = 5
STARTER_INITIAL_UPDATE_INTERVAL = 2
STARTER_UPDATE_INTERVAL = 10
SHADOW_QUEUE_UPDATE_INTERVAL = 2
PERIODIC_EXPR_INTERVAL = 5
# As sites do: a job that takes more memory than it asked for is held.
SYSTEM_PERIODIC_HOLD = (JobStatus == 2) && (ResidentSetSize > 1024 * RequestMemory)
SYSTEM_PERIODIC_HOLD_REASON = "the job takes more memory than it asked for"
# And as CERN does with one that runs longer than it said.
SYSTEM_PERIODIC_REMOVE = (JobStatus == 2) && (time() - JobCurrentStartDate > MaxRuntime)
"""


@dataclass
class Pool:
    """A running pool."""

    folder: Path
    prefix: tuple[str, ...]
    master: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "CONDOR_CONFIG": str(self.folder / "condor_config")}

    def start(self) -> None:
        for name in ("log", "spool", "execute"):
            (self.folder / name).mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        text = CONFIGURATION.format(
            tree=TREE, folder=self.folder, port=port, pythonpath=os.environ.get("PYTHONPATH", "")
        )
        (self.folder / "condor_config").write_text(text)
        with (self.folder / "master.out").open("wb") as out:
            self.master.append(
                subprocess.Popen(
                    [*self.prefix, TREE / "usr/sbin/condor_master", "-f"],
                    env=self.environment,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        self.wait(
            lambda: "Unclaimed" in self.answer("condor_status", "-af", "State"),
            "the pool does not start",
            60,
        )

    def answer(self, program: str, *arguments: str) -> str:
        """Give what a program of HTCondor prints."""
        return subprocess.run(
            [*self.prefix, TREE / "usr/bin" / program, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
        ).stdout

    def jobs(self, *attributes: str, constraint: str = "True") -> list[list[str]]:
        """Attributes of the jobs in the queue, a list for each job."""
        found = self.answer("condor_q", "-constraint", constraint, "-af:t", *attributes)
        return [line.split("\t") for line in found.splitlines()]

    def job_of(self, rule: str) -> str:
        """Number of the running job of a rule."""
        found = self.jobs("ClusterId", "JobBatchName", constraint="JobStatus == 2")
        return next((number for number, name in found if name.startswith(f"{rule}-")), "")

    def wait(self, done: Callable[[], bool], problem: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                logs = "".join(
                    f"\n== {path.name}\n{path.read_text(errors='replace')[-2000:]}"
                    for path in sorted((self.folder / "log").glob("*Log"))
                )
                raise RuntimeError(f"{problem}{logs}")
            time.sleep(0.5)

    def stop(self) -> None:
        """End the daemons, which end their jobs."""
        for master in self.master:
            # SIGQUIT asks condor_master to stop at once, without waiting for jobs.
            master.send_signal(3)
            try:
                master.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(master.pid, 9)


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """One node with four cores and 16 GB, whatever the machine has."""
    if not (TREE / "complete").exists():
        pytest.skip(f"no HTCondor in {TREE}: `make test-htcondor` puts it there")
    prefix = UNPRIVILEGED if os.geteuid() == 0 else ()
    if prefix and subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no user namespaces, and HTCondor takes no jobs of root")
    pool = Pool(tmp_path_factory.mktemp("htcondor"), prefix)
    try:
        pool.start()
        yield pool
    finally:
        pool.stop()
