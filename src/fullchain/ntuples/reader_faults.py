"""Whether an exception is the fault of a file, or of a program that works with what it read."""

import traceback
from collections.abc import Iterable

READERS = (
    "uproot",
    "coffea.nanoevents.mapping",
    "coffea.nanoevents.factory",
    "fsspec",
    "fsspec_xrootd",
    "aiohttp",
    "XRootD",
)
"""Packages and modules that read files; libraries of compression are called by these."""


def raised_by(readers: Iterable[str], problem: Exception) -> bool:
    """Tell whether an exception came up while a file was read.

    Columns are read when they are first used, in the middle of any computation: what tells is
    that the readers are among the callers. They raise anything where baskets are damaged. Want of
    memory is never the fault of a file.

    Parameters
    ----------
    readers
        Names of packages or modules; what lies below them counts, too.
    """
    if isinstance(problem, MemoryError):
        return False
    frames = (frame for frame, _ in traceback.walk_tb(problem.__traceback__))
    names = [f"{frame.f_globals.get('__name__')}." for frame in frames]
    return any(name.startswith(f"{reader}.") for name in names for reader in readers)
