"""Opening HDF5 files of the stage, with errors that name them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from fullchain.errors import InputError


@contextmanager
def opened(path: Path, version: int, what: str, remedy: str) -> Iterator[h5py.File]:
    """Open a file to read, which must have the attribute `format` of this version.

    Parameters
    ----------
    path
        The file.
    version
        Of its format.
    what
        What it must be, for messages.
    remedy
        What to do where it is not.

    Raises
    ------
    InputError
        The file is not there, of another version, damaged, or without what is read of it inside
        the `with` statement.
    """
    try:
        with h5py.File(path, "r") as file:
            found = file.attrs["format"]
            if found != version:
                raise InputError(f"{path}: {what} in format {found}, not {version}; {remedy}")
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    # The library says in all these ways that bytes are not what they should be.
    except (OSError, KeyError, ValueError, RuntimeError, TypeError) as problem:
        raise InputError(f"{path}: not a file of {what} ({problem}); {remedy} again") from None
