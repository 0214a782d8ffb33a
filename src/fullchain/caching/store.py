"""A folder of results by key, which several users may share.

::

    <folder>/entries/<2 digits>/<key>/entry.json   what it is, and the record of the step
                                      0, 1, ...    files, read-only
                                      uses         a byte for each time it was restored
    <folder>/incoming/                             what is being written, or removed

An entry is written under `incoming` and renamed, so that it is whole or absent. What is below the
folder takes its permissions, and its group where the user may give it: whom the folder is open to
can read entries, and remove those that are damaged or old.

Files are copied, not linked: nobody can change what others will get by changing a result.
"""

import hashlib
import json
import os
import pwd
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fullchain.atomic import atomic, is_running, workplace

ENTRY = "entry.json"
USES = "uses"
ABANDONED = 24 * 3600
"""Age [s] of what another host left in `incoming` after which nobody is taken to write it."""
_PIECE = 1 << 20


class Damaged(Exception):
    """An entry is not what it was when it was written."""


@dataclass(frozen=True)
class Entry:
    """A result that is kept.

    Parameters
    ----------
    folder
        Where it lies.
    step
        Stage and step that made it.
    size
        Bytes of its files.
    stored, used
        When it was written, and last read or written; seconds since the epoch.
    uses
        How often it was restored.
    """

    folder: Path
    step: str
    size: int
    stored: float
    used: float
    uses: int


class Store:
    """The folder of a cache.

    Parameters
    ----------
    folder
        A folder that exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, key: str) -> Path:
        """Folder of the entry of a key, whether there is one or not."""
        return self.folder / "entries" / key[:2] / key

    def read(self, key: str) -> dict[str, Any] | None:
        """Read what is known of an entry, None where there is none.

        Raises
        ------
        Damaged
            It is not what `keep` writes.
        OSError
            It cannot be read, for example because it belongs to somebody else.
        """
        try:
            content = json.loads((self.place(key) / ENTRY).read_bytes())
            if content["key"] != key:
                raise Damaged("it belongs to another key")
            content["record"]["step"], content["stored"], content["user"]
            for file in content["files"]:
                file["name"], file["sha256"], file["size"]
        except FileNotFoundError:
            if self.place(key).is_dir():
                raise Damaged(f"{ENTRY} is gone") from None
            return None
        except (ValueError, KeyError, TypeError) as problem:
            raise Damaged(f"{ENTRY}: {problem!r}") from None
        return dict(content)

    def restore(self, key: str, files: Sequence[Mapping[str, Any]], paths: Sequence[Path]) -> None:
        """Copy the files of an entry to `paths`: all of them, or none.

        Raises
        ------
        Damaged
            A file is absent or does not have its checksum.
        """
        with ExitStack() as stack:
            for number, (file, path) in enumerate(zip(files, paths, strict=True)):
                temporary = stack.enter_context(atomic(path))
                try:
                    found = _copy(self.place(key) / str(number), temporary)
                except FileNotFoundError:
                    raise Damaged(f"the file of {file['name']} is gone") from None
                if found != file["sha256"]:
                    raise Damaged(f"the file of {file['name']} does not have its checksum")
        with suppress(OSError), (self.place(key) / USES).open("ab") as uses:
            uses.write(b".")

    def keep(self, key: str, content: Mapping[str, Any], paths: Sequence[Path]) -> bool:
        """Write an entry; give False where somebody has written one meanwhile.

        Parameters
        ----------
        key
            Of the entry.
        content
            To be written to `entry.json`: ``files`` with name and SHA-256, ``record`` and more.
        paths
            The files, in the same order.

        Raises
        ------
        Damaged
            A file is not as `content` says: it was changed since.
        OSError
            There is no room or no permission; nothing is left.
        """
        self._clean()
        temporary = self._incoming() / f"{_mark()}.{key}"
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            self._make(temporary)
            for number, (file, path) in enumerate(zip(content["files"], paths, strict=True)):
                if _copy(path, temporary / str(number)) != file["sha256"]:
                    raise Damaged(f"{path} has changed since it was written")
            text = json.dumps({"key": key, **content}, indent=1)
            (temporary / ENTRY).write_text(text + "\n", encoding="utf-8")
            (temporary / USES).touch()
            for file in temporary.iterdir():
                self._share(file, 0o666 if file.name == USES else 0o444)
            self._make(self.place(key).parent)
            return _renamed(temporary, self.place(key))
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def remove(self, key: str) -> None:
        """Remove an entry, at once for others.

        Raises
        ------
        OSError
            It belongs to somebody else, and the folder does not allow it.
        """
        temporary = self._incoming() / f"{_mark()}.removed.{key}"
        with suppress(FileNotFoundError):
            self.place(key).rename(temporary)
            shutil.rmtree(temporary)

    def entries(self) -> Iterator[Entry]:
        """All entries that can be read."""
        for folder in sorted(self.folder.glob("entries/*/*")):
            try:
                content = self.read(folder.name)
                uses = (folder / USES).stat()
            except (OSError, Damaged) as problem:
                warn(f"{folder} is left out: {problem}")
                continue
            if content is not None:
                yield Entry(
                    folder,
                    str(content["record"]["step"]),
                    sum(int(file["size"]) for file in content["files"]),
                    float(content["stored"]),
                    max(uses.st_mtime, float(content["stored"])),
                    uses.st_size,
                )

    def _incoming(self) -> Path:
        folder = self.folder / "incoming"
        self._make(folder)
        return folder

    def _clean(self) -> None:
        """Remove what killed processes left."""
        for left in self._incoming().iterdir():
            with suppress(OSError):
                is_old = time.time() - left.stat().st_mtime > ABANDONED
                if is_old or _is_left_by_dead(left.name):
                    shutil.rmtree(left)

    def _make(self, folder: Path) -> None:
        """Make a folder that is open to whom the folder of the cache is open to."""
        if folder.is_dir():
            return
        if folder.parent != self.folder:
            self._make(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
            self._share(folder, 0o7777)

    def _share(self, path: Path, allowed: int) -> None:
        given = self.folder.stat()
        # A folder that gives its group to what is in it has done so already.
        with suppress(PermissionError):
            os.chown(path, -1, given.st_gid)
        path.chmod(given.st_mode & allowed)


def _mark() -> str:
    return f"{workplace()}:{os.getpid()}"


def _is_left_by_dead(name: str) -> bool:
    """Whether a process of this host or container has made this, and is no more."""
    where, _, rest = name.partition(":")
    process = rest.partition(".")[0]
    return where == workplace() and process.isdigit() and not is_running(int(process))


def _renamed(temporary: Path, place: Path) -> bool:
    try:
        temporary.rename(place)
    except OSError:
        if place.is_dir():
            return False
        raise
    return True


def _copy(source: Path, target: Path) -> str:
    """Copy a file; give its SHA-256."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while piece := reading.read(_PIECE):
            digest.update(piece)
            writing.write(piece)
    return digest.hexdigest()


def user() -> str:
    """Name of who runs this process."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def warn(text: str) -> None:
    """Say on standard error, which is the log of a job, what is wrong with the cache."""
    print(f"shared cache: {text}", file=sys.stderr)
