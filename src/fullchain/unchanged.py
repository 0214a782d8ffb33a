"""Whether the inputs of a step still are what the step that made them wrote.

A file may be damaged so that it can still be read. Every step writes a record with the checksums of
its outputs beside the first of them (`fullchain.provenance`), and those of its inputs are taken in
any case: to compare the two costs listing each folder of inputs once, and reading records. Other
outputs may lie in a folder below that of the first.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fullchain.errors import InputError
from fullchain.provenance import SUFFIX, read_record

MOST_RECORDS = 64
"""Records in a folder that are looked through for a file that is no first output."""


@dataclass(frozen=True)
class _Claim:
    """What a record says of a file."""

    started: str
    step: str
    record: Path
    checksum: str


def check_unchanged(checksums: Mapping[str, str]) -> None:
    """Compare inputs with the records of the steps that wrote them.

    A file without a record, as those that the user gives, is taken as it is. Several records may
    name a file, where another step made it before; it has to be what one of them says.

    Parameters
    ----------
    checksums
        SHA-256 of each input, by its path.

    Raises
    ------
    InputError
        An input differs from all records that name it.
    """
    seen: dict[Path, dict[str, Any] | None] = {}
    folders: dict[Path, dict[str, list[Path]]] = {}
    for path, found in checksums.items():
        claims: list[_Claim] = []
        for folder in list(Path(path).parents)[:2]:
            if folder not in folders:
                folders[folder] = _records(folder)
            claims = _claims_in(folders[folder], path, found, seen)
            if claims:
                break
        if claims and all(claim.checksum != found for claim in claims):
            raise InputError(_message(path, claims))


def _claims_in(
    by_stem: Mapping[str, list[Path]],
    path: str,
    found: str,
    seen: dict[Path, dict[str, Any] | None],
) -> list[_Claim]:
    """Give what the records of a folder say of a file; one that agrees ends the search."""
    # Other outputs of a part have its number, 0003.json beside 0003.parquet.
    own = _stem(Path(path))
    claims = list(_claims(path, by_stem.get(own, []), seen))
    if any(claim.checksum == found for claim in claims):
        return claims
    others = [place for stem, some in by_stem.items() if stem != own for place in some]
    if claims or len(others) <= MOST_RECORDS:
        claims += _claims(path, others, seen)
    return claims


def _message(path: str, claims: list[_Claim]) -> str:
    newest = max(claims, key=lambda claim: claim.started)
    records = ", ".join(str(claim.record) for claim in claims)
    what = f"its record {records}" if len(claims) == 1 else f"all its records: {records}"
    return (
        f"{path}: changed since {newest.step} wrote it: damaged, or edited. Delete it, and the "
        f"same command makes it again; where the change is wanted, delete {what}"
    )


def _records(folder: Path) -> dict[str, list[Path]]:
    """List the records in a folder by the stem of their names."""
    found: dict[str, list[Path]] = {}
    for place in sorted(folder.glob(f"*{SUFFIX}")):
        found.setdefault(_stem(place), []).append(place)
    return found


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]


def _claims(
    path: str, places: Iterable[Path], seen: dict[Path, dict[str, Any] | None]
) -> Iterator[_Claim]:
    wanted = os.path.normpath(path)
    for place in places:
        if place not in seen:
            seen[place] = _read(place)
        record = seen[place] or {}
        for name, checksum in record.get("output_checksums", {}).items():
            if os.path.normpath(name) == wanted:
                yield _Claim(str(record.get("started", "")), record["step"], place, checksum)


def _read(place: Path) -> dict[str, Any] | None:
    """Read a record; a damaged one may tell of other files, and stops no step."""
    try:
        return read_record(place)
    except InputError as problem:
        print(f"warning: nothing is compared with a record: {problem}", file=sys.stderr)
        return None
