"""Whether the inputs of a step still are what the step that made them wrote.

A file may be damaged so that it can still be read. Every step writes a record with the checksums of
its outputs beside the first of them (`fullchain.provenance`), and those of its inputs are taken in
any case: to compare the two costs nothing but reading the record.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fullchain.errors import InputError

SUFFIX = ".provenance.json"  # as in fullchain.provenance

MOST_RECORDS = 64
"""Records in a folder that are looked through for a file that is no first output."""


def check_unchanged(checksums: Mapping[str, str]) -> None:
    """Compare inputs with the records of the steps that wrote them.

    A file without a record, as those that the user gives, is taken as it is.

    Parameters
    ----------
    checksums
        SHA-256 of each input, by its path.

    Raises
    ------
    InputError
        An input differs from its record.
    """
    seen: dict[Path, dict[str, Any] | None] = {}
    for path, found in checksums.items():
        for place in _records(Path(path)):
            if place not in seen:
                seen[place] = _read(place)
            record = seen[place]
            expected = _written(record, path) if record else None
            if record is None or expected is None:
                continue
            if expected != found:
                raise InputError(
                    f"{path}: changed since {record.get('step')} wrote it: damaged, or edited. "
                    "Delete it, and the same command makes it again; where the change is wanted, "
                    f"delete its record {place}"
                )
            break


def _records(path: Path) -> Iterator[Path]:
    """Give the records that may tell of a file, the likeliest first."""
    own = path.with_name(path.name + SUFFIX)
    if own.is_file():
        yield own
        return
    # Other outputs of a part have its number, 0003.json beside 0003.parquet.
    stem = path.name.split(".")[0]
    near = sorted(path.parent.glob(f"{_escaped(stem)}.*{SUFFIX}"))
    yield from near
    others = [place for place in path.parent.glob(f"*{SUFFIX}") if place not in near]
    if len(others) <= MOST_RECORDS:
        yield from sorted(others)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _read(place: Path) -> dict[str, Any] | None:
    """Read a record; a damaged one tells nothing here, and `fullchain verify` names it."""
    try:
        return dict(json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _written(record: Mapping[str, Any], path: str) -> str | None:
    known = record.get("output_checksums")
    if not isinstance(known, dict):
        return None
    wanted = os.path.normpath(path)
    return next((sum_ for name, sum_ in known.items() if os.path.normpath(name) == wanted), None)
