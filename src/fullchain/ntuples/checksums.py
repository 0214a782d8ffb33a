"""Checksums of files, written as ``algorithm:value``, as ``adler32:03da0195``."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

from fullchain.errors import InputError
from fullchain.ntuples.sources import TemporaryFailure

_SHORT: dict[str, tuple[Callable[[bytes, int], int], int]] = {
    "adler32": (zlib.adler32, 1),
    "crc32": (zlib.crc32, 0),
}
_LONG = ("md5", "sha1", "sha256", "sha512")

ALGORITHMS = (*_SHORT, *_LONG)

PATTERN = (
    "^((adler32|crc32):[0-9a-f]{8}|md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}"
    "|sha512:[0-9a-f]{128})$"
)

_BLOCK = 1 << 20


def is_known(algorithm: str) -> bool:
    """Whether it can be computed here."""
    return algorithm in ALGORITHMS


class Digest:
    """A checksum that is computed block by block."""

    def __init__(self, algorithm: str) -> None:
        self._function: Callable[[bytes, int], int] | None = None
        self._value, self._hash = 0, hashlib.sha256()
        if algorithm in _SHORT:
            self._function, self._value = _SHORT[algorithm]
        else:
            self._hash = hashlib.new(algorithm, usedforsecurity=False)

    def add(self, block: bytes) -> None:
        """Go on with the next bytes."""
        if self._function:
            self._value = self._function(block, self._value)
        else:
            self._hash.update(block)

    def text(self) -> str:
        """Give the checksum of all so far, in lower-case hexadecimal digits."""
        return f"{self._value:08x}" if self._function else str(self._hash.hexdigest())


def computed(file: Path, algorithm: str) -> str:
    """Checksum of a local file, read in blocks."""
    digest = Digest(algorithm)
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.add(block)
    return digest.text()


def check(name: str, found: str, checksum: str) -> None:
    """Raise InputError, naming ``name``, where what was computed is not as ``checksum`` says."""
    algorithm, _, value = checksum.partition(":")
    if found != value:
        raise InputError(
            f"{name}: its {algorithm} is {found}, the settings of the sample say {value}; the file "
            "is damaged or another one: get it again, or correct 'checksums'."
        )


_disagreed: dict[str, str] = {}
"""What was computed of remote files at the last transfer that brought another content."""


def check_transferred(url: str, found: str, checksum: str) -> None:
    """Check a remote file after a transfer, whose fault another content may be at first.

    Raises
    ------
    TemporaryFailure
        It is not as ``checksum`` says, for the first time: another transfer may help.
    InputError
        It is not, and the transfer before brought the same.
    """
    algorithm, _, value = checksum.partition(":")
    before = _disagreed.pop(url, None)
    if found == value:
        return
    digest = f"{algorithm}:{found}"
    if before == digest:
        check(url, found, checksum)
    _disagreed[url] = digest
    raise TemporaryFailure(
        f"{url}: its {algorithm} is {found}, the settings of the sample say {value}; it may have "
        "been damaged on the way"
    )
