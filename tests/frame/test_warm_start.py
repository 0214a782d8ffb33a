"""A warm job is the same as a cold one: what it inherits, how it ends, and who ends with it.

A copy of the frame of the package gets a stage of its own whose step says what it sees, and a
template that imports less.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")

STEP = '''"""Do as told."""

import ctypes
import hashlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import threadpoolctl

from fullchain import grace
from fullchain.ancestors import parent_of
from fullchain.errors import InputError
from fullchain.step import Given, Option, Output

WORD = "first"
VALUES = np.random.default_rng(1).normal(size=(300, 300))


def is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def seen() -> dict:
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE)
    without = ("FULLCHAIN_SERVER", "_", "SHLVL")
    return {
        "argv": sys.argv,
        "path": sys.path,
        "main": sys.modules["__main__"].__file__,
        "environ": {k: v for k, v in os.environ.items() if k not in without},
        "shell": os.popen("echo $GREETING").read(),
        "cwd": os.getcwd(),
        "umask": os.umask(0o22),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "nice": os.nice(0),
        "cpus": sorted(os.sched_getaffinity(0)),
        "signals": [
            getattr(signal.getsignal(number), "__qualname__", str(signal.getsignal(number)))
            for number in signals
        ],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "stdin": sys.stdin.read(),
        "buffering": [sys.stdout.line_buffering, sys.stderr.line_buffering],
        "encoding": [sys.stdout.encoding, sys.stdout.errors, sys.stderr.errors],
        "sockets": [fd for fd in os.listdir("/proc/self/fd") if is_socket(int(fd))],
        "hash": hash("a") if os.environ.get("PYTHONHASHSEED") else None,
        "threads": sorted(pool["num_threads"] for pool in threadpoolctl.threadpool_info()),
        "product": hashlib.sha256((VALUES @ VALUES.T).tobytes()).hexdigest(),
        "children": os.times().children_user,
        "word": WORD,
    }


def main(
    *,
    output: Annotated[Path, Output("what was seen")],
    act: Annotated[str, Option("what to do")] = "see",
    settings: Given,
) -> None:
    """Do it."""
    # The guardian is the parent.
    forker = parent_of(os.getppid())
    numbers = [os.getpid(), os.getppid(), forker]
    if act == "wait":
        print("started", *numbers, flush=True)
        sys.stdin.read()
    elif act in ("tool", "deaf", "slow"):
        # In a session of its own, as vendor tools.
        tool = subprocess.Popen(["sh", "-c", "sleep 1000; true"], start_new_session=True)
        unfinished = output.with_name(".unfinished.seen.json")
        unfinished.touch()
        if act == "deaf":
            # Inside a compiled function that runs no handler of Python's, and lets no thread run.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
        if act == "slow":
            grace.allow(30)
        try:
            print("started", *numbers, tool.pid, flush=True)
            ctypes.PyDLL(None).pause() if act == "deaf" else tool.wait()
        finally:
            if act == "slow":
                tool.kill()
                told = subprocess.run(["sleep", "1"])
                output.with_name("told").write_text(str(told.returncode))
            unfinished.unlink()
    elif act == "refuse":
        raise InputError("no such thing")
    elif act == "crash":
        raise ValueError("a fault of the program")
    elif act == "leave":
        sys.exit(7)
    elif act == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    content = {"random": float(np.random.random()), "parent": forker, **seen()}
    output.write_text(json.dumps(content))
'''


@dataclass
class Project:
    """A small project, and a way to run its step."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def environment(self, server: str | None) -> dict[str, str]:
        known = {"PYTHONPATH": f"{self.folder / 'src'}:{self.folder / 'site-packages'}"}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        warm = {"FULLCHAIN_SERVER": server} if server else {}
        return {**kept, **known, **warm, **self.variables}

    def start(
        self, server: str | None, *words: str, ready: Callable[[], object] | None = None
    ) -> subprocess.Popen[str]:
        """Start the step in a process of its own; its standard input stays open."""
        output = ["--output", str(self.folder / "seen.json"), "--settings", "{}"]
        return subprocess.Popen(
            [sys.executable, "-m", "fullchain", "trial", "act", *output, *words],
            cwd=self.folder,
            env=self.environment(server),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=ready,
        )

    def run(self, server: str | None, *words: str, **named: Any) -> tuple[int, str, str]:
        """Run the step to its end; give status, output and errors."""
        process = self.start(server, *words, **named)
        output, errors = process.communicate("some input")
        return process.returncode, output, errors

    def seen(self, server: str | None, **named: Any) -> dict[str, Any]:
        """What the step saw; nothing was complained about."""
        assert self.run(server, **named) == (0, "", "")
        return dict(json.loads((self.folder / "seen.json").read_text()))


