"""Whole remote files, and what their servers say of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec

from fullchain.ntuples import xrootd
from fullchain.ntuples.checksums import Digest, computed
from fullchain.ntuples.inspection import open_options, web_info
from fullchain.ntuples.manifests import is_url
from fullchain.ntuples.sources import check_protocol

BLOCK = 8 * 1024 * 1024

_HEADERS = {"ETag": "etag", "Last-Modified": "modified"}


def stated(url: str, timeout: float) -> dict[str, str]:
    """What a server says of a file: size, time of change, checksum, as far as it does.

    Raises
    ------
    OSError
        And what the HTTP library raises: the server failed.
    """
    if url.startswith(xrootd.PROTOCOLS):
        return xrootd.stated(url, timeout)
    found = web_info(url, timeout)
    told = {key: str(found[name]) for name, key in _HEADERS.items() if found.get(name)}
    return told if found.get("size") is None else {"size": str(found["size"]), **told}


def blocks(url: str, timeout: float) -> Iterator[bytes]:
    """Content of a remote file, some megabytes at once.

    Raises
    ------
    OSError
        And what the HTTP library raises: the server failed, or cut the answer short.
    """
    if url.startswith(xrootd.PROTOCOLS):
        yield from xrootd.blocks(url, timeout)
        return
    filesystem, where = fsspec.core.url_to_fs(url, **open_options(url, timeout))
    # one request for all, which servers without range requests answer, too
    plain = {"Accept-Encoding": "identity"}
    with filesystem.open(where, "rb", block_size=0, headers=plain) as stream:
        while block := stream.read(BLOCK):
            yield block


def digest_of(path: str, algorithm: str, timeout: float) -> str:
    """Checksum of a file, local or remote, which is read whole."""
    if not is_url(path):
        return computed(Path(path), algorithm)
    check_protocol(path)
    digest = Digest(algorithm)
    for block in blocks(path, timeout):
        digest.add(block)
    return digest.text()
