"""Rows of an array in a NumPy archive, read one after the other and not all at once.

`numpy.load` unpacks a whole array. The rows of an array in C order follow each other in its member
of the archive, so that a part of them can be taken from the stream as it is unpacked.
"""

from __future__ import annotations

import zipfile
import zlib
from typing import Any

import numpy as np

from fullchain.errors import InputError
from fullchain.ntuples.jet_files.jets import Array

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


def open_archive(path: str) -> zipfile.ZipFile:
    """Open an archive; InputError where it is cut short or damaged."""
    try:
        return zipfile.ZipFile(path)
    except _BROKEN as error:
        raise InputError(
            f"{path}: cannot be opened as a NumPy archive ({error}); it is truncated or damaged, "
            "get it again."
        ) from None


class NpzRows:
    """One array of an open archive.

    Parameters
    ----------
    path
        Of the archive, for messages.
    archive, name
        The open archive, and the name of the array.

    Raises
    ------
    InputError
        No such array, or one that cannot be read by rows: of objects, or in Fortran order.
    """

    def __init__(self, path: str, archive: zipfile.ZipFile, name: str) -> None:
        self.path, self.name = path, name
        members = archive.namelist()
        if f"{name}.npy" not in members:
            found = ", ".join(member.removesuffix(".npy") for member in members) or "nothing"
            raise InputError(f"{path}: no array '{name}'; the file has {found}.")
        try:
            self._stream: Any = archive.open(f"{name}.npy")
            version = np.lib.format.read_magic(self._stream)
            if version not in _READ_HEADER:
                raise InputError(f"{path}: the array '{name}' has an unknown format {version}.")
            self.shape, fortran, self.dtype = _READ_HEADER[version](self._stream)
            self._start = self._stream.tell()
        except _BROKEN as error:
            raise self._broken(error) from None
        if self.dtype.kind not in "fiu" or (fortran and len(self.shape) > 1) or not self.shape:
            raise InputError(
                f"{path}: the array '{name}' ({self.dtype}, {'Fortran' if fortran else 'C'} order, "
                f"shape {self.shape}) is not one of numbers in C order, with one row for a jet; "
                "save it again with numpy.savez."
            )
        self._row_bytes = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    def read(self, start: int, stop: int) -> Array:
        """Rows from ``start`` up to ``stop``; to go back costs unpacking from the beginning."""
        wanted = (stop - start) * self._row_bytes
        try:
            self._stream.seek(self._start + start * self._row_bytes)
            content = self._stream.read(wanted)
        except _BROKEN as error:
            raise self._broken(error) from None
        if len(content) != wanted:
            raise self._broken(f"ends before row {stop}")
        return np.frombuffer(content, self.dtype).reshape(stop - start, *self.shape[1:])

    def _broken(self, reason: object) -> InputError:
        return InputError(
            f"{self.path}: the array '{self.name}' cannot be read ({reason}); the file is "
            "truncated or damaged, get it again."
        )