@pytest.fixture
def trial(project: Path, tmp_path: Path) -> Project:
    source, copy = project / "src" / "fullchain", tmp_path / "src" / "fullchain"
    for folder in ("dag", "warm_start"):
        shutil.copytree(source / folder, copy / folder)
    for file in source.glob("*.py"):
        shutil.copy(file, copy)
    template = copy / "warm_start" / "template.py"
    before, _, rest = template.read_text().partition("PACKAGES = (")
    after = rest.partition("\n)\n")[2]
    few = 'PACKAGES = ("typer", "numpy", "threadpoolctl", "perhaps")\n'
    template.write_text((before + few + after).replace("PATIENCE = 6.0", "PATIENCE = 2.0"))
    guardian = copy / "guardian.py"
    guardian.write_text(guardian.read_text().replace("GRACE = 2.0", "GRACE = 0.5"))
    (copy / "trial").mkdir()
    (copy / "trial" / "__init__.py").write_text('"""A stage."""\n')
    (copy / "trial" / "act.py").write_text(STEP)
    (tmp_path / "site-packages").mkdir()
    return Project(tmp_path)


@dataclass
class Driver:
    """A process that has started a server."""

    process: subprocess.Popen[str]
    server: str

    def server_process(self) -> psutil.Process:
        return psutil.Process(self.process.pid).children()[0]


@pytest.fixture
def driver(trial: Project) -> Iterator[Driver]:
    program = (
        "import os, sys; from fullchain.warm_start import driver; driver.start();"
        "print(os.environ['FULLCHAIN_SERVER'], flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=trial.environment(None),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A shell starts what it puts in the background with interruptions ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    found = Driver(process, process.stdout.readline().strip())
    processes = psutil.Process(process.pid).children(recursive=True)
    yield found
    process.communicate()
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive
    assert not Path(found.server).parent.exists()


@dataclass
class Running:
    """The processes of a job; `template` is what forked it, this process where it is cold."""

    work: psutil.Process
    guardian: psutil.Process
    template: psutil.Process
    tools: list[psutil.Process]

    def wait(self) -> None:
        for one in (self.work, self.guardian, *self.tools):
            with contextlib.suppress(psutil.NoSuchProcess):
                # The guardian of a cold job is our child, whose status is asked for later.
                if one.ppid() != os.getpid():
                    one.wait(60)


def started(process: subprocess.Popen[str]) -> Running:
    """Wait until a job runs; give its processes."""
    assert process.stdout is not None
    word, *numbers = process.stdout.readline().split()
    assert word == "started"
    work, guardian, template, *tools = map(psutil.Process, map(int, numbers))
    return Running(work, guardian, template, tools)


@pytest.fixture(params=["cold", "warm"])
def server(request: pytest.FixtureRequest, driver: Driver) -> str | None:
    return driver.server if request.param == "warm" else None


VARIATIONS: dict[str, tuple[dict[str, str], Callable[[], object] | None]] = {
    "plain": ({}, None),
    "one thread": ({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}, None),
    "two threads": ({"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}, None),
    "hash seed": ({"PYTHONHASHSEED": "5", "GREETING": "grüß dich\n!"}, None),
    "umask": ({}, lambda: os.umask(0o077)),
    "limit": ({}, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))),
    "nice": ({}, lambda: os.nice(3)),
    "affinity": ({}, lambda: os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])),
    "no interruption": ({}, lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)),
    "locale": ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}, None),
}


