"""What a killed step leaves: nothing that goes on working."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fullchain import grace, guardian
from fullchain.ancestors import DRIVER

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(os, "pidfd_open"), reason="the guardian needs Linux"
)

STEP = """
import concurrent.futures, multiprocessing, os, subprocess, sys, time
from fullchain.ancestors import asked_by, opened
from fullchain.guardian import end_together

end_together(opened(asked_by()))
what = sys.argv[1]
if what == "status":
    sys.exit(7)
if what == "fault":
    os.abort()
if what == "tool":
    # A tool that starts another, in a session of its own, as vendor tools do.
    child = subprocess.Popen(["sh", "-c", "sleep 1000; true"], start_new_session=True)
    numbers = [child.pid]
if what == "workers":
    pool = concurrent.futures.ProcessPoolExecutor(
        2, mp_context=multiprocessing.get_context("fork")
    )
    waiting = [pool.submit(os.getpid) for _ in range(8)]
    numbers = sorted({one.result() for one in waiting})
    stuck = pool.submit(time.sleep, 1000)
try:
    print(os.getpid(), *numbers, flush=True)
    if what == "tool":
        child.wait()
    else:
        stuck.result()
finally:
    print("tidied up", flush=True)
"""


def start(what: str, **environment: str) -> tuple[subprocess.Popen[str], list[int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", STEP, what],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    return process, [int(word) for word in process.stdout.readline().split()]


def wait_for_end(numbers: list[int]) -> None:
    """Wait until processes are gone; a test that waits in vain fails by the limit of `select`."""
    for number in numbers:
        try:
            descriptor = os.pidfd_open(number)
        except ProcessLookupError:
            continue
        ready = select.select([descriptor], [], [], 30)[0]
        os.close(descriptor)
        assert ready, f"process {number} goes on"


@pytest.fixture
def begun() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        # Killed at once, it could not end what its work has left.
        process.terminate()
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()


@pytest.mark.parametrize("what", ["tool", "workers"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_command_ends_all(what: str, number: int, begun: list) -> None:
    process, numbers = start(what)
    begun.append(process)
    assert len(numbers) >= 2
    process.send_signal(number)
    wait_for_end(numbers)
    said, complained = process.communicate(timeout=30)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert "tidied up" in said
    if number != signal.SIGKILL:
        assert f"error: ended by {signal.Signals(number).name}" in complained


@pytest.mark.parametrize("what", ["tool", "workers"])
def test_work_that_is_killed_leaves_nothing_and_is_told(what: str, begun: list) -> None:
    process, numbers = start(what)
    begun.append(process)
    os.kill(numbers[0], signal.SIGKILL)
    wait_for_end(numbers)
    assert "error: killed by SIGKILL; where nobody did this" in process.communicate(timeout=30)[1]
    assert process.returncode == 137


DRIVING = (
    "import subprocess, sys; from fullchain.guardian import announce; announce(); "
    "subprocess.run(['bash', '-c', '\"$@\"; true', 'bash', *sys.argv[1:]])"
)


def test_work_ends_with_the_driver_that_asked_for_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DRIVING, sys.executable, "-c", STEP, "tool"],
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout is not None
        numbers = [int(word) for word in driver.stdout.readline().split()]
        driver.kill()
        wait_for_end(numbers)
        assert "tidied up" in driver.stdout.read()


CACHED = """
import os, sys
from types import SimpleNamespace
from fullchain import cli
from fullchain.caching import run

def slow(step, source, words, work):
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    work()

def work(words):
    sys.stdin.readline()
    print("done", flush=True)

run.run_cached = slow
cli._imported = lambda name: SimpleNamespace(main=None)
cli.Command = lambda name, function: SimpleNamespace(run=work)
cli._dispatch(["ntuples", "generate"])
"""


def test_work_does_not_begin_for_a_driver_that_was_killed_while_the_cache_was_asked() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DRIVING, sys.executable, "-c", CACHED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "FULLCHAIN_CACHE": "/somewhere"},
    ) as driver:
        assert driver.stdin is not None and driver.stdout is not None
        number = int(driver.stdout.readline())
        driver.kill()
        driver.wait()
        driver.stdin.write("the key is made\n")
        driver.stdin.flush()
        wait_for_end([number])
        assert "done" not in driver.stdout.read()


def test_a_driver_that_is_no_ancestor_counts_for_nothing(begun: list) -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        process, numbers = start("tool", **{DRIVER: str(other.pid)})
        begun.append(process)
        other.kill()
        other.wait()
        assert process.poll() is None
        process.terminate()
        wait_for_end(numbers)
        assert "tidied up" in process.communicate(timeout=30)[0]


def test_the_status_of_the_work_is_that_of_the_command() -> None:
    process, _ = start("status")
    assert (process.communicate()[1], process.returncode) == ("", 7)
    process, _ = start("fault")
    assert "error: killed by SIGABRT" in process.communicate()[1]
    assert process.returncode == 128 + signal.SIGABRT


def test_a_kernel_that_does_not_have_the_call_means_no_guardian(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(process: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    guardian.end_together([])


def test_the_longest_wish_counts_and_without_a_guardian_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grace, "_shared", None)
    grace.allow(5.0)
    assert grace.wished() == 0.0
    grace.share()
    grace.allow(5.0)
    grace.allow(3.0)
    assert grace.wished() == 5.0
