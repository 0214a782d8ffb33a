"""A step and all that it starts end together.

A process that is killed does not take its children with it: compilers, synthesis tools and worker
processes would go on working, unseen, for nobody. So the process of the command stays behind as a
guardian and does the work in a child. It passes signals on, ends the work when the Snakemake that
asked for it is gone, ends what the work left running, and says so where the work was killed.

Linux alone has what this needs; elsewhere the command does the work itself.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

DRIVER = "FULLCHAIN_DRIVER"
"""Environment variable with the process number of the Snakemake that started a step."""

GRACE = 2.0
"""How long work that was told to end may wait for its children, and then for itself [s]."""

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SET_DEATH_SIGNAL, _SET_SUBREAPER = 1, 36  # <linux/prctl.h>


def announce() -> None:
    """Say in the environment that this process is the driver of what it starts."""
    os.environ[DRIVER] = str(os.getpid())


def end_together() -> None:
    """Go on in a child; the process that calls waits for it and exits with its status."""
    if not (sys.platform == "linux" and hasattr(os, "pidfd_open")):
        return
    watched = _asked_by()
    _prctl(_SET_SUBREAPER, 1)
    sys.stdout.flush()
    sys.stderr.flush()
    guardian = os.getpid()
    worker = os.fork()
    if worker:
        sys.exit(_guard(worker, watched))
    _prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != guardian:
        os._exit(1)
    _end_in_order(guardian)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_in_order(guardian: int) -> None:
    """Make signals unwind the work, so that it removes what is unfinished; only the first one."""

    def end(number: int, frame: FrameType | None) -> None:
        for other in _heeded():
            signal.signal(other, lambda *_: None)
        if os.getppid() != guardian:
            _kill(descendants(os.getpid()))
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    for number in _heeded():
        signal.signal(number, end)


def _heeded() -> list[signal.Signals]:
    """Give the signals that are not ignored, as those of a terminal are in the background."""
    return [one for one in _FORWARDED if signal.getsignal(one) != signal.SIG_IGN]


def _guard(worker: int, watched: list[int]) -> int:
    """Wait for the worker; give the exit status."""
    told: list[str] = []
    deadline: list[float] = []

    def tell(number: int, frame: FrameType | None) -> None:
        told.append(signal.Signals(number).name)
        deadline.append(time.monotonic() + GRACE)
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, number)

    for number in _heeded():
        signal.signal(number, tell)
    poll = select.poll()
    own = os.pidfd_open(worker)
    poll.register(own, select.POLLIN)
    for process in watched:
        with contextlib.suppress(ProcessLookupError):
            poll.register(os.pidfd_open(process), select.POLLIN)
    ended: set[int] = set()
    alone = False
    while own not in ended:
        # A signal that comes before this has moved the deadline comes to the worker as well.
        left = min(max(0.0, deadline[0] - time.monotonic()), GRACE) if deadline else GRACE
        for descriptor, _ in poll.poll(left * 1000):
            ended.add(descriptor)
            poll.unregister(descriptor)
            if descriptor != own and not told:
                tell(signal.SIGTERM, None)
                told[-1] = "SIGTERM, because the Snakemake that started it is gone"
        if deadline and time.monotonic() > deadline[0]:
            # A pool waits for its workers; without them, the work can tidy up.
            _kill([*descendants(worker), *([worker] if alone else [])])
            deadline[0], alone = time.monotonic() + GRACE, True
    status = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    _end_children()
    if told and status:
        print(f"ended by {told[0]}", file=sys.stderr)
        return status if status > 0 else 128 - status
    if status < 0:
        print(f"error: {_death(-status)}", file=sys.stderr)
        return 128 - status
    return status


def _death(number: int) -> str:
    name = signal.Signals(number).name
    if number == signal.SIGKILL:
        return (
            "killed by SIGKILL; where nobody did this, the memory did not suffice: give the rule "
            "more mem_mb (--set-resources <rule>:mem_mb=...), or run fewer jobs at once"
        )
    return f"killed by {name}: a fault of a compiled library, or somebody's signal"


def _end_children() -> None:
    """Wait a moment for what the work left running, which is now ours; then kill it."""
    end = time.monotonic() + 1.0
    while True:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended:
            continue
        if time.monotonic() > end:
            _kill(descendants(os.getpid()))
        time.sleep(0.01)


def _kill(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _asked_by() -> list[int]:
    """Give the driver, where it is among our ancestors, and our parent: a shell of the driver's.

    A number that was inherited from elsewhere, such as the host that submitted a job, counts for
    nothing.
    """
    driver = os.environ.get(DRIVER, "")
    process, parents = os.getpid(), _parents()
    while process := parents.get(process, 0):
        if str(process) == driver:
            return list({process, os.getppid()})
    return []


def descendants(process: int) -> list[int]:
    """Give the numbers of all children of a process, and of theirs."""
    parents = _parents()
    found, waiting = [], [process]
    while waiting:
        parent = waiting.pop()
        children = [child for child, of in parents.items() if of == parent]
        found += children
        waiting += children
    return found


def _parents() -> dict[int, int]:
    return dict(_stated())


def _stated() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # The name of the program, in brackets, may itself hold brackets and spaces.
            with contextlib.suppress(OSError):
                words = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                yield int(entry.name), int(words[1])
