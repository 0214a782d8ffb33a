"""A step and all that it starts end together.

A process that is killed does not take its children with it: compilers, synthesis tools and worker
processes would go on working, unseen, for nobody. So the process of the command stays behind as a
guardian and does the work in a child. It passes signals on, ends the work when the Snakemake that
asked for it is gone, ends what the work left running, and says so where the work was killed.

A third process, which has slept so far, sees to it that the work ends where it was the guardian
that was killed: the work may be inside a compiled function, where no signal of ours is heeded. For
a job of a warm server the template does that (`fullchain.warm_start`).

Linux alone has what this needs (5.3 or later); elsewhere the command does the work itself.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from fullchain import grace
from fullchain.ancestors import DRIVER, parent_of

GRACE = 2.0
"""How long work that was told to end may wait for its children, and then for itself [s].

`fullchain.grace.allow` makes the first of the two longer.
"""

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SET_DEATH_SIGNAL, _SET_SUBREAPER = 1, 36  # <linux/prctl.h>


def announce() -> None:
    """Say in the environment that this process is the driver of what it starts."""
    os.environ[DRIVER] = str(os.getpid())


def end_together(watched: Sequence[int]) -> None:
    """Go on in a child; the process that calls waits for it and exits with its status.

    Parameters
    ----------
    watched
        Descriptors of the processes with which the work ends (`fullchain.ancestors.opened`).
    """
    own = _own_descriptor()
    if own is None:
        return
    # A template ends the work where the guardian is killed.
    alone = not grace.is_shared()
    grace.share()
    _prctl(_SET_SUBREAPER, 1)
    sys.stdout.flush()
    sys.stderr.flush()
    guardian = os.getpid()
    worker = os.fork()
    if worker:
        sys.exit(_guard(worker, own, watched, alone))
    for descriptor in (own, *watched):
        os.close(descriptor)
    _prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != guardian:
        os._exit(1)
    _end_in_order(guardian)


def _own_descriptor() -> int | None:
    """Give what becomes readable when this process ends; None where the system has no such thing.

    That Python knows the call does not mean that the kernel does, or allows it in a container.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(os.getpid())
    except OSError:
        return None


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_in_order(guardian: int) -> None:
    """Make signals unwind the work, so that it removes what is unfinished; only the first one."""

    def end(number: int, frame: FrameType | None) -> None:
        for other in _heeded():
            signal.signal(other, lambda *_: None)
        if os.getppid() != guardian:
            os.write(2, b"error: ended, because the process that watches this step was killed\n")
            _kill(descendants(os.getpid()))
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    for number in _heeded():
        signal.signal(number, end)


def _heeded() -> list[signal.Signals]:
    """Give the signals that are not ignored, as those of a terminal are in the background."""
    return [one for one in _FORWARDED if signal.getsignal(one) != signal.SIG_IGN]


def _guard(worker: int, guardian: int, watched: Sequence[int], alone: bool) -> int:
    """Wait for the worker; give the exit status."""
    told: list[str] = []
    since: list[float] = []

    def tell(number: int, frame: FrameType | None) -> None:
        # Only once: a second signal might disturb the work that ends in order.
        if not told:
            told.append(signal.Signals(number).name)
            since.append(time.monotonic())
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, number)

    for number in _heeded():
        signal.signal(number, tell)
    work = os.pidfd_open(worker)
    second = _second(worker, work, guardian) if alone else None
    poll = select.poll()
    for descriptor in (work, *watched):
        poll.register(descriptor, select.POLLIN)
    ended: set[int] = set()
    kills = 0
    while work not in ended:
        left = GRACE
        if since:
            # A signal that comes between this and the call comes to the worker as well.
            left = since[0] + max(GRACE, grace.wished()) + kills * GRACE - time.monotonic()
        if since and left <= 0:
            # A pool waits for its workers; without them, the work can tidy up.
            _kill([*descendants(worker), *([worker] if kills else [])])
            kills += 1
            continue
        for descriptor, _ in poll.poll(min(left, GRACE) * 1000):
            ended.add(descriptor)
            poll.unregister(descriptor)
            if descriptor != work and not told:
                tell(signal.SIGTERM, None)
                told[-1] = "SIGTERM, because the Snakemake that started it is gone"
    if second is not None:
        _kill([second])
    status = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    _end_children()
    if told and status:
        print(f"error: ended by {told[0]}", file=sys.stderr)
        return status if status > 0 else 128 - status
    if status < 0:
        print(f"error: {_death(-status)}", file=sys.stderr)
        return 128 - status
    return status


def _second(worker: int, work: int, guardian: int) -> int:
    """Start the process that ends the work where the guardian was killed."""
    process = os.fork()
    if process:
        return process
    for number in _FORWARDED:
        signal.signal(number, signal.SIG_IGN)
    poll = select.poll()
    for descriptor in (work, guardian):
        poll.register(descriptor, select.POLLIN)
    poll.poll()
    # The work has had its signal of the guardian's death.
    poll.unregister(guardian)
    for seconds, targets in ((max(GRACE, grace.wished()), ()), (GRACE, (worker,))):
        if poll.poll(seconds * 1000):
            break
        _kill([*descendants(worker), *targets])
    os._exit(0)


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


def descendants(process: int) -> list[int]:
    """Give the numbers of all children of a process, and of theirs."""
    running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    parents = {one: parent_of(one) for one in running}
    found, waiting = [], [process]
    while waiting:
        parent = waiting.pop()
        children = [child for child, of in parents.items() if of == parent]
        found += children
        waiting += children
    return found
