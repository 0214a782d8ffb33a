"""Which published set a file belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fullchain.errors import InputError
from fullchain.ntuples.jet_files.jets import JetFile
from fullchain.ntuples.jet_files.observable_table import ObservableTable
from fullchain.ntuples.jet_files.quark_gluon import QuarkGluon
from fullchain.ntuples.jet_files.top_tagging import TopTagging
from fullchain.ntuples.manifests import is_url
from fullchain.ntuples.sources_settings import TABLE_LAYOUTS
from fullchain.ntuples.table_settings import TableSettings

CONTAINERS = {"top_tagging": "an HDF5 file", "quark_gluon": "a NumPy archive (npz)"}
_BEGINNINGS = {"top_tagging": b"\x89HDF\r\n\x1a\n", "quark_gluon": b"PK"}


def find_format(path: str, layout: str = "auto") -> str:
    """Name of the set that the file at ``path`` belongs to, by how it begins.

    Parameters
    ----------
    layout
        Name of the set that it must be of, or "auto". Of tables it only says that the file is
        there: they may be in many formats, and none of them is found without its layout.

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
    if layout in TABLE_LAYOUTS:
        return layout
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
def open_jets(
    path: str, layout: str = "auto", key: str | None = None, table: TableSettings | None = None
) -> Iterator[JetFile | ObservableTable]:
    """Open a file of a published set.

    Parameters
    ----------
    layout
        "top_tagging", "quark_gluon", "w_tagging", "high_level", or "auto".
    key
        Name of the table in an HDF5 file, or of the array or tree with a table; None: the published
        one, or the only one.
    table
        Columns of a table.

    Raises
    ------
    InputError
        The file is absent, damaged, of another format, or has no jets.
    """
    name = find_format(path, layout)
    file: JetFile | ObservableTable
    if name in TABLE_LAYOUTS:
        assert table is not None
        file = ObservableTable(path, table, key)
    else:
        file = TopTagging(path, key) if name == "top_tagging" else QuarkGluon(path)
    try:
        if file.rows == 0:
            raise InputError(f"{path}: has zero jets.")
        yield file
    finally:
        file.close()
