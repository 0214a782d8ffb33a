"""Imports third-party packages once, and forks a process for each job.

A script of its own, started by ``server.py`` with the environment and in the folder of its jobs::

    python template.py DESCRIPTOR FOLDER VARIABLE...

The variables are those that may differ between a job and its template. It never imports the
project's own modules: what a job runs is what is on disk when it starts.

A process with more than one thread must not fork, for the locks that the others hold stay locked
in the child. The pools of OpenBLAS end by themselves before a fork; whatever else has a thread, or
has opened a GPU, makes the template give up, and its jobs start cold.

The process that is forked watches over the work, in a process of its own (`fullchain.guardian`).
The template tells it to end; what does not end, or is left by a guardian that was killed, is killed
here.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import mmap
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from forked_job import be_job  # type: ignore[import-not-found]

PACKAGES = (
    "typer",
    "typer.rich_utils",
    "pydantic",
    "yaml",
    "rich.progress",
    "numpy",
    "scipy.stats",
    "scipy.optimize",
    "scipy.sparse.linalg",
    "torch",
    "torch.nn.utils",
    "pyarrow.parquet",
    "h5py",
    "awkward",
    "fsspec",
    "aiohttp",
    "uproot",
    "numba",
    "vector",
    "fastjet",
    "hist",
    "coffea.nanoevents",
    "coffea.processor",
    "sklearn.ensemble",
    "pyhf",
    "iminuit",
    "zuko",
    "lgatr",
    "threadpoolctl",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "mplhep",
)
"""What is imported beforehand; the rare and slow ones (shap, hls4ml, onnx) a job imports itself."""

SETTINGS_OF_ALLOCATORS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""While packages are imported: pyarrow's jemalloc, which is not its default pool, has a thread."""

PATIENCE = 6.0
"""How long a job that was told to end may take, beyond what it asked for, until it is killed [s]:
longer than its guardian, which kills the work after a while itself."""

PR_SET_CHILD_SUBREAPER = 36


class UnfitError(Exception):
    """The process must not fork."""


def import_packages() -> None:
    """Import what jobs use, as far as it is installed."""
    added = {name: text for name, text in SETTINGS_OF_ALLOCATORS.items() if name not in os.environ}
    os.environ.update(added)
    gc.disable()
    for name in PACKAGES:
        # Said by the job that needs the package, as in a cold start.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for name in added:
        del os.environ[name]
    # Objects that the collector of a child never touches stay shared with it.
    gc.freeze()
    gc.enable()


def check_fitness() -> None:
    """Make sure that a child of this process starts as if it had imported everything itself.

    Raises
    ------
    UnfitError
        Threads would be lost in it, a GPU was opened, or a module of the project was imported.
    """
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    if len(threads) > 1:
        raise UnfitError(f"its packages start threads: {', '.join(threads)}")
    if "libcuda.so" in Path("/proc/self/maps").read_text():
        raise UnfitError("its packages open the GPU")
    if "fullchain" in sys.modules:
        raise UnfitError("its packages import fullchain")


def children(process: int) -> Iterator[int]:
    """Give the numbers of the children of a process, of all its threads."""
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{process}/task").glob("*/children"):
            yield from map(int, path.read_text().split())


