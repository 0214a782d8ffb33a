"""Files of forests: JSON, that reads back to the same numbers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.firmware.forest import Forest, Tree

VERSION = 1


def write(path: Path, forest: Forest, about: Mapping[str, Any]) -> None:
    """Write a forest, with what is known `about` it (plain values)."""
    content = {
        "format": VERSION,
        "about": dict(about),
        "names": list(forest.names),
        "shift": forest.shift.tolist(),
        "exponent": forest.exponent.tolist(),
        "classes": list(forest.classes),
        "first": forest.first.tolist(),
        "rounds": [[_content(tree) for tree in trees] for trees in forest.rounds],
    }
    write_text(path, json.dumps(content, allow_nan=False) + "\n")


def read(path: Path) -> tuple[Forest, dict[str, Any]]:
    """Read what `write` wrote: the forest, and what is known about it.

    Raises
    ------
    InputError
        The file is not there or not a forest, or its nodes are no trees.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != VERSION:
            raise InputError(f"{path}: format {content['format']}, not {VERSION}; grow again")
        forest = Forest(
            tuple(content["names"]),
            np.array(content["shift"], dtype=np.float64),
            np.array(content["exponent"], dtype=np.int64),
            tuple(content["classes"]),
            np.array(content["first"], dtype=np.float64),
            tuple(tuple(_tree(tree) for tree in trees) for trees in content["rounds"]),
        )
        about = dict(content["about"])
    except FileNotFoundError:
        raise InputError(f"{path}: no such forest; run firmware grow first") from None
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(f"{path}: not a forest ({problem}); run firmware grow again") from None
    try:
        forest.check()
    except InputError as problem:
        raise InputError(f"{path}: {problem}") from None
    return forest, about


def _content(tree: Tree) -> dict[str, Any]:
    names = ("feature", "threshold", "left", "right", "value")
    return {name: getattr(tree, name).tolist() for name in names}


def _tree(content: Mapping[str, Any]) -> Tree:
    return Tree(
        np.array(content["feature"], dtype=np.int64),
        np.array(content["threshold"], dtype=np.float64),
        np.array(content["left"], dtype=np.int64),
        np.array(content["right"], dtype=np.int64),
        np.array(content["value"], dtype=np.float64),
    )
