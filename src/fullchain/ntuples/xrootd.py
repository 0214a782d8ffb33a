"""Reading over XRootD so that a silent or broken server is given up in time.

What the client library does by itself is made for patient jobs: it looks for expired requests every
15 s, waits 120 s for a connection, and remembers a failed one for half an hour. A read whose
connection broke is repeated without end, whatever the time limit of the request. Here each failure
is reported at once; attempts and replicas are for `fullchain.ntuples.sources.first_answer`.
"""

from __future__ import annotations

import contextlib
import math
import queue
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from uproot.source.futures import ResourceFuture, ResourceThreadPoolExecutor
from uproot.source.xrootd import XRootDResource, XRootDSource, trivial_resource

PROTOCOLS = ("root://", "roots://", "xroot://", "xroots://")

BLOCK = 8 * 1024 * 1024
"""Bytes of one request when a whole file is read."""

REQUEST = 3
"""Time for a whole answer, in units of the longest silence.

It has to be longer: a request that expires while a part of its answer is there is never reported.
"""

# Status codes of XrdCl (XrdClStatus.hh) and of the server (XProtocol.hh).
_EXPIRED = 206
_AUTHENTICATION_FAILED = 204
_SERVER_ANSWERED = 400
_NO_PERMISSION = (3010, 3030)
_NOT_FOUND = (3011, 3016)


class AuthenticationError(PermissionError):
    """The server wants a proxy certificate or a token, and there is none that it takes."""


def client(timeout: float) -> ModuleType:
    """Give the client library, with its waits bounded.

    Variables ``XRD_*`` that the user set keep their values.

    Parameters
    ----------
    timeout
        Longest wait for a connection, and longest silence of a server that owes an answer [s].
    """
    from XRootD import client as library

    limit = seconds(timeout)
    waits = {
        "TimeoutResolution": 1,
        "ConnectionWindow": limit,
        "ConnectionRetry": 1,
        "StreamErrorWindow": 0,
        "RequestTimeout": REQUEST * limit,
        "StreamTimeout": limit,
    }
    for name, value in waits.items():
        library.EnvPutInt(name, value)
    return library


def seconds(timeout: float) -> int:
    """Whole seconds, rounded up: the library takes no others, and 0 means no limit."""
    return max(1, math.ceil(timeout))


class BoundedResource(XRootDResource):
    """One open file; each request to its server ends in bounded time."""

    def _open(self) -> None:
        library = client(self._timeout)
        self._file = library.File()
        # else a read whose connection breaks again and again never returns
        self._file.set_property("ReadRecovery", "false")
        self._answer(self._file.open, self._file_path, library.flags.OpenFlags.READ)

    def _xrd_timeout(self) -> int:
        return REQUEST * seconds(self._timeout)

    def _answer(self, request: Callable[..., Any], *arguments: Any) -> Any:
        """Answer to a request, for which nobody waits much longer than the time limit."""
        status, answer = _answered(self._file, request, *arguments, timeout=self._timeout)
        if not status.ok:
            self._xrd_error(status)
        return answer

    def _xrd_error(self, status: Any) -> None:
        # without closing the file: this also runs in the library's own threads, where a close that
        # waits for an answer would wait for itself
        raise failure(status)

    def get(self, start: int, stop: int) -> bytes:
        """Read from a first byte up to another."""
        return bytes(self._answer(self._file.read, int(start), int(stop - start)))

    @property
    def num_bytes(self) -> int:
        """Size of the file."""
        return int(self._answer(self._file.stat).size)

    def __exit__(self, *problem: object) -> None:
        """Close the file; nobody waits for the server to take note."""
        key, file = id(self._file), self._file
        _closing[key] = file
        limit = seconds(self._timeout)
        with contextlib.suppress(ValueError):
            if file.close(timeout=limit, callback=lambda *_: _closing.pop(key, None)).ok:
                return
        _closing.pop(key, None)

    @staticmethod
    def partfuture(results: dict[tuple[int, int], Any], start: int, stop: int) -> ResourceFuture:
        """Place of one range of a vector read, for whom nobody waits for ever."""
        return _BoundedFuture(lambda _: results[start, stop])

    def callbacker(
        self, futures: dict[tuple[int, int], Any], results: dict[tuple[int, int], Any]
    ) -> Callable[..., None]:
        """Give what the library calls with the answer to a vector read."""
        for future in futures.values():
            future.limit = _patience(self._timeout)
        answered: Callable[..., None] = super().callbacker(futures, results)
        return answered


class _BoundedFuture(ResourceFuture):
    limit: float | None = None

    def result(self, timeout: float | None = None) -> Any:
        return super().result(self.limit if timeout is None else timeout)


_closing: dict[int, Any] = {}
"""Files whose close was not answered so far."""

_abandoned: list[Any] = []
"""Files and servers of which a request was never answered."""


