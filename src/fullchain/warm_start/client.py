"""The side of a job that waits: hands the job to a warm server and ends as it ends.

One message, one datagram: a byte that says what it is, and a number. What the job needs to know is
too long for that; it goes as a file in memory whose descriptor is sent.
"""

import json
import os
import resource
import select
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

from fullchain.ancestors import asked_by, opened

STARTED, EXIT, SIGNAL, REFUSED = b"S", b"E", b"K", b"R"
"""Messages to the client: the number of the job that runs; its exit status; the signal that ended
it; not taken."""

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
LIMITS = [name for name in dir(resource) if name.startswith("RLIMIT_")]


class NotTakenError(Exception):
    """The job was not started by the server, and can be started here."""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def describe() -> bytes:
    """Give what a process inherits, but for its open files and the working folder, as JSON."""
    main = sys.modules["__main__"]
    everything = {
        "executable": sys.executable,
        "argv": sys.argv,
        "path": sys.path,
        "main": getattr(main, "__file__", None),
        "environ": dict(os.environ),
        "cwd": os.getcwd(),  # noqa: PTH109 - pathlib takes a while to import
        "umask": _umask(),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS},
        "nice": os.nice(0),
        "affinity": sorted(os.sched_getaffinity(0)),
        "ignored": [
            int(number) for number in FORWARDED if signal.getsignal(number) == signal.SIG_IGN
        ],
        "client": os.getpid(),
    }
    return json.dumps(everything).encode()


def _sent(server: str) -> socket.socket:
    """Connect and send the job: a file that describes it, the folder and the three streams."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        payload = os.memfd_create("fullchain-job")
        text = describe()
        while text:
            text = text[os.write(payload, text) :]
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        connection.connect(server)
        socket.send_fds(connection, [b"J"], [payload, folder, 0, 1, 2])
        os.close(payload)
        os.close(folder)
    except OSError as problem:
        connection.close()
        raise NotTakenError(f"no server at {server} ({problem.strerror})") from None
    return connection


def _end(signal_number: int) -> NoReturn:
    """End by the signal that ended the job, without a core of this process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if signal_number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(signal_number, signal.SIG_DFL)
    os.kill(os.getpid(), signal_number)
    os._exit(128 + signal_number)


def _wait_for(descriptors: list[int]) -> None:
    """Wait until these processes are gone."""
    for descriptor in descriptors:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()


def hand_over(server: str) -> NoReturn:
    """Let a warm server run this command, and end with its exit status or signal.

    Parameters
    ----------
    server
        Path of the server's socket.

    Raises
    ------
    NotTakenError
        The server is gone, or refuses; nothing was started.
    """
    if sys.warnoptions or sys._xoptions:
        raise NotTakenError("Python was started with options (-W, -X)")
    connection = _sent(server)
    forwarded: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        forwarded.append(number)
        try:
            connection.send(bytes([number]))
        except OSError:
            # The job has just ended: its status is already on the way.
            return

    before = {
        number: signal.signal(number, forward)
        for number in FORWARDED
        if signal.getsignal(number) != signal.SIG_IGN
    }
    started = False
    job: list[int] = []
    poll = select.poll()
    for descriptor in (connection.fileno(), *opened(asked_by())):
        poll.register(descriptor, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if connection.fileno() not in ready:
            # The Snakemake that asked, or the shell between, is gone.
            for descriptor in ready:
                poll.unregister(descriptor)
            forward(signal.SIGTERM, None)
            continue
        try:
            message = connection.recv(1024)
        except OSError:
            message = b""
        if message[:1] == STARTED:
            started, job = True, opened([int(message[1:])])
        elif message[:1] == EXIT:
            os._exit(message[1])
        elif message[:1] == SIGNAL:
            _end(message[1])
        elif started:
            print("error: the warm server ended while this job ran", file=sys.stderr, flush=True)
            # It ends for that reason; what comes next may rely on that.
            _wait_for(job)
            os._exit(1)
        elif forwarded:
            os._exit(128 + forwarded[0])
        else:
            for number, handler in before.items():
                signal.signal(number, handler)
            reason = message[1:].decode() or "the server ended before the job started"
            raise NotTakenError(reason)
