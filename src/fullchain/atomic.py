"""Files that are whole or absent."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` and move it there when the block ends well.

    The temporary name keeps the suffix, because writers choose a format by it, and is always the
    same for one path: what a killed job left is overwritten by the next one. The content is
    synchronised to disk before the move, so that a power cut cannot leave an empty file under the
    final name either.

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
    temporary = path.with_name(f".unfinished.{path.name}")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in UTF-8, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
