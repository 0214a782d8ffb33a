"""Names the file where a step fails for a reason that lies in its files or its disk.

Libraries tell of a full disk, of a folder that cannot be written and of damaged files in many ways,
most of them without the file. No step depends on this module: it is the command line that asks.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fullchain.damage import damage
from fullchain.errors import InputError

_FULL = {
    errno.ENOSPC: ("the disk is full", "make room"),
    errno.EDQUOT: ("the quota on this disk is used up", "make room"),
    errno.EFBIG: ("files of this size are not allowed here", "raise the limit (ulimit -f)"),
}
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_SPOKEN = {os.strerror(number): number for number in (*_FULL, *_CLOSED)}
_TORCH = ("PytorchStreamWriter failed", "file write failed")
"""torch does not say why it cannot write; a full disk is why, in all but strange cases."""


@contextmanager
def named(inputs: Sequence[Path], outputs: Sequence[Path]) -> Iterator[None]:
    """Raise InputError with the file and what to do, where a file or a disk is the reason.

    Any other problem goes through as it is.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as problem:
        reason = _of_the_disk(problem, inputs, outputs) or _of_an_input(inputs)
        if reason is None:
            raise
        raise InputError(reason) from problem


def _of_the_disk(
    problem: BaseException, inputs: Sequence[Path], outputs: Sequence[Path]
) -> str | None:
    for one in _chain(problem):
        number = _number(one)
        first = next((path for path in outputs if not path.exists()), None)
        place = _named_file(one) or first
        if number in _FULL:
            what, remedy = _FULL[number]
            return (
                f"{place or 'the results'}: {what} ({os.strerror(number)}); {_room(outputs)}; "
                f"{remedy}, and the same command goes on where it stopped"
            )
        if number in _CLOSED and place and place not in inputs and not _can_be_written(place):
            return (
                f"{place}: {os.strerror(number)}; this step writes there: change the permissions "
                "of the folder, or work in another one"
            )
    return None


def _named_file(problem: BaseException) -> Path | None:
    """Give the file that an error of the operating system names: not every one does."""
    name = problem.filename if isinstance(problem, OSError) else None
    return Path(os.fsdecode(name)) if isinstance(name, str | bytes) else None


def _chain(problem: BaseException) -> Iterator[BaseException]:
    """Give the problem and those that led to it, the first one last."""
    one: BaseException | None = problem
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _number(problem: BaseException) -> int | None:
    """Give the error number of the operating system, which some libraries only spell out."""
    if isinstance(problem, OSError) and problem.errno:
        return problem.errno
    said = str(problem)
    if any(words in said for words in _TORCH):
        return errno.ENOSPC
    return next((number for words, number in _SPOKEN.items() if words in said), None)


def _room(outputs: Sequence[Path]) -> str:
    folders = [Path(tempfile.gettempdir()), *(_existing(path.parent) for path in outputs)]
    free = {folder.stat().st_dev: folder for folder in folders}
    return ", ".join(
        f"{shutil.disk_usage(folder).free / 1e6:.1f} MB are free in {folder} now"
        for folder in free.values()
    )


def _existing(folder: Path) -> Path:
    return next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))


def _can_be_written(path: Path) -> bool:
    return os.access(path if path.exists() else _existing(path.parent), os.W_OK)


def _of_an_input(inputs: Sequence[Path]) -> str | None:
    for path in inputs:
        if not os.access(path, os.R_OK):
            return f"{path}: cannot be read: {os.strerror(errno.EACCES)}"
        found = damage(path)
        if found is not None:
            return (
                f"{path}: damaged: {found}. Where a step made this file, delete it, and the same "
                "command makes it again; where you gave it, copy it again"
            )
    return None
