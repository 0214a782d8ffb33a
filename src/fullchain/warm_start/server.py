"""Takes jobs at a Unix socket; a template, one for each environment, forks their processes.

A script of its own that imports the standard library only::

    python server.py FOLDER DESCRIPTOR

`FOLDER` is private to the user and gets the socket; the server lives as long as another process
holds the other end of the pipe `DESCRIPTOR` open, and takes the folder with it.

Libraries read the environment when they are loaded (number of threads, memory allocators, hash
seed, locale). A job is therefore forked only from a template that was started with just its
environment, in its folder and on its cores.
"""

import hashlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

UNIMPORTANT = ("_", "SHLVL", "OLDPWD", "PWD", "FULLCHAIN_DRIVER")
"""Variables that differ between jobs and that no library reads: a job brings them to its template.

Shells set most of them for each command; PWD goes with the folder. The driver differs between the
jobs of a group, which have a Snakemake of their own.
"""

ATTEMPTS = 2
"""So many templates of an environment may be killed by a signal; later jobs of it start cold."""

MOST_TEMPLATES = 4
"""Each holds 0.6 GB, in part shared; a workflow has one for each number of threads of its rules."""


def identity(job: dict[str, Any]) -> str:
    """Give the key of the template that a job needs."""
    variables = {name: job["environ"][name] for name in job["environ"].keys() - set(UNIMPORTANT)}
    # OpenBLAS counts the cores that it may use once.
    parts = [job["executable"], job["cwd"], job["affinity"], sorted(variables.items())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def installed(path: list[str]) -> tuple[tuple[str, int], ...]:
    """Give the times at which the folders of installed packages changed."""
    found = []
    for entry in path:
        try:
            if Path(entry).name in ("site-packages", "dist-packages"):
                found.append((entry, Path(entry).stat().st_mtime_ns))
        except OSError:
            continue
    return tuple(found)


@dataclass(eq=False)
class Template:
    """A process that forks jobs, and what it was made for."""

    key: str
    process: subprocess.Popen[bytes]
    connection: socket.socket
    packages: tuple[tuple[str, int], ...]
    log: Path


class Server:
    """The loop.

    Parameters
    ----------
    folder
        Where the socket ``jobs.sock`` is made.
    alive
        Descriptor that becomes readable when the driver has ended.
    """

    def __init__(self, folder: Path, alive: int) -> None:
        self.folder = folder
        self.alive = alive
        self.templates: dict[str, Template] = {}
        # They have jobs yet, and get no more.
        self.leaving: set[Template] = set()
        self.killed: Counter[str] = Counter()
        self.failed: dict[str, str] = {}
        self.number = 0
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(folder / "jobs.sock"))
        self.listener.listen(128)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(alive, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve until the driver has ended."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj == self.alive:
                    return
                if key.fileobj is self.listener:
                    connection = self.listener.accept()[0]
                    # The job itself is awaited like all else: a client may die before it sends it.
                    self.selector.register(connection, selectors.EVENT_READ)
                elif isinstance(key.data, Template):
                    self._bury(key.data)
                else:
                    self.selector.unregister(key.fileobj)
                    assert isinstance(key.fileobj, socket.socket)
                    self._take(key.fileobj)

    def _take(self, connection: socket.socket) -> None:
        descriptors: list[int] = []
        try:
            message, descriptors, _, _ = socket.recv_fds(connection, 16, 8)
            if message == b"J" and len(descriptors) == 5:
                job = json.loads(os.pread(descriptors[0], os.fstat(descriptors[0]).st_size, 0))
                template = self._template(job)
                if isinstance(template, str):
                    connection.send(b"R" + template.encode())
                else:
                    whole = [connection.fileno(), *descriptors]
                    socket.send_fds(template.connection, [b"J"], whole)
        except OSError:
            # The client or the template is gone; a client that still lives sees its socket close.
            pass
        finally:
            connection.close()
            for descriptor in descriptors:
                os.close(descriptor)

    def _template(self, job: dict[str, Any]) -> Template | str:
        """Find or make the template of a job, or say why there is none."""
        key = identity(job)
        if key in self.failed:
            return self.failed[key]
        packages = installed(job["path"])
        known = self.templates.get(key)
        if known is not None and known.packages == packages:
            return known
        if known is not None:
            # Packages were installed since: it ends after the jobs that it has.
            del self.templates[key]
            self.leaving.add(known)
            known.connection.send(b"L")
        if len(self.templates) + len(self.leaving) >= MOST_TEMPLATES:
            return f"the server keeps at most {MOST_TEMPLATES} environments"
        started = self.templates[key] = self._start(key, job, packages)
        self.selector.register(started.connection, selectors.EVENT_READ, started)
        return started

    def _start(
        self, key: str, job: dict[str, Any], packages: tuple[tuple[str, int], ...]
    ) -> Template:
        self.number += 1
        log = self.folder / f"template_{self.number}.log"
        script = str(Path(__file__).with_name("template.py"))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [job["executable"], script, str(theirs.fileno()), str(self.folder), *UNIMPORTANT],
                cwd=job["cwd"],
                env=job["environ"],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                pass_fds=[theirs.fileno()],
                preexec_fn=partial(os.sched_setaffinity, 0, job["affinity"]),
            )
        theirs.close()
        return Template(key, process, ours, packages, log)

    def _bury(self, template: Template) -> None:
        """Remember why a template ended: each job of its environment would wait for another."""
        self.selector.unregister(template.connection)
        template.connection.close()
        status = template.process.wait()
        if template in self.leaving:
            self.leaving.remove(template)
            return
        key = template.key
        del self.templates[key]
        self.killed[key] += 1
        # Somebody's signal, or want of memory: another one may live.
        if status >= 0 or self.killed[key] >= ATTEMPTS:
            lines = template.log.read_text(errors="replace").strip().splitlines()
            self.failed[key] = f"a template ended ({lines[-1][:200] if lines else 'killed'})"

    def end(self) -> None:
        """End the templates, and with them their jobs; remove the folder."""
        self.listener.close()
        everything = [*self.templates.values(), *self.leaving]
        for template in everything:
            template.connection.close()
        for template in everything:
            template.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def main() -> None:
    """Serve; a signal to end is the same as the driver's end."""
    folder, alive = Path(sys.argv[1]), int(sys.argv[2])
    server = Server(folder, alive)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    print("ready", flush=True)
    try:
        server.run()
    finally:
        server.end()


if __name__ == "__main__":
    main()
