"""Local copies of remote files: fetched once, whole, and verified at each use.

They are kept where ``FULLCHAIN_COPIES`` says, and nowhere without it. That changes no result, so it
is no setting: the content of a copy is that of the remote file.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

import uproot

from fullchain.atomic import MARK, atomic, write_text
from fullchain.errors import InputError
from fullchain.ntuples.checksums import Digest, check_transferred, computed, is_known
from fullchain.ntuples.inspection import HEADER_BYTES, ROOT_MAGIC, check_end, open_options
from fullchain.ntuples.manifests import is_url
from fullchain.ntuples.sources import TemporaryFailure, check_protocol
from fullchain.ntuples.transfer import blocks, stated

FOLDER = "FULLCHAIN_COPIES"
LIMIT = "FULLCHAIN_COPIES_GB"

_GIGABYTE = 1_000_000_000
_COPY, _RECORD, _IN_USE, _FETCHING = "copy", "record.json", "in_use", "fetching"
_EXPECTED, _ROOM = "expected", "room"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_used: dict[Path, IO[bytes]] = {}
"""Copies that this process uses; closing one would give it up for eviction."""

_verified: dict[Path, tuple[int, int, int]] = {}
"""State of the copies that this process found whole, so that it reads each only once for that."""


_doubted: set[Path] = set()
"""Copies whose content was not that of the settings, and may have been damaged on the way."""


class NoRoomError(Exception):
    """There is no room for another copy."""


def reading_place(path: str, *, timeout: float, checksum: str | None = None) -> str:
    """Where to read a file: its local copy, or ``path`` where none is kept.

    Parameters
    ----------
    timeout
        Longest silence of the server [s].
    checksum
        What the content must have, see `fullchain.ntuples.checksums`.

    Raises
    ------
    InputError
        The folder of copies cannot be used, or the content is not what the checksum says.
    TemporaryFailure, OSError
        The server failed, and there is no whole copy.
    """
    folder = os.environ.get(FOLDER)
    if not folder or not is_url(path):
        return path
    check_protocol(path)
    entry = _Entry(Path(folder).expanduser().absolute(), path)
    try:
        return str(entry.whole(timeout, checksum))
    except NoRoomError as problem:
        _report(f"{path}: no copy is kept ({problem}); it is read over the network")
        return path


@contextmanager
def opened_file(
    path: str, timeout: float, checksum: str | None = None, copies: bool = True
) -> Iterator[tuple[str, Any]]:
    """Open a ROOT file, or its copy; gives where it is read, and what uproot opened.

    Parameters and errors are those of `reading_place`, besides what uproot raises; without
    `copies` the file itself is opened in any case.
    """
    if is_url(path):
        check_protocol(path)
    place = reading_place(path, timeout=timeout, checksum=checksum) if copies else path
    with uproot.open({place: None}, **open_options(place, timeout)) as file:
        yield place, file


class _Entry:
    """The copy of one URL: a folder with the file, what is known of it, and two locks."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url
        self.folder = root / hashlib.sha256(url.encode()).hexdigest()[:32]
        self.copy = self.folder / (_COPY + PurePosixPath(urlsplit(url).path).suffix)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise _unusable(root, problem) from None

    def whole(self, timeout: float, checksum: str | None) -> Path:
        """Give the copy, which is fetched if it is not there, not whole, or out of date."""
        self._use()
        now = self._stated(timeout)
        if not self._is_good(now):
            with _locked(self.folder / _FETCHING, fcntl.LOCK_EX, self.root):
                # another job may have fetched it meanwhile
                if not self._is_good(now):
                    self._fetch(timeout, checksum, now or stated(self.url, timeout))
        if checksum:
            self._check_settings(checksum)
        os.utime(self.folder / _RECORD)
        return self.copy

    def _check_settings(self, checksum: str) -> None:
        """Check the copy; of another content it is doubted, so that the next attempt fetches."""
        algorithm = checksum.partition(":")[0]
        _doubted.add(self.copy)
        check_transferred(self.url, self._sum(algorithm), checksum)
        _doubted.discard(self.copy)

    def _sum(self, algorithm: str) -> str:
        """Give a checksum of the copy: from its record, or else computed."""
        known = self._record().get("sums", {}).get(algorithm)
        return str(known) if known else computed(self.copy, algorithm)

    def _use(self) -> None:
        """Keep others from removing the copy until this process ends."""
        if self.folder not in _used:
            _used[self.folder] = _lock(self.folder / _IN_USE, fcntl.LOCK_SH, self.root)

    def _stated(self, timeout: float) -> dict[str, str] | None:
        """What the server says of the file now; None if it does not answer and a copy is there."""
        try:
            return stated(self.url, timeout)
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as problem:
            if not self._record() or not self.copy.is_file():
                raise
            _report(f"{self.url}: the server does not answer ({problem}); its copy is used")
            return None

    def _record(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / _RECORD).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _is_good(self, now: dict[str, str] | None) -> bool:
        """Whether the copy is that of the remote file, and its bytes are as when it was made."""
        record = self._record()
        if not record or not self.copy.is_file() or self.copy in _doubted:
            return False
        if now is not None and self._changed(record.get("stated", {}), now):
            _report(f"{self.url}: it changed; its copy is fetched again")
            return False
        state = self.copy.stat()
        signature = (state.st_ino, state.st_size, state.st_mtime_ns)
        if _verified.get(self.copy) == signature:
            return True
        if state.st_size != record.get("size") or computed(self.copy, "sha256") != record.get(
            "sums", {}
        ).get("sha256"):
            _report(f"{self.url}: its copy {self.copy} is damaged; it is fetched again")
            return False
        _verified[self.copy] = signature
        return True

    def _changed(self, before: dict[str, str], now: dict[str, str]) -> bool:
        """Whether the server says another thing than before; it may say more, or less.

        Servers compute checksums when they are first asked for them, and do not always answer in
        time. A checksum that is new is compared with that of the copy.
        """
        common = before.keys() & now.keys()
        if not common:
            return before != now
        new = [name for name in now.keys() - before.keys() if is_known(name)]
        return any(before[name] != now[name] for name in common) or any(
            self._sum(name) != now[name] for name in new
        )

    def _fetch(self, timeout: float, checksum: str | None, now: dict[str, str]) -> None:
        """Fetch the file where there is room for it; errors as in `_receive_whole`."""
        # nobody else fetches it now: what is there was left by a process that was killed
        for left in self.folder.glob(f"{MARK}*"):
            left.unlink(missing_ok=True)
        expected = int(now["size"]) if "size" in now else None
        _make_room(self.root, expected or 0, self.folder)
        try:
            self._receive_whole(timeout, checksum, now, expected)
        finally:
            (self.folder / _EXPECTED).unlink(missing_ok=True)

    def _receive_whole(
        self, timeout: float, checksum: str | None, now: dict[str, str], expected: int | None
    ) -> None:
        """Fetch the file under a temporary name, check it, and move it to its place.

        Raises
        ------
        NoRoomError
            The disk or the limit does not allow for it.
        InputError
            The content is not that of the checksum, or a ROOT file that is cut short.
        TemporaryFailure
            The content is not what the server says that it has.
        """
        told = {name: now[name] for name in now if is_known(name)}
        asked = [checksum.partition(":")[0]] if checksum else []
        digests = {name: Digest(name) for name in ("sha256", *told, *asked)}
        try:
            with atomic(self.copy) as temporary:
                size = self._receive(temporary, timeout, digests)
                sums = {name: digest.text() for name, digest in digests.items()}
                if expected is not None and size != expected:
                    raise TemporaryFailure(f"{self.url}: {size} of {expected} bytes arrived")
                self._compare(sums, told)
                if checksum:
                    check_transferred(self.url, sums[asked[0]], checksum)
                self._check_whole(temporary, size)
        except OSError as problem:
            if problem.errno in _FULL:
                raise NoRoomError(f"the disk of {self.root} is full") from None
            raise
        record = {"url": self.url, "size": size, "sums": sums, "stated": now}
        write_text(self.folder / _RECORD, json.dumps(record, indent=1) + "\n")
        _doubted.discard(self.copy)

    def _receive(self, temporary: Path, timeout: float, digests: dict[str, Digest]) -> int:
        size = 0
        with temporary.open("wb") as stream:
            for block in blocks(self.url, timeout):
                stream.write(block)
                size += len(block)
                for one in digests.values():
                    one.add(block)
        return size

    def _compare(self, sums: dict[str, str], told: dict[str, str]) -> None:
        for name, value in told.items():
            if sums[name] != value:
                raise TemporaryFailure(
                    f"{self.url}: damaged on the way ({name} {sums[name]}, the server says {value})"
                )

    def _check_whole(self, temporary: Path, size: int) -> None:
        with temporary.open("rb") as stream:
            header = stream.read(HEADER_BYTES)
        if header.startswith(ROOT_MAGIC) and len(header) == HEADER_BYTES:
            check_end(self.url, header, size)


