"""Which files make up a sample, and how a file that may be far away is got at.

Only the standard library is imported: the workflow asks for the names of parts each time it starts.
"""

from __future__ import annotations

import glob
import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from fullchain.errors import InputError
from fullchain.ntuples.manifests import is_url

T = TypeVar("T")

PART_DIGITS = 4
FIRST_WAIT = 1.0
"""Pause before the second attempt at a remote file [s]; it doubles with each further attempt."""

REMEDY = (
    "Start again when the server works; or raise timeout or retries of the sample, or list another "
    "replica of the file."
)
"""What can be done where a server failed."""

_GLOB_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True)
class Source:
    """One file of a sample: the places that hold the same content, in the order to try them.

    ``checksum`` is what the content must have, as ``adler32:03da0195``; None: any.
    """

    replicas: tuple[str, ...]
    checksum: str | None = None

    @property
    def name(self) -> str:
        """The first replica, which names the file in messages."""
        return self.replicas[0]


def part_names(sample: Any) -> list[str]:
    """Names of the parts of a generated or ingested sample: "0000", "0001", ...

    Parameters
    ----------
    sample
        Settings of the sample. A part is what one job generates (`events_per_job`) or reads
        (`files_per_job`, or a share of one file: `jobs_per_file`).

    Raises
    ------
    InputError
        When a glob of an ingested sample matches nothing, or a file is listed twice.
    """
    if sample.kind == "ingested":
        count = len(_groups(sample))
    else:
        count = -(-sample.events // sample.events_per_job)
    return [f"{number:0{PART_DIGITS}d}" for number in range(count)]


def part_sources(sample: Any, part: str) -> list[Source]:
    """Files of one part of an ingested sample; InputError where the sample has no such part."""
    groups = _groups(sample)
    try:
        return groups[int(part)]
    except (IndexError, ValueError):
        raise InputError(
            f"There is no part {part}: the files of the sample make {len(groups)} parts, "
            "from 0000. If files were removed since the workflow was started, start it again."
        ) from None


def part_share(sample: Any, part: str) -> tuple[int, int]:
    """Which share of its file a part is, from 0, and of how many: (0, 1) for whole files."""
    return int(part) % sample.jobs_per_file, sample.jobs_per_file


def local_inputs(sample: Any, part: str) -> list[str]:
    """Local files of one part that exist: what the workflow watches for changes.

    Of the replicas of one file it is the first local one. A missing file is left to the step, which
    says so or skips it, as the settings ask.
    """
    found = []
    for source in part_sources(sample, part):
        local = [path for path in source.replicas if not is_url(path) and Path(path).is_file()]
        found.extend(local[:1])
    return found


def _groups(sample: Any) -> list[list[Source]]:
    entries = tuple(entry if isinstance(entry, str) else tuple(entry) for entry in sample.files)
    jobs = sample.jobs_per_file
    checksums = tuple(sample.checksums or ())
    groups = _expanded_groups(entries, checksums, sample.files_per_job if jobs == 1 else 1)
    return [group for group in groups for _ in range(jobs)]


@lru_cache(maxsize=256)
def _expanded_groups(
    entries: tuple[str | tuple[str, ...], ...],
    checksums: tuple[str | None, ...],
    files_per_job: int,
) -> list[list[Source]]:
    """Files of a sample by part, looked up once: the workflow asks for each of many parts."""
    return group_files(expand_files(entries, checksums), files_per_job)


def expand_files(
    entries: Sequence[str | Sequence[str]], checksums: Sequence[str | None] = ()
) -> list[Source]:
    """Resolve globs and ``~``, in the order given; the matches of one glob are sorted.

    Parameters
    ----------
    checksums
        One for each entry, None where it is not known; empty: none is known.

    Raises
    ------
    InputError
        When a glob matches nothing, is used in a URL or among replicas, or for several files with
        one checksum; a file comes twice (its events would count twice).
    """
    sources: list[Source] = []
    for entry, checksum in zip(entries, checksums or [None] * len(entries), strict=True):
        if not isinstance(entry, str):
            sources.append(Source(_replicas(entry), checksum))
            continue
        paths = _expand(entry)
        if checksum and len(paths) > 1:
            raise InputError(f"{entry}: {len(paths)} files match, for one checksum; list each.")
        sources.extend(Source((path,), checksum) for path in paths)
    seen: set[str] = set()
    for source in sources:
        for path in source.replicas:
            identity = path if is_url(path) else str(Path(path).absolute())
            if identity in seen:
                raise InputError(f"{path}: listed twice; its events would count twice.")
            seen.add(identity)
    return sources


def group_files(sources: Sequence[Source], files_per_job: int) -> list[list[Source]]:
    """Cut the files into one group per job, in order."""
    return [
        list(sources[first : first + files_per_job])
        for first in range(0, len(sources), files_per_job)
    ]


def first_answer(
    source: Source,
    attempt: Callable[[str], T],
    *,
    retries: int,
    wait: float = FIRST_WAIT,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[str, T]:
    """Try ``attempt`` on the replicas of a file until one succeeds.

    A remote replica is tried ``retries`` more times after a failure that may pass (connection
    refused, reset, timed out, an answer cut short); a missing or unusable one is not.

    Parameters
    ----------
    attempt
        Gets a path or URL; raises InputError, OSError or `TemporaryFailure`.
    wait
        Pause before the second attempt [s]; doubles with each further one.
    report
        Gets one line for each failure that is followed by another attempt.

    Returns
    -------
    tuple
        The replica that answered, and what ``attempt`` returned.

    Raises
    ------
    InputError
        When all failed; gives each replica's reason.
    """
    reasons: list[str] = []
    temporary = False
    for path in source.replicas:
        attempts = Attempts(retries if is_url(path) else 0, wait, report)
        while True:
            try:
                return path, attempt(path)
            except TemporaryFailure as failure:
                if attempts.again(str(failure)):
                    continue
                reason, temporary = attempts.reason, True
            except InputError as failure:
                reason = str(failure)
            break
        reasons.append(reason)
        if path != source.replicas[-1]:
            report(f"{reason}; trying the next replica")
    raise none_answered(source, reasons, temporary)


class Attempts:
    """Attempts at one replica of a file, repeated after a failure that may pass.

    Parameters
    ----------
    retries
        Further attempts after the first.
    wait
        Pause before the second attempt [s]; doubles with each further one.
    report
        Gets one line for each failure that is followed by another attempt.
    """

    def __init__(self, retries: int, wait: float, report: Callable[[str], None]) -> None:
        self._number, self._attempts = 0, retries + 1
        self._pause, self._report = wait, report
        self.reason = ""
        """Why the last attempt failed, and which it was."""

    def again(self, reason: str) -> bool:
        """After a failure that may pass: wait and say yes, or no where none is left."""
        self._number += 1
        self.reason = f"{reason} (attempt {self._number} of {self._attempts})"
        if self._number >= self._attempts:
            return False
        self._report(f"{self.reason}; next attempt in {self._pause:g} s")
        time.sleep(self._pause)
        self._pause *= 2
        return True


def none_answered(source: Source, reasons: Sequence[str], temporary: bool) -> InputError:
    """Give the error that says why each replica failed, and what can be done.

    ``temporary`` says whether a failure may pass, so that another start may help.
    """
    hint = f"\n{REMEDY}" if temporary else ""
    if len(reasons) == 1:
        return InputError(reasons[0] + hint)
    return InputError(
        f"{source.name}: none of its {len(reasons)} replicas can be used:\n  "
        + "\n  ".join(reasons)
        + hint
    )


class TemporaryFailure(Exception):
    """A remote file did not answer as it should; another attempt may help."""


def check_protocol(path: str) -> None:
    """Raise InputError where a URL needs a package that is not installed."""
    protocol = path.split("://", 1)[0]
    if protocol in ("root", "roots", "xroot", "xroots"):
        if not importlib.util.find_spec("XRootD"):
            raise InputError(
                f"{path}: reading over XRootD needs its client library, which is not installed; "
                "install the environment again, or: pip install xrootd"
            )
    elif protocol not in ("http", "https"):
        raise InputError(
            f"{path}: the protocol {protocol}:// is not supported; use a local path, https:// or "
            "root://."
        )


def _expand(pattern: str) -> list[str]:
    if is_url(pattern):
        if "*" in pattern:
            raise InputError(f"{pattern}: a URL cannot be a glob; list the files one by one.")
        return [pattern]
    path = str(Path(pattern).expanduser())
    if not _GLOB_CHARACTERS.intersection(path) or Path(path).exists():
        return [path]
    # Path.glob takes no absolute pattern.
    matches = glob.glob(path, recursive=True)  # noqa: PTH207
    found = sorted(match for match in matches if Path(match).is_file())
    if not found:
        raise InputError(
            f"{pattern}: no file matches. Relative paths start in the folder in which the workflow "
            "runs."
        )
    return found


def _replicas(entry: Sequence[str]) -> tuple[str, ...]:
    if not entry:
        raise InputError("An empty list of replicas; give at least one path or URL.")
    for path in entry:
        if not is_url(path) and len(_expand(path)) != 1:
            raise InputError(f"{path}: a replica is one file; a glob that matches several is not.")
    return tuple(_expand(path)[0] for path in entry)
