"""Figure indexes: what a plotting step says it drew."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fullchain.errors import InputError


@dataclass(frozen=True)
class IndexedFigure:
    """A figure with the place of its PDF and PNG."""

    name: str
    title: str
    caption: str
    stage: str
    pdf: Path
    png: Path

    @property
    def identifier(self) -> str:
        """Name that is unique among all stages."""
        return f"{self.stage}_{self.name}"


def read_index(path: Path) -> list[IndexedFigure]:
    """Read a figure index and look for its files beside it.

    Raises
    ------
    InputError
        The index is missing or not an index, one of its files is missing, or a PNG is not the one
        that the index was written for.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [_figure(path, entry) for entry in entries]
    except FileNotFoundError:
        raise InputError(f"{path}: no such figure index; rerun the step that draws it") from None
    except (json.JSONDecodeError, KeyError, TypeError) as problem:
        raise InputError(f"{path}: not a figure index ({problem!r})") from None


def _figure(index: Path, entry: dict[str, Any]) -> IndexedFigure:
    name = entry.get("file", entry["name"])
    pdf, png = index.with_name(f"{name}.pdf"), index.with_name(f"{name}.png")
    for file in (pdf, png):
        if not file.is_file():
            raise InputError(f"{file}: listed in {index.name} but not there; redraw the figures")
    if hashlib.sha256(png.read_bytes()).hexdigest() != entry["sha256"]:
        raise InputError(f"{png}: is not the figure that {index} lists; redraw the figures")
    return IndexedFigure(entry["name"], entry["title"], entry["caption"], entry["stage"], pdf, png)
