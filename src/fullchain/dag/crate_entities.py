"""Pieces of the graph of a crate: entities, references, times."""

import time
from calendar import timegm
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fullchain.dag.crate_files import encoding_format

Entity = dict[str, Any]


class Shared:
    """Entities that several others point to, each once."""

    def __init__(self) -> None:
        self.entities: dict[str, Entity] = {}

    def keep(self, entity: Entity) -> str:
        """Keep an entity unless one of its name is there; give the name."""
        self.entities.setdefault(entity["@id"], entity)
        return str(entity["@id"])


def named(identifier: str, kind: str | list[str], name: str, /, **more: Any) -> Entity:
    """Make an entity with a name; what is empty is left out."""
    left = {key: value for key, value in more.items() if value not in ("", None, [])}
    return {"@id": identifier, "@type": kind, "name": name, **left}


def reference(identifiers: Iterable[str]) -> Entity | list[Entity]:
    """Point to entities, each once, in the given order; to one without a list around it."""
    found = [{"@id": one} for one in dict.fromkeys(identifiers)]
    return found[0] if len(found) == 1 else found


def moment(text: str, later: float = 0.0) -> str:
    """Write a recorded time, ``2026-01-31T12:00:00Z``, some seconds later, as profiles want it."""
    seconds = timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) + round(later)
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


def file_entity(identifier: str, path: str, size: int | None = None, /, **more: Any) -> Entity:
    """Make the entity of a file; its size in bytes is left out where it is not known."""
    return named(
        identifier,
        "File",
        Path(path).name,
        encodingFormat=encoding_format(path),
        contentSize="" if size is None else str(size),
        **more,
    )


def is_local(identifier: str) -> bool:
    """Whether an entity is named in the graph alone: no file in the crate, and none on the web."""
    return identifier.startswith("#")
