"""Whether a ROOT file can be used, and how many events and what sum of weights it has."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import uproot
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.ntuples import xrootd
from fullchain.ntuples.layouts.detect import (
    Signature,
    describe_trees,
    detect_layout,
    get_signature,
    tree_names,
)
from fullchain.ntuples.manifests import is_url
from fullchain.ntuples.reader_faults import READERS, raised_by
from fullchain.ntuples.sources import TemporaryFailure, check_protocol

ROOT_MAGIC = b"root"
HEADER_BYTES = 20
"""Start of a ROOT file up to and including the position of its end (64 bit)."""


@dataclass(frozen=True)
class Content:
    """What a usable file holds. ``size`` is in bytes, None for a remote file.

    The tree has ``entries``, of which the first ``events`` are used. ``sum_of_weights`` is what to
    normalise by, and counts what a skim took away; ``sum_of_event_weights`` is that of the events.
    """

    layout: str
    tree: str
    events: int
    sum_of_weights: float
    size: int | None
    entries: int
    sum_of_event_weights: float


def inspect_file(
    path: str,
    *,
    place: str | None = None,
    layout: str = "auto",
    tree: str | None = None,
    is_data: bool = False,
    max_events: int | None = None,
    timeout: float = 60.0,
) -> Content:
    """Open a ROOT file, check it, and count.

    Parameters
    ----------
    path
        Local path, ``https://`` or ``root://`` URL; names the file in messages.
    place
        Where to read it, if not at ``path``: a local copy.
    layout
        Name of a layout, or "auto" to find it from the branches.
    tree
        Name of the tree; None: the layout's own.
    max_events
        Count at most this many events, from the first; None: all.
    timeout
        Longest silence of a remote server [s].

    Raises
    ------
    InputError
        File missing, unreadable, not ROOT, truncated, of another layout, without a needed branch,
        or without events; says which file and what.
    TemporaryFailure
        A remote file whose server failed or fell silent.
    """
    place = place or path
    with failures_named(path):
        size = check_beginning(path, timeout, place)
        with uproot.open({place: None}, **open_options(place, timeout)) as file:
            name = detect_layout(file, tree) if layout == "auto" else layout
            signature = get_signature(name)
            events = _open_tree(file, path, tree or signature.tree, signature)
            signature.check(path, events, is_data=is_data)
            total = int(events.num_entries)
            if total == 0:
                raise InputError(f"{path}: tree '{events.name}' has zero events.")
            _check_end(path, events, signature)
            used = total if max_events is None else min(max_events, total)
            before_skim, of_events = _sums_of_weights(path, file, events, signature, used, is_data)
        # the size says no more than that the file is local, which a copy of a remote one is not
        size = None if is_url(path) else size
        return Content(name, events.name, used, before_skim, size, total, of_events)


def open_options(path: str, timeout: float) -> dict[str, Any]:
    """Options for ``uproot.open`` and ``fsspec`` that bound the wait for a remote server.

    ``timeout`` is the longest silence [s], not the time of a whole transfer. Over XRootD it is that
    for the answer to one request, too.
    """
    if path.startswith(xrootd.PROTOCOLS):
        return {"handler": xrootd.BoundedSource, "timeout": xrootd.seconds(timeout)}
    if is_url(path):
        import aiohttp

        limits = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)
        # coffea sets a time limit of its own for whole requests where there is none
        return {
            "client_kwargs": {"timeout": limits}, "timeout": limits, "skip_instance_cache": True
        }  # fmt: skip
    return {}


def _client_error() -> type[Exception]:
    """What the HTTP library raises; imported only once something was raised, for it takes long."""
    import aiohttp

    return aiohttp.ClientError


def check_beginning(path: str, timeout: float, place: str | None = None) -> int | None:
    """Check that ``path`` exists and is a whole ROOT file; return its size, None if unknown.

    ``place`` is where to read it, if not at ``path``.
    """
    place = place or path
    if is_url(place):
        check_protocol(path)
        header, size = _remote_beginning(place, timeout)
        _check_magic(path, header)
        if len(header) > HEADER_BYTES:
            raise InputError(
                f"{path}: the server sends whole files only (no range requests), so that parts of "
                "a ROOT file cannot be read from it; keep copies (FULLCHAIN_COPIES), or download "
                "the file and list the local one."
            )
        check_end(path, header, size)
        return size
    file = Path(place)
    if not file.exists():
        raise InputError(f"{path}: the file does not exist.")
    if not file.is_file():
        raise InputError(f"{path}: not a file; to read all files of a folder, write {path}/*.root")
    size = file.stat().st_size
    with file.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    _check_magic(path, header)
    check_end(path, header, size)
    return size


def _remote_beginning(place: str, timeout: float) -> tuple[bytes, int | None]:
    """First bytes of a remote file, and its size if the server tells it."""
    if place.startswith(xrootd.PROTOCOLS):
        return xrootd.beginning(place, HEADER_BYTES, timeout)
    filesystem, where = fsspec.core.url_to_fs(place, **open_options(place, timeout))
    header = filesystem.cat_file(where, start=0, end=HEADER_BYTES)
    return header, web_info(place, timeout).get("size") if len(header) == HEADER_BYTES else None


def web_info(url: str, timeout: float) -> dict[str, Any]:
    """What a web server says of a file, as fsspec gives it: ``size`` [bytes], ``ETag``, ..."""
    filesystem, where = fsspec.core.url_to_fs(url, **open_options(url, timeout))
    try:
        found: dict[str, Any] = filesystem.info(where)
    except FileNotFoundError as problem:
        # fsspec says so of a server that fails in any way
        cause = problem.__cause__
        if cause is None or getattr(cause, "status", None) in (404, 410):
            raise
        raise cause from None
    return found


def check_end(path: str, header: bytes, size: int | None) -> None:
    """Raise InputError where a ROOT file is shorter than it says itself."""
    if size is not None and size < file_end(header):
        raise InputError(
            f"{path}: truncated, {size} of {file_end(header)} bytes are there; copy or make the "
            "file again."
        )


def file_end(header: bytes) -> int:
    """Length that a ROOT file says it has (fEND), from its first `HEADER_BYTES` bytes."""
    version, _ = struct.unpack(">ii", header[4:12])
    if version >= 1_000_000:
        return int(struct.unpack(">q", header[12:20])[0])
    return int(struct.unpack(">i", header[12:16])[0])


def _check_magic(path: str, header: bytes) -> None:
    if not header:
        raise InputError(f"{path}: the file is empty.")
    if not header.startswith(ROOT_MAGIC) or len(header) < HEADER_BYTES:
        converted = header.startswith((b"\x89HDF", b"PK"))
        hint = " Of published jets in HDF5 or npz, set the layout." if converted else ""
        raise InputError(
            f"{path}: not a ROOT file; it starts with {header[:8]!r} instead of {ROOT_MAGIC!r}."
            f"{hint}"
        )


def _open_tree(file: Any, path: str, tree: str, signature: Signature) -> Any:
    if tree not in tree_names(file):
        raise InputError(
            f"{path}: no tree '{tree}', which the layout {signature.name} ({signature.title}) "
            f"has; trees in the file: {describe_trees(file)}."
        )
    return file[tree]


def _check_end(path: str, tree: Any, signature: Signature) -> None:
    """Read the last event of each needed branch: the part of a file that is lost first."""
    branches = set(tree.keys())
    needed = [next(n for n in names if n in branches) for names in signature.required]
    try:
        tree.arrays(needed, entry_start=tree.num_entries - 1)
    except (ValueError, EOFError, uproot.DeserializationError, struct.error) as error:
        raise InputError(
            f"{path}: the last event of tree '{tree.name}' cannot be read ({_first_line(error)}); "
            "the file is damaged."
        ) from error


def _sums_of_weights(
    path: str, file: Any, tree: Any, signature: Signature, used: int, is_data: bool
) -> tuple[float, float]:
    """Sums of generator weights to normalise by, and of the first ``used`` events.

    The tree Runs counts the events before any skim, so where it is there its sum is what to
    normalise by, scaled to the part of the file that is used.
    """
    if is_data or signature.event_weight is None:
        return float(used), float(used)
    weights = _one_number_each(path, tree[signature.event_weight])
    part = float(weights[:used].sum())
    before_skim = _sum_from_runs(path, file, signature)
    if before_skim is None:
        return part, part
    if used == tree.num_entries:
        return before_skim, part
    whole = float(weights.sum())
    return before_skim * (part / whole if whole else used / len(weights)), part


def _sum_from_runs(path: str, file: Any, signature: Signature) -> float | None:
    if "Runs" not in tree_names(file):
        return None
    runs = file["Runs"]
    for name in signature.sums_of_weights:
        if name in runs:
            return float(_one_number_each(path, runs[name]).sum())
    return None


def _one_number_each(path: str, branch: Any) -> NDArray[np.float64]:
    """Read a branch that should have one number an entry."""
    values = branch.array(library="np")
    if values.dtype.kind not in "biuf" or values.ndim != 1:
        raise InputError(
            f"{path}: branch {branch.name} has not one number an entry ({branch.typename}); the "
            "file is damaged, or of another layout"
        )
    return np.asarray(values, dtype=np.float64)


@contextmanager
def failures_named(path: str) -> Iterator[None]:
    """Turn what the I/O libraries raise into an error that names the file and says what to do.

    Raises
    ------
    InputError
        The file is missing, damaged, or refused.
    TemporaryFailure
        A remote file, where another attempt may help.

    What no reader is among the callers of is left as it is: a fault of ours, or want of memory.
    """
    try:
        yield
    except (InputError, TemporaryFailure, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: the file does not exist.") from None
    except xrootd.AuthenticationError as error:
        raise InputError(
            f"{path}: the server does not know you ({_first_line(error)}); make a proxy "
            "certificate (X509_USER_PROXY) or a token (BEARER_TOKEN_FILE) that it takes."
        ) from None
    except PermissionError as error:
        raise InputError(f"{path}: no permission to read it ({_first_line(error)}).") from None
    except (OSError, TimeoutError, _client_error()) as error:
        if not is_url(path):
            raise InputError(f"{path}: cannot be read ({_first_line(error)}).") from error
        if _is_untrusted(error):
            raise InputError(
                f"{path}: the certificate of the server cannot be verified ({_first_line(error)}). "
                "If an authority of your site signed it, set SSL_CERT_FILE to the file of its "
                "certificate."
            ) from error
        if _is_refused(error):
            status = getattr(error, "status", None)
            raise InputError(f"{path}: the server refuses it (HTTP {status}).") from error
        raise TemporaryFailure(f"{path}: {_first_line(error)}") from error
    except Exception as error:
        # the fault of a program is none of the file; awkward refuses what does not fit together
        if not raised_by((*READERS, "awkward"), error):
            raise
        if is_url(path):
            raise TemporaryFailure(f"{path}: damaged on the way ({_first_line(error)})") from error
        raise InputError(
            f"{path}: damaged or not a ROOT file that can be read ({_first_line(error)})."
        ) from error


def _is_untrusted(error: Exception) -> bool:
    """Whether a server showed no certificate that is to be trusted."""
    return isinstance(getattr(error, "certificate_error", error), ssl.SSLCertVerificationError)


def _is_refused(error: Exception) -> bool:
    """Whether a web server said that it will not give the file, now or later.

    The HTTP library gives the status 400 to an answer that it cannot read, too, which has no
    headers.
    """
    status = getattr(error, "status", None)
    if status is None or not 400 <= status < 500 or status in (408, 425, 429):
        return False
    return bool(getattr(error, "headers", None))


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