def _make_room(root: Path, size: int, own: Path) -> None:
    """Remove copies that nobody uses, those unused longest first, until one more has room.

    The room is then taken: the folder of the copy says how much is expected, which counts for
    others that look for room, one after the other.
    """
    limit = _limit()
    with _locked(root / _ROOM, fcntl.LOCK_EX, root):
        held = {path: _Held.of(path) for path in root.iterdir() if path.is_dir() and path != own}
        oldest = sorted((path for path in held if held[path].size), key=_last_use)
        while (reason := _lacking(root, size, limit, held.values())) is not None:
            if not oldest:
                raise NoRoomError(reason)
            path = oldest.pop(0)
            if _removed(path, root):
                held.pop(path)
        (own / _EXPECTED).write_text(str(size))


@dataclass(frozen=True)
class _Held:
    """Bytes of all files of a copy, whole or not, and how many are expected in the end."""

    there: int
    expected: int

    @classmethod
    def of(cls, folder: Path) -> _Held:
        there = expected = 0
        for file in folder.iterdir():
            # fetches that end at this moment rename and remove files
            with suppress(FileNotFoundError):
                if file.name == _EXPECTED:
                    expected = int(file.read_text() or 0)
                else:
                    there += file.stat().st_size
        return cls(there, expected)

    @property
    def size(self) -> int:
        """What counts for the limit."""
        return max(self.there, self.expected)


