"""Files that are whole or absent."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = ".unfinished"


def temporary_name(path: Path) -> Path:
    """Give a name beside `path` that belongs to this process on this host; it keeps the suffix."""
    return path.with_name(f"{MARK}.{_host()}.{os.getpid()}.{path.name}")


def leftovers(path: Path) -> Iterator[Path]:
    """Find what killed processes of this host left under temporary names of `path`.

    Others may still use theirs, and of processes of other hosts nothing is known.
    """
    begin = f"{MARK}.{_host()}."
    for left in path.parent.glob(f"{begin}*.{path.name}"):
        process = left.name.removeprefix(begin).split(".")[0]
        if process.isdigit() and not _is_running(int(process)):
            yield left


def _host() -> str:
    return platform.node().split(".")[0] or "host"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


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
    for left in leftovers(path):
        left.unlink(missing_ok=True)
    temporary = temporary_name(path)
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
