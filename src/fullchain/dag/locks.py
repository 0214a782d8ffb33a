"""Locks of a Snakemake that was killed.

Snakemake locks a folder with files and cannot tell a lock that is in use from one whose owner was
killed: it asks for ``snakemake --unlock``. Here each run also holds a lock of the operating system,
which goes with the process. A run that finds itself alone removes what a dead one left, so that the
same command goes on.
"""

import fcntl
from pathlib import Path
from typing import TextIO


def take(folder: Path) -> TextIO | None:
    """Share the lock of a folder, after removing stale locks if no other run holds it.

    Jobs that a killed run left behind do not count: what they write is whole (`fullchain.atomic`)
    and the same as what their repetition writes.

    Parameters
    ----------
    folder
        The folder ``.snakemake``.

    Returns
    -------
    file object or None
        To be kept open as long as the run lasts; None where the file system has no such locks, in
        which case nothing is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream = (folder / "fullchain.lock").open("a")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except OSError:
        stream.close()
        return None
    else:
        for stale in (folder / "locks").glob("*"):
            stale.unlink(missing_ok=True)
    fcntl.flock(stream, fcntl.LOCK_SH)
    return stream