def _lacking(root: Path, size: int, limit: float, others: Collection[_Held]) -> str | None:
    if sum(one.size for one in others) + size > limit:
        return (
            f"{size / _GIGABYTE:.3g} GB more are above the limit of {limit / _GIGABYTE:.3g} GB of "
            f"{LIMIT}, and the copies there are in use"
        )
    to_come = sum(one.size - one.there for one in others)
    if size + to_come > shutil.disk_usage(root).free:
        return f"{size / _GIGABYTE:.3g} GB more do not fit on the disk of {root}"
    return None


def _limit() -> float:
    text = os.environ.get(LIMIT, "inf")
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not limit > 0:
        raise InputError(f"{LIMIT}={text}: give the room for copies as a number of GB above 0.")
    return limit * _GIGABYTE


def _last_use(folder: Path) -> float:
    try:
        return (folder / _RECORD).stat().st_mtime
    except OSError:
        return 0.0


def _removed(folder: Path, root: Path) -> bool:
    """Remove a copy, or what a killed process left of one, unless a process uses it.

    Its locks stay, for others may wait for them.
    """
    lock = folder / _IN_USE
    try:
        with _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, root):
            for file in folder.iterdir():
                if file.name not in (_IN_USE, _FETCHING):
                    file.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _locked(path: Path, kind: int, root: Path) -> Iterator[None]:
    with _lock(path, kind, root):
        yield


def _lock(path: Path, kind: int, root: Path) -> IO[bytes]:
    """Open and lock a file; it is unlocked when closed, also by the end of the process."""
    try:
        stream = path.open("ab")
        try:
            fcntl.flock(stream, kind)
        except OSError:
            stream.close()
            raise
    except BlockingIOError:
        raise
    except OSError as problem:
        raise _unusable(root, problem) from None
    return stream


def _unusable(root: Path, problem: OSError) -> InputError:
    return InputError(
        f"{FOLDER}={root}: no copies can be kept there ({problem.strerror or problem}); name a "
        "folder that you can write, on a disk with file locks, or unset the variable."
    )


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
