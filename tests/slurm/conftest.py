"""A SLURM cluster of this machine's own: real daemons, several nodes, no accounting.

The daemons come from Debian (`make test-slurm` installs them). They need root, and
/etc/slurm/slurm.conf, since jobs read it there; one that is there already is an error.
"""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
CONFIGURATION = Path("/etc/slurm/slurm.conf")

TEMPLATE = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort=36717
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
ReturnToService=2
SlurmdTimeout=15
KillWait=2
MinJobAge=600
JobRequeue=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass
class Cluster:
    """A running cluster; nodes are called n1, n2, ..."""

    folder: Path
    nodes: int
    cpus: int
    memory: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> None:
        host = os.uname().nodename.split(".")[0]
        (self.folder / "state").mkdir()
        lines = [TEMPLATE.format(host=host, folder=self.folder)]
        for number in range(1, self.nodes + 1):
            (self.folder / f"spool.n{number}").mkdir()
            lines.append(
                f"NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 "
                f"Port={36720 + number} CPUs={self.cpus} RealMemory={self.memory}\n"
            )
        # Nodes stand before the partition that takes them all.
        text = lines[0].replace("PartitionName", "".join(lines[1:]) + "PartitionName")
        own = self.folder / "slurm.conf"
        own.write_text(text)
        CONFIGURATION.parent.mkdir(exist_ok=True)
        CONFIGURATION.symlink_to(own)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        self._run(
            "munged",
            *("munged", "--force", "--foreground", f"--key-file={key}"),
            *(f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munge.pid"),
            *(f"--log-file={self.folder}/munge.log", f"--seed-file={self.folder}/munge.seed"),
        )
        self._wait(lambda: (self.folder / "munge.socket").exists(), "munged makes no socket")
        self._run("slurmctld", "slurmctld", "-D", "-c", "-i")
        for number in range(1, self.nodes + 1):
            self.start_node(f"n{number}")
        self._wait(
            lambda: self.answer("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * self.nodes,
            "the nodes do not become idle",
        )

    def start_node(self, name: str) -> None:
        self._run(name, "slurmd", "-D", "-N", name)

    def kill_node(self, name: str) -> None:
        """Kill a node: its daemon and what runs there."""
        self.processes.pop(name).kill()
        for job in self.answer("squeue", "-h", "-w", name, "-o", "%A").split():
            for stepd in self.answer("pgrep", "-f", f"slurmstepd: .{job}").split():
                os.kill(int(stepd), signal.SIGKILL)

    def answer(self, *command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True).stdout

    def jobs(self, state: str = "RUNNING") -> dict[str, str]:
        """Jobs in a state: the comment that Snakemake gives (rule and wildcards) by number."""
        lines = self.answer("squeue", "-h", "-t", state, "-O", "JobID:20,Comment:200").splitlines()
        return {line[:20].strip(): line[20:].strip() for line in lines}

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        CONFIGURATION.unlink(missing_ok=True)

    def _run(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    def _wait(self, done: Callable[[], bool], problem: str, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                logs = "".join(
                    f"\n== {path.name}\n{path.read_text(errors='replace')[-2000:]}"
                    for path in sorted(self.folder.glob("*.out"))
                )
                raise RuntimeError(f"{problem}{logs}")
            time.sleep(0.1)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Four nodes, each with one CPU and the memory of the largest step."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: `make test-slurm` installs SLURM")
    if os.geteuid() != 0:
        pytest.skip("SLURM's daemons need root")
    if CONFIGURATION.is_symlink() and not CONFIGURATION.exists():
        CONFIGURATION.unlink()  # of a test that was killed
    if CONFIGURATION.exists():
        pytest.fail(f"{CONFIGURATION} is there: this machine has a SLURM of its own")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"), nodes=4, cpus=1, memory=6000)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
