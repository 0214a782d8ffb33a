"""Copy the figures of all stages into one folder, as for a paper."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Annotated

from fullchain import further_outputs
from fullchain.atomic import atomic, write_text
from fullchain.errors import InputError
from fullchain.paper.indexes import IndexedFigure, read_index
from fullchain.step import Given, Input, Output


def main(
    *,
    indexes: Annotated[list[Path], Input("figure index of each stage, in order of data flow")],
    collected: Annotated[Path, Output("index of all figures; they are copied beside it")],
    settings: Given,
) -> None:
    """Copy PDF and PNG as ``<stage>_<name>``; the index is written last."""
    found = [figure for index in indexes for figure in read_index(index)]
    known: set[str] = set()
    for figure in found:
        if figure.identifier in known:
            raise InputError(f"two figures are called {figure.identifier}; rename one of them")
        known.add(figure.identifier)
    _remove_strangers(collected.parent, known)
    entries = []
    for figure in found:
        for source in (figure.pdf, figure.png):
            _copy(source, collected.with_name(figure.identifier + source.suffix))
        entries.append(_entry(figure))
    write_text(collected, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")


def _copy(source: Path, target: Path) -> None:
    with atomic(target) as temporary:
        shutil.copyfile(source, temporary)
    further_outputs.tell(target)


def _remove_strangers(folder: Path, known: set[str]) -> None:
    """Remove figures of an earlier run that no stage draws any more."""
    for file in folder.glob("*"):
        if file.suffix in (".pdf", ".png") and file.stem not in known:
            file.unlink()


def _entry(figure: IndexedFigure) -> dict[str, str]:
    return {
        "name": figure.name,
        "title": figure.title,
        "caption": figure.caption,
        "stage": figure.stage,
        "file": figure.identifier,
        "sha256": hashlib.sha256(figure.png.read_bytes()).hexdigest(),
    }
