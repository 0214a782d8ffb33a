"""ROOT files whose bytes follow from their content: two runs of one seed write equal files.

Into each file uproot writes a random identity, the time, and the name that it is written under,
which here is a temporary one with the number of the process. Checksums of equal results would
differ, and with them all that is decided by checksums.
"""

import datetime
import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uproot

_PLACEHOLDER = uuid.UUID(bytes=hashlib.sha256(b"fullchain.root_files").digest()[:16])
_HEAD = 1024
"""Bytes from the beginning with the two places of the identity: file header, first directory."""

_DATE = uproot._util.datetime_to_code(datetime.datetime(2000, 1, 1))
"""The time in each file, as ROOT writes it; files of the operating system have their own."""


@contextmanager
def recreate(path: Path, **options: Any) -> Iterator[Any]:
    """Write a ROOT file, as `uproot.recreate`; its identity (UUID) is a hash of its content.

    From the first such file on, uproot writes one fixed time into all files of this process.

    Parameters
    ----------
    path
        The file.
    options
        For `uproot.recreate`, such as ``compression``.

    Raises
    ------
    RuntimeError
        The identity is not where it was up to now, after a change of uproot.
    """
    uproot._util.datetime_to_code = _fixed_date
    # An open file instead of a path: else its name would be in the content.
    with (
        Path(path).open("w+b") as raw,
        uproot.recreate(raw, uuid_function=lambda: _PLACEHOLDER, **options) as file,
    ):
        yield file
    _identify(Path(path))


def _fixed_date(moment: datetime.datetime) -> int:
    return int(_DATE)


def _identify(path: Path) -> None:
    with path.open("r+b") as raw:
        content = hashlib.file_digest(raw, "sha256").digest()
        identity = uuid.UUID(bytes=content[:16], version=5)
        raw.seek(0)
        head = raw.read(_HEAD)
        if head.count(_PLACEHOLDER.bytes) < 2:
            raise RuntimeError(f"{path}: uproot wrote its identity elsewhere than expected")
        raw.seek(0)
        raw.write(head.replace(_PLACEHOLDER.bytes, identity.bytes, 2))
