"""Which published set a file belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fullchain.errors import InputError
from fullchain.ntuples.jet_files.jets import JetFile
from fullchain.ntuples.jet_files.quark_gluon import QuarkGluon
from fullchain.ntuples.jet_files.top_tagging import TopTagging
from fullchain.ntuples.manifests import is_url

CONTAINERS = {"top_tagging": "an HDF5 file", "quark_gluon": "a NumPy archive (npz)"}
_BEGINNINGS = {"top_tagging": b"\x89HDF\r\n\x1a\n", "quark_gluon": b"PK"}


def find_format(path: str, layout: str = "auto") -> str:
    """Name of the set that the file at ``path`` belongs to, by how it begins.

    Parameters
    ----------
    layout
        Name of the set that it must be of, or "auto".

    Raises
    ------
    InputError
        The file is remote, absent or empty, or of another format.
    """
    if is_url(path):
        raise InputError(
            f"{path}: files that are converted cannot be read over a network; download it and list "
            "the local copy."
        )
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{path}: {'not a file' if file.exists() else 'the file does not exist'}.")
    try:
        with file.open("rb") as stream:
            beginning = stream.read(max(map(len, _BEGINNINGS.values())))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}).") from None
    found = next((n for n, start in _BEGINNINGS.items() if beginning.startswith(start)), None)
    if found is None or layout not in ("auto", found):
        wanted = CONTAINERS.get(layout, " or ".join(CONTAINERS.values()))
        is_other = f"is {CONTAINERS[found]}" if found else f"starts with {beginning!r}"
        raise InputError(
            f"{path}: {is_other}, but the layout {layout} needs {wanted}; set 'layout' of the "
            "sample to that of its files, or get the file again."
        )
    return found


@contextmanager
def open_jets(path: str, layout: str = "auto", key: str | None = None) -> Iterator[JetFile]:
    """Open a file of a published set.

    Parameters
    ----------
    layout
        "top_tagging", "quark_gluon", or "auto".
    key
        Name of the table in an HDF5 file; None: the published one.

    Raises
    ------
    InputError
        The file is absent, damaged, of another format, or has no jets.
    """
    name = find_format(path, layout)
    file: JetFile = TopTagging(path, key) if name == "top_tagging" else QuarkGluon(path)
    try:
        if file.rows == 0:
            raise InputError(f"{path}: has zero jets.")
        yield file
    finally:
        file.close()
