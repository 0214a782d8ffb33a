"""Recompute the checksums of a run and tell what no longer matches.

Every step writes a record beside its first output (`fullchain.provenance`): checksums of what it
read and of what it wrote. A file that differs from its record was damaged, or changed by hand; one
that another step read in another version belongs to results that have been made again since.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fullchain.checksums import checksum
from fullchain.errors import InputError
from fullchain.progress import progress
from fullchain.provenance import SUFFIX, read_record

UNRECORDED = ("logs", "benchmarks")
"""Folders of a run whose files are no results."""


@dataclass
class Verification:
    """What became of the files of a run.

    Parameters
    ----------
    matching
        Number of outputs that are as they were written.
    read
        Number of other files that are as a step read them.
    problems
        One line for each file that is not, or is gone, or was read in another version.
    without_checksum
        Outputs whose record has none: they were written by an older version.
    unrecorded
        Files below the folder that no record names.
    checksums
        SHA-256 of each file that was looked at, by the path in the records; None where it is gone.
    """

    matching: int = 0
    read: int = 0
    problems: list[str] = field(default_factory=list)
    without_checksum: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    checksums: dict[str, str | None] = field(default_factory=dict)


def records(folder: Path) -> list[dict[str, Any]]:
    """Read all records below the folder of a run that tell of a file as it was made last.

    Raises
    ------
    InputError
        There are none, or one cannot be read.
    """
    found = [read_record(path) for path in sorted(folder.rglob(f"*{SUFFIX}"))]
    if not found:
        raise InputError(f"{folder}: no provenance records there; give the folder of a run")
    newest = makers(found)
    return [one for one in found if any(newest[path] is one for path in one["outputs"])]


def makers(found: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Give the record of the step that wrote each file last.

    Two records name one file where two steps have written it, such as the manifest of a sample that
    was ingested once and is generated now.
    """
    newest: dict[str, Mapping[str, Any]] = {}
    for record in sorted(found, key=lambda one: str(one.get("started", ""))):
        newest |= dict.fromkeys(record["outputs"], record)
    return newest


def verify(folder: Path, root: Path, found: Sequence[Mapping[str, Any]]) -> Verification:
    """Compare the files of a run with their records.

    Parameters
    ----------
    folder
        The folder of the run.
    root
        Folder that relative paths in the records start from: where the workflow ran.
    found
        The records.
    """
    result = Verification()
    known = result.checksums

    def current(path: str) -> str | None:
        if path not in known:
            there = root / path
            known[path] = checksum(there) if there.is_file() else None
        return known[path]

    written: dict[str, str] = {}
    newest = makers(found)
    with progress("checksums", len(found), "records") as advance:
        for record in found:
            for path in record["outputs"]:
                if newest[path] is not record:
                    continue
                expected = record.get("output_checksums", {}).get(path)
                if expected is None:
                    result.without_checksum.append(path)
                    continue
                written[path] = expected
                if current(path) == expected:
                    result.matching += 1
                else:
                    result.problems.append(f"{path}: {_fate(current(path))} since {record['step']}")
            advance(1)
    seen: set[str] = set()
    for record in found:
        for path, expected in record["inputs"].items():
            # A file that changed after it was written is named once, above.
            if path in written and written[path] != expected:
                result.problems.append(
                    f"{record['outputs'][0]}: made by {record['step']} from another version of "
                    f"{path}, which was made again since"
                )
            elif path in written:
                continue
            elif current(path) == expected:
                seen.add(path)
            else:
                result.problems.append(
                    f"{path}: {_fate(current(path))} since {record['step']} read it for "
                    f"{record['outputs'][0]}"
                )
    result.read = len(seen)
    named = {str(path) for record in found for path in record["outputs"]}
    result.unrecorded = [path for path in _files(folder, root) if path not in named]
    return result


def _fate(checksum_now: str | None) -> str:
    return "gone" if checksum_now is None else "changed"


def _files(folder: Path, root: Path) -> Iterator[str]:
    """Give the results below a folder, as the records name them."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.is_file() and inside[0] not in UNRECORDED and not path.name.endswith(SUFFIX):
            yield path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def describe(result: Verification) -> str:
    """Write what was found as text."""
    lines = [f"{result.matching} files are as they were written"]
    if result.read:
        lines.append(f"{result.read} other files are as they were read")
    if result.without_checksum:
        count = len(result.without_checksum)
        lines.append(f"{count} files have no checksum in their record, e.g. ")
        lines[-1] += f"{result.without_checksum[0]}: make them again to have one"
    if result.unrecorded:
        count = len(result.unrecorded)
        lines.append(f"{count} files are in no record, e.g. {result.unrecorded[0]}")
    lines += [f"does not match: {line}" for line in result.problems]
    if not result.problems:
        lines.append("nothing is changed or gone")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Run ``fullchain verify``; the exit status is 1 where something does not match."""
    parser = argparse.ArgumentParser(
        prog="fullchain verify",
        description="Recompute the checksums of a run and tell what no longer matches.",
    )
    parser.add_argument("folder", type=Path, help="folder of the run, results/<run>")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="folder that the workflow ran in; default: this"
    )
    chosen = parser.parse_args(arguments)
    if not chosen.folder.is_dir():
        raise InputError(f"{chosen.folder}: no such folder; give that of a run, results/<run>")
    result = verify(chosen.folder, chosen.root, records(chosen.folder))
    print(describe(result))
    if result.problems:
        sys.exit(1)
