"""Part manifests: what one part of a sample consists of, and whether all of it is there.

A part is what one job makes (generated) or reads (ingested). Its manifest lists the ROOT files with
their number of events and sum of weights, so that a later stage normalises by what was really
processed and a missing file is never mistaken for a smaller sample.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fullchain.errors import InputError

MANIFEST = "manifest"
WORKING_DIRECTORY = "working_directory"


def is_url(path: str) -> bool:
    """Whether ``path`` names a remote file (``https://``, ``root://``, ...)."""
    return "://" in path


@dataclass(frozen=True)
class SourceFile:
    """One ROOT file of a part.

    ``path`` is a URL, an absolute path, or a path relative to what the manifest's ``relative_to``
    says. ``replicas`` are further places of the same content, in the order to try. A skipped file
    counts zero events and carries the ``reason``.

    ``events`` are to be read, from the first; the tree has ``entries``. ``sum_of_weights`` is what
    to normalise by, for a skimmed file that before the skim; ``sum_of_event_weights`` is that of
    the events to be read. Older manifests have neither this nor ``entries`` (None). ``checksum`` is
    that of the settings, as ``adler32:03da0195``.
    """

    path: str
    tree: str
    events: int
    sum_of_weights: float
    sha256: str | None = None
    size: int | None = None
    status: Literal["ok", "skipped"] = "ok"
    reason: str | None = None
    replicas: tuple[str, ...] = ()
    entries: int | None = None
    sum_of_event_weights: float | None = None
    checksum: str | None = None


@dataclass(frozen=True)
class PartManifest:
    """All files of one part of a sample; ``events`` and ``sum_of_weights`` are their sums.

    ``relative_to`` says where relative paths start: ``"manifest"`` for files that lie beside it
    (generated: results may move as a whole), ``"working_directory"`` for files as configured.
    ``cross_section_pb`` is the generator's cross section in pb, or None where unknown.
    ``is_data`` marks recorded data: no truth, and every event has the weight 1. ``timeout`` is the
    longest silence of a remote server [s], ``retries`` the further attempts per remote replica.
    """

    sample: str
    part: str
    layout: str
    files: tuple[SourceFile, ...]
    cross_section_pb: float | None = None
    relative_to: Literal["manifest", "working_directory"] = "manifest"
    events: int = field(default=-1)
    sum_of_weights: float = field(default=math.nan)
    is_data: bool = False
    timeout: float = 60.0
    retries: int = 2

    def __post_init__(self) -> None:
        """Fill in the sums where they were not given."""
        if self.events < 0:
            object.__setattr__(self, "events", sum(f.events for f in self.good))
        if math.isnan(self.sum_of_weights):
            total = math.fsum(f.sum_of_weights for f in self.good)
            object.__setattr__(self, "sum_of_weights", total)

    @property
    def good(self) -> tuple[SourceFile, ...]:
        """The files to read: all that were not skipped."""
        return tuple(f for f in self.files if f.status == "ok")

    @property
    def sum_of_event_weights(self) -> float | None:
        """Sum of weights of the events to be read; None where a file does not tell it."""
        known = [f.sum_of_event_weights for f in self.good if f.sum_of_event_weights is not None]
        return math.fsum(known) if len(known) == len(self.good) else None

    @property
    def skipped(self) -> tuple[SourceFile, ...]:
        """The files that were left out, each with its reason."""
        return tuple(f for f in self.files if f.status == "skipped")


def write_part(path: Path, part: PartManifest) -> None:
    """Write ``part`` as JSON to ``path`` (which should be a temporary name, see ``atomic``)."""
    check_part(part, path)
    path.write_text(json.dumps(asdict(part), indent=1) + "\n")


def read_part(path: Path) -> PartManifest:
    """Read and check one part manifest.

    Raises
    ------
    InputError
        When the file is absent, no JSON, or does not describe a complete part.
    """
    content = _read_json(path)
    raw_files = content.pop("files", None)
    if not isinstance(raw_files, list):
        raise InputError(f"{path}: the part manifest has no list 'files'; make it again.")
    files = tuple(
        _build(SourceFile, entry, f"{path}: files[{i}]") for i, entry in enumerate(raw_files)
    )
    part = _build(PartManifest, {**content, "files": files}, str(path))
    check_part(part, path)
    return part


def part_described(path: Path) -> PartManifest | None:
    """Read a JSON file that may be a part manifest; None where it is about something else.

    Raises
    ------
    InputError
        As `read_part`, and for a file that is no JSON.
    """
    content = _json(path)
    is_manifest = isinstance(content, dict) and {"sample", "part", "files"} <= content.keys()
    return read_part(path) if is_manifest else None


def check_part(part: PartManifest, where: Path | str) -> None:
    """Raise InputError unless ``part`` is consistent: sums, states, and at least one good file."""
    if not part.good:
        raise InputError(f"{where}: no readable file is left in part {part.part} of {part.sample}.")
    for entry in part.files:
        if entry.status not in ("ok", "skipped"):
            raise InputError(f"{where}: {entry.path} has the unknown status {entry.status!r}.")
        if entry.status == "skipped" and not entry.reason:
            raise InputError(f"{where}: {entry.path} was skipped without a reason.")
        if entry.entries is not None and entry.entries < entry.events:
            raise InputError(
                f"{where}: {entry.path} has {entry.entries} entries, but {entry.events} events are "
                "to be read; make the manifest again."
            )
    events = sum(f.events for f in part.good)
    if events != part.events:
        raise InputError(f"{where}: says {part.events} events, its files have {events}.")
    weights = math.fsum(f.sum_of_weights for f in part.good)
    if not math.isclose(weights, part.sum_of_weights, rel_tol=1e-9, abs_tol=1e-12):
        raise InputError(
            f"{where}: says a sum of weights of {part.sum_of_weights}, its files have {weights}."
        )
    if part.relative_to not in (MANIFEST, WORKING_DIRECTORY):
        raise InputError(
            f"{where}: relative_to is {part.relative_to!r}, not one of "
            f"'{MANIFEST}', '{WORKING_DIRECTORY}'."
        )


def resolve(part: PartManifest, manifest: Path, path: str) -> str:
    """Where to open ``path`` of a manifest that lies at ``manifest``."""
    if is_url(path) or Path(path).is_absolute() or part.relative_to == WORKING_DIRECTORY:
        return path
    return str(manifest.parent / path)


def merge_parts(paths: Iterable[Path]) -> dict[str, Any]:
    """All parts of one sample as one mapping: the content of ``{sample}/manifest.json``.

    The cross section is the mean over the parts weighted by events (each part is an independent
    estimate of the same number).

    Raises
    ------
    InputError
        When parts of different samples or layouts are mixed, or one part comes twice.
    """
    parts = [(path, read_part(path)) for path in paths]
    if not parts:
        raise InputError("A sample manifest needs at least one part manifest.")
    first = parts[0][1]
    seen: set[str] = set()
    for path, part in parts:
        if part.sample != first.sample or part.layout != first.layout:
            raise InputError(
                f"{path}: is {part.layout} of sample {part.sample}, but the first part is "
                f"{first.layout} of {first.sample}; give each its own sample."
            )
        if part.part in seen:
            raise InputError(f"{path}: part {part.part} of {part.sample} comes twice.")
        seen.add(part.part)
    known = [(p.cross_section_pb, p.events) for _, p in parts if p.cross_section_pb is not None]
    events_known = sum(n for _, n in known)
    return {
        "sample": first.sample,
        "layout": first.layout,
        "events": sum(p.events for _, p in parts),
        "sum_of_weights": math.fsum(p.sum_of_weights for _, p in parts),
        "cross_section_pb": (
            math.fsum(x * n for x, n in known) / events_known if events_known else None
        ),
        "files_skipped": sum(len(p.skipped) for _, p in parts),
        "parts": [asdict(p) for _, p in parts],
    }


def _read_json(path: Path) -> dict[str, Any]:
    content = _json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: a part manifest is a JSON object.")
    return content


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: the part manifest does not exist.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a part manifest in JSON ({error}).") from None


def _build(kind: type, content: Any, where: str) -> Any:
    """An instance of the dataclass ``kind`` from JSON, with errors that name the key."""
    if not isinstance(content, dict):
        raise InputError(f"{where}: expected an object.")
    known = {f.name for f in fields(kind)}
    if unknown := sorted(set(content) - known):
        raise InputError(f"{where}: unknown keys {', '.join(unknown)}.")
    hints = get_type_hints(kind)
    for name, value in content.items():
        if not _fits(value, hints[name]):
            raise InputError(f"{where}: {name} cannot be {str(value)[:40]!r}.")
    if "replicas" in content:
        content = {**content, "replicas": tuple(content["replicas"])}
    try:
        return kind(**content)
    except TypeError as error:
        raise InputError(f"{where}: incomplete part manifest ({error}).") from None


def _fits(value: Any, hint: Any) -> bool:
    """Tell whether a value from JSON is of the type of a field."""
    inner = get_args(hint)
    if get_origin(hint) is Literal:
        return value in inner
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and all(_fits(one, inner[0]) for one in value)
    if inner:
        return any(_fits(value, one) for one in inner)
    if hint in (int, float):
        kinds = (int,) if hint is int else (int, float)
        # integers that no float can hold are no numbers of events or weights
        return isinstance(value, kinds) and not isinstance(value, bool) and abs(value) < 1e300
    return isinstance(value, hint)