def kill(process: int) -> None:
    """Kill a process, its children, and theirs; from below, so that none is overlooked."""
    for child in list(children(process)):
        kill(child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


class Job:
    """A running job: its process, the connection to its client, and what it shares with us."""

    def __init__(
        self, process: int, connection: socket.socket, note: Path, wish: mmap.mmap
    ) -> None:
        self.process = process
        self.connection = connection
        self.note = note
        self.wish = wish

    def tell(self, message: bytes) -> None:
        """Send a message to the client, if it is still there."""
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def signal(self, number: int) -> None:
        """Pass on a signal; Ctrl-C goes to all processes of the job, as from a terminal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, number)
        if number == signal.SIGINT:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process, number)

    def patience(self) -> float:
        """Give how long it may take to end [s]; see `fullchain.grace`."""
        return PATIENCE + float(struct.unpack_from("d", self.wish)[0])


class Template:
    """The loop of the parent.

    Parameters
    ----------
    server
        The connection to the server; when it closes, this process ends its jobs and itself.
    folder
        The server's folder; ``<client>.job`` in it says which process works for a client.
    variables
        The environment variables that a job brings.
    """

    def __init__(self, server: socket.socket, folder: Path, variables: list[str]) -> None:
        self.server = server
        self.folder = folder
        self.variables = variables
        self.jobs: dict[int, Job] = {}
        # Children that have to end, and when they are killed.
        self.ending: dict[int, float] = {}
        self.is_leaving = False
        self.reading, self.writing = socket.socketpair()
        self.reading.setblocking(False)
        self.writing.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.writing.fileno(), warn_on_full_buffer=False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(server, selectors.EVENT_READ)
        self.selector.register(self.reading, selectors.EVENT_READ)
        # What a guardian leaves that was killed comes to us. Where there are no guardians, what a
        # step that still runs has started and left would come, too.
        with contextlib.suppress(AttributeError, OSError):
            os.close(os.pidfd_open(os.getpid()))
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)

    def run(self) -> None:
        """Fork jobs until the server is gone, or until told to leave and none is left."""
        while self.jobs or self.ending or not self.is_leaving:
            for key, _ in self.selector.select(self._left()):
                if key.fileobj is self.server:
                    if not self._listen():
                        return
                elif key.fileobj is self.reading:
                    self._reap()
                elif key.data in self.jobs:
                    self._pass_on(self.jobs[key.data])
            self._kill_late()

    def _left(self) -> float | None:
        """Give the time until something has to be killed [s]."""
        return max(0.0, min(self.ending.values()) - time.monotonic()) if self.ending else None

    def _kill_late(self) -> None:
        now = time.monotonic()
        for process, end in self.ending.items():
            if end <= now:
                kill(process)
                self.ending[process] = now + 1.0

    def _end_job(self, job: Job) -> None:
        job.signal(signal.SIGTERM)
        self.ending.setdefault(job.process, time.monotonic() + job.patience())

    def _listen(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self.server, 16, 8)
        if message == b"L":
            self.is_leaving = True
            return True
        if message != b"J":
            return False
        connection = socket.socket(fileno=descriptors[0])
        job = json.loads(os.pread(descriptors[1], os.fstat(descriptors[1]).st_size, 0))
        wish = mmap.mmap(-1, struct.calcsize("d"))
        parent = os.getpid()
        process = os.fork()
        if process == 0:
            # A session of its own: a signal to the group of the server is none to the job.
            os.setsid()
            self._close()
            connection.close()
            be_job(job, descriptors[1:], self.variables, wish, parent)
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        note = self.folder / f"{job['client']}.job"
        with contextlib.suppress(OSError):
            note.write_text(str(process))
        self.jobs[process] = Job(process, connection, note, wish)
        self.jobs[process].tell(b"S" + str(process).encode())
        self.selector.register(connection, selectors.EVENT_READ, process)
        return True

    def _close(self) -> None:
        """Close, in a child, what belongs to the parent."""
        signal.set_wakeup_fd(-1)
        self.selector.close()
        for connection in [self.server, self.reading, self.writing]:
            connection.close()
        for job in self.jobs.values():
            job.connection.close()

    def _pass_on(self, job: Job) -> None:
        try:
            message = job.connection.recv(1)
        except OSError:
            message = b""
        if message:
            job.signal(message[0])
            return
        # The client was killed: nobody waits for the job any more.
        self.selector.unregister(job.connection)
        self._end_job(job)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.reading.recv(4096)
        patience = PATIENCE
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                process, status = found
                self.ending.pop(process, None)
                if process in self.jobs:
                    job = self.jobs.pop(process)
                    patience = max(patience, job.patience())
                    self._finish(job, status)
        # What is left of a job whose guardian was killed: the work, told by that, and its tools.
        for process in children(os.getpid()):
            if process not in self.jobs:
                self.ending.setdefault(process, time.monotonic() + patience)

    def _finish(self, job: Job, status: int) -> None:
        job.note.unlink(missing_ok=True)
        if os.WIFSIGNALED(status):
            job.tell(b"K" + bytes([os.WTERMSIG(status)]))
        else:
            job.tell(b"E" + bytes([os.WEXITSTATUS(status)]))
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(job.connection)
        job.connection.close()

    def end(self) -> None:
        """End the jobs that still run, and what they leave."""
        for job in self.jobs.values():
            # Clients say that it was us.
            job.connection.close()
            self._end_job(job)
        self.selector.close()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.reading, selectors.EVENT_READ)
        while self.jobs or self.ending:
            self.selector.select(self._left())
            self._reap()
            self._kill_late()


def main() -> None:
    """Import, then fork."""
    # The folder of this script: from here on no place to import from.
    del sys.path[0]
    server = socket.socket(fileno=int(sys.argv[1]))
    import_packages()
    check_fitness()
    template = Template(server, Path(sys.argv[2]), sys.argv[3:])
    try:
        template.run()
    finally:
        template.end()


if __name__ == "__main__":
    main()