@pytest.mark.parametrize("name", VARIATIONS)
def test_a_job_sees_what_it_would_see_by_itself(trial: Project, driver: Driver, name: str) -> None:
    trial.variables, ready = VARIATIONS[name]
    cold = trial.seen(None, ready=ready)
    warm = trial.seen(driver.server, ready=ready)
    again = trial.seen(driver.server, ready=ready)
    assert cold["parent"] == os.getpid()
    assert warm["parent"] == again["parent"] != cold["parent"]
    # What numpy seeds by itself is no more shared by two jobs than by two processes.
    assert len({seen["random"] for seen in (cold, warm, again)}) == 3
    for seen in (cold, warm, again):
        del seen["parent"], seen["random"]
    assert warm == cold == again


@pytest.mark.parametrize(
    ("act", "status", "last"),
    [
        ("refuse", 2, "error: no such thing"),
        ("crash", 1, "ValueError: a fault of the program"),
        ("leave", 7, ""),
        (
            "die",
            128 + signal.SIGSEGV,
            "error: killed by SIGSEGV: a fault of a compiled library, or",
        ),
    ],
)
def test_a_job_ends_as_it_would_by_itself(
    trial: Project, driver: Driver, act: str, status: int, last: str
) -> None:
    for server in (None, driver.server):
        found, output, errors = trial.run(server, "--act", act)
        assert (found, output) == (status, "")
        assert [*errors.splitlines(), ""][-2 if last else 0].startswith(last)
        assert "template.py" not in errors


def test_wrong_options_are_told_in_the_same_words(trial: Project, driver: Driver) -> None:
    cold, warm = (trial.run(server, "--wrong", "x") for server in (None, driver.server))
    assert cold == warm
    assert "No such option: --wrong" in warm[2]


@pytest.mark.parametrize(
    ("act", "number"),
    [("tool", signal.SIGINT), ("tool", signal.SIGHUP), ("deaf", signal.SIGTERM)],
)
def test_a_signal_to_the_command_ends_all(
    trial: Project, server: str | None, act: str, number: signal.Signals
) -> None:
    # The tests may run under nohup.
    process = trial.start(server, "--act", act, ready=lambda: signal.signal(number, signal.SIG_DFL))
    job = started(process)
    process.send_signal(number)
    job.wait()
    _, errors = process.communicate()
    if act == "tool":
        assert errors.startswith("interrupted\n" if number == signal.SIGINT else "error:")
        assert not (trial.folder / ".unfinished.seen.json").exists()
    assert process.returncode == (128 + number if act == "tool" else 137)
    assert errors.endswith(f"error: ended by {number.name}\n")


@pytest.mark.parametrize("act", ["tool", "deaf"])
@pytest.mark.parametrize("target", ["command", "guardian", "work"])
def test_nothing_is_left_where_one_is_killed(
    trial: Project, server: str | None, act: str, target: str
) -> None:
    process = trial.start(server, "--act", act)
    job = started(process)
    one = {"command": psutil.Process(process.pid), "guardian": job.guardian, "work": job.work}
    one[target].kill()
    job.wait()
    _, errors = process.communicate()
    if act == "tool" and target != "work":
        assert not (trial.folder / ".unfinished.seen.json").exists()
        assert "error: ended" in errors
    if target == "work":
        assert process.returncode == 137
        assert "error: killed by SIGKILL; where nobody did this" in errors


PARENT = (
    "import subprocess, sys; from fullchain.guardian import announce; announce();"
    "shell = subprocess.Popen(['bash', '-c', '\"$@\"; true', 'bash', *sys.argv[1:]]);"
    "print(shell.pid, flush=True); shell.wait(); sys.stdin.read()"
)


@pytest.mark.parametrize("target", ["snakemake", "shell"])
def test_a_job_ends_with_what_asked_for_it(trial: Project, server: str | None, target: str) -> None:
    """Its Snakemake, though it is not the one that has started the server, and the shell."""
    output = ["--output", str(trial.folder / "seen.json"), "--settings", "{}", "--act", "tool"]
    command = [sys.executable, "-m", "fullchain", "trial", "act", *output]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *command],
        cwd=trial.folder,
        env=trial.environment(server),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        shell = int(process.stdout.readline())
        job = started(process)
        os.kill(shell if target == "shell" else process.pid, signal.SIGKILL)
        job.wait()
        _, errors = process.communicate()
    assert not (trial.folder / ".unfinished.seen.json").exists()
    assert "error: ended by SIGTERM" in errors


