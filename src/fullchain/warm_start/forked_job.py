"""What a forked process does: become what the client would be itself, and run one command.

Imported by ``template.py``, which is a script and in no package.
"""

import atexit
import ctypes
import importlib
import io
import mmap
import os
import resource
import signal
import sys
import threading
import traceback
import types
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1


def inherit(job: dict[str, Any], descriptors: list[int], variables: list[str]) -> None:
    """Become what the client's own process would be: folder, streams, environment, limits."""
    _, folder, *streams = descriptors
    os.fchdir(folder)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(line_buffering=stream is sys.stderr or os.isatty(stream.fileno()))
    # The others are the same, but for those that packages set when they are imported.
    for name in variables:
        if name in job["environ"]:
            os.environ[name] = job["environ"][name]
        else:
            os.environ.pop(name, None)
    os.umask(job["umask"])
    os.nice(job["nice"] - os.nice(0))
    for name, limit in job["limits"].items():
        number = getattr(resource, name)
        if resource.getrlimit(number) != tuple(limit):
            resource.setrlimit(number, tuple(limit))


def set_signals(ignored: list[int]) -> None:
    """Give signals the meaning that they have when Python starts."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    interrupted = signal.SIG_IGN if signal.SIGINT in ignored else signal.default_int_handler
    signal.signal(signal.SIGINT, interrupted)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def forget_start(job: dict[str, Any]) -> None:
    """Replace what Python took from the template's command line; seed what is seeded by itself."""
    sys.argv[:] = job["argv"]
    sys.path[:] = job["path"]
    main = types.ModuleType("__main__")
    if job["main"] is not None:
        # What multiprocessing reads again in the processes that it starts.
        main.__file__ = job["main"]
    sys.modules["__main__"] = main
    importlib.invalidate_caches()
    if "numpy" in sys.modules:
        # As in a process of its own, no two have the same; `random` sees to that by itself.
        sys.modules["numpy"].random.seed()


def run_command(wish: mmap.mmap) -> int:
    """Run the command line of fullchain; give the exit status that Python would end with."""
    try:
        from fullchain import grace
        from fullchain.cli import main

        grace.share(wish)
        main()
    except SystemExit as problem:
        if problem.code is None or isinstance(problem.code, int):
            return (problem.code or 0) & 0xFF
        print(problem.code, file=sys.stderr)
        return 1
    except BaseException as problem:
        trace = problem.__traceback__
        traceback.print_exception(problem.with_traceback(trace and trace.tb_next))
        return 1
    return 0


def be_job(
    job: dict[str, Any], descriptors: list[int], variables: list[str], wish: mmap.mmap, parent: int
) -> NoReturn:
    """Run one job, in the child, to its end."""
    status = 1
    try:
        inherit(job, descriptors, variables)
        forget_start(job)
        set_signals(job["ignored"])
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
        status = run_command(wish)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:
        traceback.print_exc()
        status = status or 1
    finally:
        os._exit(status)
