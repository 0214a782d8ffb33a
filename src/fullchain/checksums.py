"""Checksums of files."""

import hashlib
from pathlib import Path


def checksum(path: Path) -> str:
    """Give the SHA-256 of a file, read in pieces."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