@pytest.mark.parametrize("target", ["command", "work"])
def test_a_step_gets_the_time_that_it_asked_for(
    trial: Project, server: str | None, target: str
) -> None:
    process = trial.start(server, "--act", "slow")
    job = started(process)
    if server and target == "command":
        process.kill()
    else:
        process.terminate()
    job.wait()
    process.communicate()
    assert (trial.folder / "told").read_text() == "0"


def test_two_jobs_run_at_once(trial: Project, driver: Driver) -> None:
    both = [trial.start(driver.server, "--act", "wait") for _ in range(2)]
    first, second = map(started, both)
    assert first.template == second.template
    assert first.work != second.work
    for process in reversed(both):
        _, errors = process.communicate("go on")
        assert (process.returncode, errors) == (0, "")


def test_the_server_goes_on_where_a_client_is_killed(trial: Project, driver: Driver) -> None:
    process = trial.start(driver.server, "--act", "wait")
    template = started(process).template
    process.kill()
    process.communicate()
    assert trial.seen(driver.server)["parent"] == template.pid


def test_a_killed_server_fails_its_jobs_and_later_ones_start_cold(
    trial: Project, driver: Driver
) -> None:
    process = trial.start(driver.server, "--act", "tool")
    job = started(process)
    driver.server_process().kill()
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "error: the warm server ended while this job ran\n" in errors
    # The client has waited for it.
    assert not job.work.is_running()
    job.wait()
    assert not (trial.folder / ".unfinished.seen.json").exists()
    status, _, errors = trial.run(driver.server)
    assert status == 0
    assert errors.startswith("warm start: ")
    assert errors.endswith("; this job starts cold\n")
    assert errors.count("\n") == 1


def test_a_killed_template_fails_its_jobs_and_has_one_successor(
    trial: Project, driver: Driver
) -> None:
    for _ in range(2):
        process = trial.start(driver.server, "--act", "tool")
        job = started(process)
        assert job.template.ppid() == driver.server_process().pid
        job.template.kill()
        _, errors = process.communicate()
        assert process.returncode == 1
        assert "error: the warm server ended while this job ran\n" in errors
        assert not job.work.is_running()
        job.wait()
        assert not (trial.folder / ".unfinished.seen.json").exists()
    status, _, errors = trial.run(driver.server)
    assert status == 0
    assert errors == "warm start: a template ended (killed); this job starts cold\n"


@pytest.mark.parametrize(
    ("act", "number"),
    [("tool", signal.SIGKILL), ("tool", signal.SIGTERM), ("deaf", signal.SIGINT)],
)
def test_all_ends_with_the_driver(
    trial: Project, driver: Driver, act: str, number: signal.Signals
) -> None:
    process = trial.start(driver.server, "--act", act)
    job, server = started(process), driver.server_process()
    driver.process.send_signal(number)
    job.wait()
    for one in (job.template, server):
        one.wait(60)
    process.communicate()
    assert process.returncode == 1
    assert act == "deaf" or not (trial.folder / ".unfinished.seen.json").exists()


