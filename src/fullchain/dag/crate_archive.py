"""A crate on disk: a folder, or a ZIP archive whose bytes depend on nothing but its content."""

import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from fullchain.atomic import atomic
from fullchain.errors import InputError

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file in the archive: the earliest that the format knows."""

PIECE = 1 << 20


def write_crate(target: Path, texts: Mapping[str, str], files: Mapping[str, Path]) -> None:
    """Write a crate to ``<name>.zip``, or to a folder of any other name.

    Parameters
    ----------
    target
        The archive, which is replaced, or a folder that is not there or is empty.
    texts, files
        For each path in the crate its content, or the file to copy.

    Raises
    ------
    InputError
        The folder is not empty.
    """
    if target.suffix == ".zip":
        with atomic(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for path in sorted({*texts, *files, *_folders([*texts, *files])}):
                _pack(archive, path, texts.get(path), files.get(path))
        return
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: is there already; remove it, or name another folder by --to")
    for path in sorted({*texts, *files}):
        with atomic(target / path) as temporary:
            if path in texts:
                temporary.write_text(texts[path], encoding="utf-8")
            else:
                shutil.copyfile(files[path], temporary)


def _folders(paths: Iterable[str]) -> set[str]:
    """Give the folders of files: who describes one looks for its own entry."""
    return {
        f"{folder.as_posix()}/" for path in paths for folder in PurePosixPath(path).parents[:-1]
    }


def _pack(archive: zipfile.ZipFile, path: str, text: str | None, file: Path | None) -> None:
    entry = zipfile.ZipInfo(path, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    # A folder has a mark of its own, as MS-DOS had.
    entry.external_attr = (0o40755 << 16) | 0x10 if path.endswith("/") else 0o100644 << 16
    entry.create_system = 3
    large = file is not None and file.stat().st_size > 1 << 30
    with archive.open(entry, "w", force_zip64=large) as stream:
        if text is not None:
            stream.write(text.encode())
        elif file is not None:
            with file.open("rb") as source:
                shutil.copyfileobj(source, stream, PIECE)
