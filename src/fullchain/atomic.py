"""Files that are whole or absent."""

import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = ".unfinished"

_FIRST_NAMESPACE = 0xEFFFFFFC
"""Number of the PID namespace of a Linux that is in no container (PROC_PID_INIT_INO)."""


def workplace() -> str:
    """Name where the numbers of processes mean the same: a host, or a container on it.

    Containers of one host name may share a folder, and know nothing of each other's processes. Such
    a name ends with the PID namespace and the boot of the kernel below; that of a host itself does
    not, so that it is the same after a power cut.
    """
    host = platform.node().replace(".", "_") or "host"
    number = None
    with suppress(OSError):
        number = Path("/proc/self/ns/pid").stat().st_ino
    if number is None or number == _FIRST_NAMESPACE:
        return host
    boot = b""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    return f"{host}-{hashlib.sha256(boot + str(number).encode()).hexdigest()[:12]}"


def temporary_name(path: Path) -> Path:
    """Give a name beside `path` that belongs to this process here; it keeps the suffix."""
    return path.with_name(f"{MARK}.{workplace()}.{os.getpid()}.{path.name}")


def leftovers(path: Path) -> Iterator[Path]:
    """Find what killed processes of this host left under temporary names of `path`.

    Others may still use theirs, and of processes of other hosts and containers nothing is known.
    """
    begin = f"{MARK}.{workplace()}."
    for left in path.parent.glob(f"{begin}*.{path.name}"):
        process = left.name.removeprefix(begin).split(".")[0]
        if process.isdigit() and not is_running(int(process)):
            yield left


def is_running(process: int) -> bool:
    """Whether there is a process of this number here."""
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