def test_a_table_counts_the_work_and_not_its_guardian(
    trial: Project, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snakemake import benchmark

    from fullchain.warm_start.driver import ADDRESS, let_benchmarks_see

    process = trial.start(driver.server, "--act", "tool")
    job = started(process)
    monkeypatch.setenv(ADDRESS, driver.server)
    monkeypatch.setattr(benchmark, "BenchmarkTimer", benchmark.BenchmarkTimer)
    let_benchmarks_see()
    shell = benchmark.BenchmarkTimer(process.pid, benchmark.BenchmarkRecord()).main
    found = {one.pid for one in shell.children(recursive=True)}
    process.terminate()
    process.communicate()
    assert {job.work.pid, job.tools[0].pid} <= found
    assert not found & {job.guardian.pid, job.template.pid}


def test_jobs_of_several_drivers_have_one_template(trial: Project, driver: Driver) -> None:
    found = set()
    for number in range(5):
        trial.variables = {"FULLCHAIN_DRIVER": str(number + 1)}
        seen = trial.seen(driver.server)
        assert seen["environ"]["FULLCHAIN_DRIVER"] == str(number + 1)
        found.add(seen["parent"])
    assert len(found) == 1


def test_an_edit_between_two_jobs_is_seen(trial: Project, driver: Driver) -> None:
    before = trial.seen(driver.server)
    step = trial.folder / "src" / "fullchain" / "trial" / "act.py"
    step.write_text(step.read_text().replace('WORD = "first"', 'WORD = "second"'))
    after = trial.seen(driver.server)
    assert before["parent"] == after["parent"]
    assert (before["word"], after["word"]) == ("first", "second")


def test_a_package_installed_meanwhile_is_used(trial: Project, driver: Driver) -> None:
    before = trial.seen(driver.server)
    (trial.folder / "site-packages" / "other.py").write_text("")
    after = trial.seen(driver.server)
    assert before["parent"] != after["parent"] == trial.seen(driver.server)["parent"]


def test_a_template_that_leaves_ends_after_its_jobs_or_with_the_driver(
    trial: Project, driver: Driver
) -> None:
    both = [trial.start(driver.server, "--act", "wait") for _ in range(2)]
    for process, name in zip(both, ("one", "two"), strict=True):
        job = started(process)
        (trial.folder / "site-packages" / f"{name}.py").write_text("")
        assert trial.seen(driver.server)["parent"] != job.template.pid
        if name == "one":
            process.communicate("go on")
            both[1].communicate("go on")
            job.template.wait(60)
            assert job.template.pid not in psutil.pids()
            both[1] = trial.start(driver.server, "--act", "wait")
    assert both[0].returncode == 0
    driver.process.kill()
    job.wait()
    job.template.wait(60)
    both[1].communicate()
    assert both[1].returncode == 1


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import threading, time\nthreading.Thread(target=input, daemon=True).start()", "threads"),
        ("import fullchain", "import fullchain"),
        ("import os\nos._exit(3)", "killed"),
    ],
)
def test_a_template_that_must_not_fork_makes_jobs_start_cold(
    trial: Project, driver: Driver, source: str, reason: str
) -> None:
    # The thread waits for a standard input that never ends.
    source = source.replace("input", "lambda: time.sleep(1000)")
    (trial.folder / "site-packages" / "perhaps.py").write_text(source)
    for _ in range(2):
        status, _, errors = trial.run(driver.server)
        assert status == 0
        assert errors.startswith("warm start: ")
        assert errors.endswith("; this job starts cold\n")
    assert reason in errors


def test_only_so_many_environments_are_kept(trial: Project, driver: Driver) -> None:
    complaints = []
    for number in range(5):
        trial.variables = {"OMP_NUM_THREADS": str(number + 1)}
        complaints.append(trial.run(driver.server)[2])
    assert complaints[:4] == [""] * 4
    assert "at most 4 environments" in complaints[4]


def test_no_server_is_started_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    from snakemake.settings.types import ExecMode

    from fullchain.warm_start import driver

    class Workflow:
        local_exec = True
        dryrun = False
        exec_mode = ExecMode.DEFAULT

    starts: list[str] = []

    def start() -> None:
        starts.append("started")
        raise OSError("enough")

    monkeypatch.setattr(driver, "start", start)
    monkeypatch.delenv(driver.WANTED, raising=False)
    driver.start_for(Workflow())
    monkeypatch.setenv(driver.WANTED, "0")
    driver.start_for(Workflow())
    monkeypatch.setenv(driver.WANTED, "1")
    for name, value in (
        ("local_exec", False),
        ("dryrun", True),
        ("exec_mode", ExecMode.SUBPROCESS),
        ("exec_mode", ExecMode.REMOTE),
    ):
        workflow = Workflow()
        setattr(workflow, name, value)
        driver.start_for(workflow)
    assert not starts
    driver.start_for(Workflow())
    assert starts
