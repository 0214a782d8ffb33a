"""Files of tensors and plain values, written by torch."""

import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fullchain.atomic import atomic
from fullchain.errors import InputError


class Unreadable(Exception):
    """The file is not one of ours, or is damaged; the message says how."""


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors, numbers, text and containers of them, whole or not at all."""
    # Given a name, torch writes it into the file, and that of the temporary file is never the same.
    with atomic(path) as temporary, temporary.open("wb") as stream:
        torch.save(dict(content), stream)


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote, with all tensors on the CPU; no code of the file is run.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    Unreadable
        It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise Unreadable(f"{damaged} inside it is damaged")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    # of damaged files: zipfile and torch raise these, and ValueError where a name is no UTF-8
    except (
        OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, EOFError,
        pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error,
    ) as problem:  # fmt: skip
        reason = (str(problem).splitlines() or [""])[0]
        raise Unreadable(reason or type(problem).__name__) from None
    if not isinstance(content, dict):
        raise Unreadable("it holds no mapping")
    return content


def read_format(path: Path, version: int, what: str, first: str, again: str) -> dict[str, Any]:
    """Read a file that says its format under the key `format`.

    Parameters
    ----------
    version
        The format that is understood.
    what, first, again
        For messages: what the file should be ("a tagger"), what makes it where there is none
        ("train the tagger first"), and what to do about a file of no use ("train again").

    Raises
    ------
    InputError
        There is no such file, it cannot be read, or it has another format.
    """
    try:
        content = read(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {first}") from None
    except Unreadable as problem:
        raise InputError(f"{path}: not {what} ({problem}); {again}") from None
    if content.get("format") != version:
        raise InputError(f"{path}: written in format {content.get('format')}; {again}")
    return content
