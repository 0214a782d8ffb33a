"""Starts a warm server beside Snakemake, which ends with it.

``FULLCHAIN_WARM=1`` asks for it. Jobs find the server through ``FULLCHAIN_SERVER``.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

WANTED = "FULLCHAIN_WARM"
ADDRESS = "FULLCHAIN_SERVER"


def start() -> Callable[[], None]:
    """Start a server that lives as long as this process, and name it in the environment.

    Returns
    -------
    callable
        Ends the server and waits for that; called by itself when this process ends. If this
        process is killed, the server sees its end of a pipe close.

    Raises
    ------
    OSError
        A process or a folder cannot be made.
    """
    # A socket's path has at most 107 bytes, and a temporary folder may lie deep.
    place = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="fullchain-", dir=place if len(place) < 70 else "/tmp")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("server.py")), folder, str(reading)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        pass_fds=[reading],
        # Ctrl-C is for Snakemake and its jobs; the server ends after them.
        start_new_session=True,
    )
    os.close(reading)
    assert process.stdout is not None
    is_ready = process.stdout.readline() == b"ready\n"
    is_open = True

    def end() -> None:
        nonlocal is_open
        if is_open:
            is_open = False
            os.environ.pop(ADDRESS, None)
            os.close(writing)
            process.wait()
            # A server that was killed leaves it.
            shutil.rmtree(folder, ignore_errors=True)

    if not is_ready:
        end()
        raise OSError(f"the warm server ended with status {process.returncode}")
    os.environ[ADDRESS] = f"{folder}/jobs.sock"
    atexit.register(end)
    return end


def let_benchmarks_see() -> None:
    """Count, in Snakemake's benchmark tables, the process that works for a client as its child.

    Snakemake adds up a shell and its children. A warm job is a child of a template instead, which
    notes it under the number of its client. Without this a table would show the client alone.
    """
    import psutil
    from snakemake import benchmark

    class Shell(psutil.Process):
        """The shell of a job, with the processes that work for it elsewhere."""

        def children(self, recursive: bool = False) -> list[Any]:
            found = super().children(recursive=recursive)
            folder = Path(os.environ.get(ADDRESS, "/")).parent
            # The shell may have become the client itself.
            for client in [self, *found]:
                try:
                    job = psutil.Process(int((folder / f"{client.pid}.job").read_text()))
                    # The guardian does nothing, and shares its memory with the work.
                    found += job.children(recursive=True) or [job]
                except (OSError, ValueError, psutil.Error):
                    continue
            return found

    class Timer(benchmark.BenchmarkTimer):
        """The same, of such a shell."""

        def __init__(self, pid: int, *arguments: Any, **named: Any) -> None:
            super().__init__(pid, *arguments, **named)
            self.main = Shell(self.pid)

    benchmark.BenchmarkTimer = Timer


def start_for(workflow: Any) -> None:
    """Start a server for a run of Snakemake on this machine, if one is wanted.

    Parameters
    ----------
    workflow
        Snakemake's workflow.
    """
    from snakemake.settings.types import ExecMode

    if os.environ.get(WANTED, "0") in ("", "0") or not workflow.local_exec or workflow.dryrun:
        return
    if workflow.exec_mode != ExecMode.DEFAULT:
        # The Snakemake of a group of jobs, or of a job elsewhere; its jobs find the server above.
        return
    if not sys.platform.startswith("linux"):
        print("warm start: needs Linux; jobs start cold", file=sys.stderr)
        return
    try:
        start()
    except OSError as problem:
        print(f"warm start: {problem}; jobs start cold", file=sys.stderr)
        return
    let_benchmarks_see()
