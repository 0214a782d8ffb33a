"""What source files say, kept from one process to the next beside Python's own byte code.

To parse the modules of a step takes longer than to run a short one, and every job does it. What was
found stands with the checksum of the source file; a file that has changed is read again. The file
is a convenience: where it is absent, damaged or cannot be written, all is read anew.
"""

import json
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fullchain.atomic import atomic

FORMAT = 2
"""Raised when what is found in a source file changes."""


@dataclass(frozen=True)
class Analysis:
    """What a source file says.

    Parameters
    ----------
    source
        SHA-256 of the file.
    tree
        SHA-256 of its syntax tree as text, without docstrings.
    imported
        Dotted names that it may import.
    data
        Files that it names in `__data__`.
    """

    source: str
    tree: str
    imported: tuple[str, ...]
    data: tuple[str, ...]


def place(folder: Path) -> Path:
    """Where the analyses of the package in `folder` are kept, by version of Python."""
    return folder / "__pycache__" / f"analyses.{sys.implementation.cache_tag}.json"


@cache
def known(folder: Path) -> dict[str, Analysis]:
    """Analyses of earlier processes by name of the module; of this one, those that were added."""
    try:
        content = json.loads(place(folder).read_bytes())
        if content["format"] != FORMAT:
            return {}
        return {name: _analysis(one) for name, one in content["modules"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _analysis(one: dict[str, Any]) -> Analysis:
    return Analysis(one["source"], one["tree"], tuple(one["imported"]), tuple(one["data"]))


def keep(folder: Path) -> None:
    """Write what is known, unless Python is told to write no byte code."""
    if sys.dont_write_bytecode:
        return
    modules = {name: asdict(one) for name, one in known(folder).items()}
    try:
        with atomic(place(folder)) as temporary:
            temporary.write_text(json.dumps({"format": FORMAT, "modules": modules}))
    except OSError:
        # A package that is installed for all may be written to by nobody.
        return