def _answered(
    asked: Any, request: Callable[..., Any], *arguments: Any, timeout: float
) -> tuple[Any, Any]:
    """Give status and answer of a request to ``asked``; raises TimeoutError if none ever comes.

    Without a callback the library would wait by itself, and sometimes for ever.
    """
    answers: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    status = request(
        *arguments,
        timeout=REQUEST * seconds(timeout),
        callback=lambda status, answer, _: answers.put((status, answer)),
    )
    if not status.ok:
        return status, None
    try:
        return answers.get(timeout=_patience(timeout))
    except queue.Empty:
        # what waits for its answer cannot be taken apart
        _abandoned.append(asked)
        raise TimeoutError("the client library never answered") from None


def _patience(timeout: float) -> float:
    """Time [s] after which the library, which looks for expired requests each second, is stuck."""
    return REQUEST * seconds(timeout) + 3


class BoundedSource(XRootDSource):
    """What ``uproot.open`` gets as ``handler`` for these URLs; option ``timeout`` [s]."""

    ResourceClass = BoundedResource

    def _open(self) -> None:
        # as the parent does, whose kind of resource is fixed
        self._resource = BoundedResource(self._file_path, self._timeout)
        self._executor = ResourceThreadPoolExecutor(
            [trivial_resource() for _ in range(self._num_workers)]
        )
        limits = _vector_limits(self._resource.file, self._timeout)
        self._max_num_elements, self._max_element_size = limits


_USUAL_LIMITS = (1024, 2097136)
"""Ranges of one vector read, and bytes of one range, that servers take unless told otherwise."""


def _vector_limits(file: Any, timeout: float) -> tuple[int, int]:
    """Ask the server of an open file how many ranges a vector read may have, and of what size.

    As ``uproot.source.xrootd.get_server_config``, which waits without limit.
    """
    library = client(timeout)
    address = library.URL(file.get_property("DataServer"))
    # a file that the server redirected to this machine has no server
    if not address.is_valid() or address.protocol == "file":
        return _USUAL_LIMITS
    server = library.FileSystem(f"{address.protocol}://{address.hostid}/")
    names = "readv_iov_max readv_ior_max"
    try:
        status, answer = _answered(
            server, server.query, library.flags.QueryCode.CONFIG, names, timeout=timeout
        )
    except TimeoutError:
        return _USUAL_LIMITS
    # a server that does not know a name repeats it
    words = (
        bytes(answer or b"").decode(errors="replace").strip("\0 \n").split() if status.ok else []
    )
    if len(words) != 2 or not all(word.isdigit() and int(word) > 0 for word in words):
        return _USUAL_LIMITS
    return int(words[0]), int(words[1])


def beginning(url: str, length: int, timeout: float) -> tuple[bytes, int]:
    """First bytes of a file, and its size in bytes."""
    with BoundedResource(url, timeout) as file:
        return file.get(0, length), file.num_bytes


def blocks(url: str, timeout: float) -> Iterator[bytes]:
    """Content of a file, some megabytes at once.

    Raises
    ------
    OSError
        The server failed, or gave fewer bytes than it said that the file has.
    """
    with BoundedResource(url, timeout) as file:
        size, done = file.num_bytes, 0
        while done < size:
            block = file.get(done, min(done + BLOCK, size))
            if not block:
                raise OSError(f"ended after {done} of {size} bytes")
            done += len(block)
            yield block


def stated(url: str, timeout: float) -> dict[str, str]:
    """Size and time of change of a file, and its checksum (``adler32`` and the like) if known.

    A checksum that does not come in time is left out, and a line on stderr says so.
    """
    library = client(timeout)
    address = library.URL(url)
    server = library.FileSystem(f"{address.protocol}://{address.hostid}/")
    path = address.path_with_params
    status, found = _answered(server, server.stat, path, timeout=timeout)
    if not status.ok:
        raise failure(status)
    told = {"size": str(found.size), "modified": str(found.modtime)}
    # over a connection of its own: on one that was once asked for a checksum, the library never
    # notices that the server fell silent in the middle of an answer (6.2.1)
    if "@" not in address.hostid:
        server = library.FileSystem(f"{address.protocol}://checksum@{address.hostid}/")
    try:
        status, answer = _answered(
            server, server.query, library.flags.QueryCode.CHECKSUM, path, timeout=timeout
        )
    except TimeoutError as problem:
        _without_checksum(url, problem)
        return told
    if not status.ok:
        # a server that keeps no checksums says so with an error
        if status.code != _SERVER_ANSWERED:
            _without_checksum(url, failure(status))
        return told
    words = bytes(answer or b"").decode(errors="replace").strip("\0 \n").split()
    return {**told, words[0].lower(): words[1].lower()} if len(words) == 2 else told


def _without_checksum(url: str, problem: OSError) -> None:
    print(f"{url}: the server's checksum did not come ({problem})", file=sys.stderr, flush=True)


def failure(status: Any) -> OSError:
    """Give the exception that says what a status of the library means."""
    text = str(status.message).strip()
    if status.code == _EXPIRED:
        return TimeoutError(text)
    if status.code == _AUTHENTICATION_FAILED:
        return AuthenticationError(text)
    if status.code == _SERVER_ANSWERED and status.errno in _NOT_FOUND:
        return FileNotFoundError(text)
    if status.code == _SERVER_ANSWERED and status.errno in _NO_PERMISSION:
        return PermissionError(text)
    return OSError(text)
