"""Archives of projects: the same bytes for the same files, at any time, place and user."""

import gzip
import io
import tarfile
from pathlib import Path

from fullchain.atomic import atomic
from fullchain.errors import InputError


def packed(folder: Path) -> bytes:
    """Give the files of a folder as tar.gz, by name, without times, owners and modes of here."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.is_symlink():
                continue
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size = path.stat().st_size
            entry.mode = 0o755 if path.suffix == ".sh" else 0o644
            tar.addfile(entry, io.BytesIO(path.read_bytes()))
    return gzip.compress(content.getvalue(), compresslevel=6, mtime=0)


def pack(archive: Path, folder: Path) -> None:
    """Write `packed` to a file, whole or not at all."""
    with atomic(archive) as temporary:
        temporary.write_bytes(packed(folder))


def unpack(archive: Path, folder: Path, step: str) -> None:
    """Unpack what `pack` wrote into a folder.

    Parameters
    ----------
    step
        Step that writes such archives, for messages.

    Raises
    ------
    InputError
        The file is not there or not such an archive, or a name in it leaves the folder.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(folder, filter="data")
    except FileNotFoundError:
        raise InputError(f"{archive}: no such file; run firmware {step}") from None
    except (tarfile.TarError, OSError, EOFError) as problem:
        raise InputError(
            f"{archive}: not an archive of a project ({problem}); run firmware {step} again"
        ) from None
