"""Files that are whole or absent."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = ".unfinished"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove_leftovers(path: Path, host: str) -> None:
    """Remove what killed processes of this host left of `path`; others may still be writing."""
    for leftover in path.parent.glob(f"{MARK}.{host}.*.{path.name}"):
        process = leftover.name.removeprefix(f"{MARK}.{host}.").split(".")[0]
        if process.isdigit() and not _is_running(int(process)):
            leftover.unlink(missing_ok=True)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` and move it there when the block ends well.

    The temporary name keeps the suffix, because writers choose a format by it, and belongs to this
    process: a job whose driver was killed may still write while its repetition does, and each moves
    only its own, whole file. The content is synchronised to disk before the move, so that a power
    cut cannot leave an empty file under the final name either.

    Parameters
    ----------
    path
        Final name; missing parent folders are made.

    Raises
    ------
    FileNotFoundError
        The block did not write the temporary file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    host = platform.node().split(".")[0] or "host"
    _remove_leftovers(path, host)
    temporary = path.with_name(f"{MARK}.{host}.{os.getpid()}.{path.name}")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        _synchronise(temporary)
        os.replace(temporary, path)
        _synchronise(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in UTF-8, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
