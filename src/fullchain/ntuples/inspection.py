"""Whether a ROOT file can be used, and how many events and what sum of weights it has."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import uproot

from fullchain.errors import InputError
from fullchain.ntuples.layouts.detect import (
    Signature,
    describe_trees,
    detect_layout,
    get_signature,
    tree_names,
)
from fullchain.ntuples.manifests import is_url
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
        Local path, ``https://`` or ``root://`` URL.
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
    with failures_named(path):
        size = check_beginning(path, timeout)
        with uproot.open(_address(path), **open_options(path, timeout)) as file:
            name = detect_layout(file, tree) if layout == "auto" else layout
            signature = get_signature(name)
            events = _open_tree(file, path, tree or signature.tree, signature)
            signature.check(path, events, is_data=is_data)
            total = int(events.num_entries)
            if total == 0:
                raise InputError(f"{path}: tree '{events.name}' has zero events.")
            _check_end(path, events, signature)
            used = total if max_events is None else min(max_events, total)
            before_skim, of_events = _sums_of_weights(file, events, signature, used, is_data)
        return Content(name, events.name, used, before_skim, size, total, of_events)


def open_options(path: str, timeout: float) -> dict[str, Any]:
    """Options for ``uproot.open`` and ``fsspec`` that bound the wait for a remote server.

    ``timeout`` is the longest silence [s], not the time of a whole transfer.
    """
    if path.startswith(("http://", "https://")):
        import aiohttp

        limits = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)
        return {"client_kwargs": {"timeout": limits}, "skip_instance_cache": True}
    return {"timeout": int(np.ceil(timeout))} if is_url(path) else {}


def _client_error() -> type[Exception]:
    """What the HTTP library raises; imported only once something was raised, for it takes long."""
    import aiohttp

    return aiohttp.ClientError


def check_beginning(path: str, timeout: float) -> int | None:
    """Check that ``path`` exists and is a whole ROOT file; return its size, None if remote."""
    if is_url(path):
        check_protocol(path)
        filesystem, where = fsspec.core.url_to_fs(path, **open_options(path, timeout))
        header = filesystem.cat_file(where, start=0, end=HEADER_BYTES)
        _check_magic(path, header)
        if len(header) > HEADER_BYTES:
            raise InputError(
                f"{path}: the server sends whole files only (no range requests), so that parts of "
                "a ROOT file cannot be read from it; download the file and list the local copy."
            )
        return None
    file = Path(path)
    if not file.exists():
        raise InputError(f"{path}: the file does not exist.")
    if not file.is_file():
        raise InputError(f"{path}: not a file; to read all files of a folder, write {path}/*.root")
    size = file.stat().st_size
    with file.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    _check_magic(path, header)
    end = file_end(header)
    if size < end:
        raise InputError(
            f"{path}: truncated, {size} of {end} bytes are there; copy or make the file again."
        )
    return size


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


def _address(path: str) -> str | dict[str, None]:
    """What ``uproot.open`` takes: a local path in a mapping, where a colon means nothing."""
    return path if is_url(path) else {path: None}


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
    file: Any, tree: Any, signature: Signature, used: int, is_data: bool
) -> tuple[float, float]:
    """Sums of generator weights to normalise by, and of the first ``used`` events.

    The tree Runs counts the events before any skim, so where it is there its sum is what to
    normalise by, scaled to the part of the file that is used.
    """
    if is_data or signature.event_weight is None:
        return float(used), float(used)
    weights = tree[signature.event_weight].array(library="np").astype(np.float64)
    part = float(weights[:used].sum())
    before_skim = _sum_from_runs(file, signature)
    if before_skim is None:
        return part, part
    if used == tree.num_entries:
        return before_skim, part
    whole = float(weights.sum())
    return before_skim * (part / whole if whole else used / len(weights)), part


def _sum_from_runs(file: Any, signature: Signature) -> float | None:
    if "Runs" not in tree_names(file):
        return None
    runs = file["Runs"]
    for name in signature.sums_of_weights:
        if name in runs:
            return float(runs[name].array(library="np").astype(np.float64).sum())
    return None


@contextmanager
def failures_named(path: str) -> Iterator[None]:
    """Turn what the I/O libraries raise into an error that names the file and says what to do.

    Raises
    ------
    InputError
        The file is missing, damaged, or refused.
    TemporaryFailure
        A remote file, where another attempt may help.
    """
    try:
        yield
    except (InputError, TemporaryFailure):
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: the file does not exist.") from None
    except PermissionError as error:
        raise InputError(f"{path}: no permission to read it ({_first_line(error)}).") from None
    except (OSError, TimeoutError, _client_error()) as error:
        if not is_url(path):
            raise InputError(f"{path}: cannot be read ({_first_line(error)}).") from error
        status = getattr(error, "status", None)
        if status is not None and 400 <= status < 500 and status not in (408, 429):
            raise InputError(f"{path}: the server refuses it (HTTP {status}).") from error
        raise TemporaryFailure(f"{path}: {_first_line(error)}") from error
    except Exception as error:
        if is_url(path):
            raise TemporaryFailure(f"{path}: damaged on the way ({_first_line(error)})") from error
        raise InputError(
            f"{path}: damaged or not a ROOT file that can be read ({_first_line(error)})."
        ) from error


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
