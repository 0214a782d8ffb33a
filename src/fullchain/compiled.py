"""Functions compiled with numba, cached so that an edit of any of them is noticed.

numba keeps machine code on disk by the time stamp of the function's own file. A function that calls
one in another file has that one's code built in, and would go stale in silence when the other file
changes. Here the folder of the cache is named by a hash of all modules with compiled functions.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import config, njit

_PACKAGE = Path(__file__).resolve().parent
_MARK = b"from fullchain.compiled import"


def digest(package: Path = _PACKAGE) -> str:
    """Give a hash of the sources of all modules with compiled functions in a package."""
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        source = path.read_bytes()
        if _MARK in source:
            total.update(path.relative_to(package).as_posix().encode() + b"\0" + source)
    return total.hexdigest()[:16]


@cache
def _folder() -> str:
    """Find a folder to write to: the user's cache, or a temporary one where there is none."""
    given = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    places = [
        Path(given or Path.home() / ".cache") / "fullchain",
        Path(tempfile.gettempdir()) / f"fullchain-{os.getuid()}",
    ]
    for place in places:
        folder = place / "compiled" / digest()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return str(folder)
    return str(folder)


def compiled(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a function when it is first called, and keep the machine code.

    Parameters
    ----------
    options
        Of `numba.njit`.
    """
    if function is None:
        return lambda later: compiled(later, **options)
    before = config.CACHE_DIR
    config.CACHE_DIR = _folder()
    try:
        return njit(cache=True, nogil=True, **options)(function)
    finally:
        config.CACHE_DIR = before
