"""The archive of a Verilog project."""

from dataclasses import dataclass
from pathlib import Path

from fullchain.errors import InputError
from fullchain.firmware import project_archive


@dataclass(frozen=True)
class Project:
    """An unpacked Verilog project.

    Parameters
    ----------
    folder
        Where commands run: files are named from here.
    root
        Folder of the project itself, with scripts for vendor tools.
    top
        Name of the top module.
    sources
        Verilog files, relative to `folder`, in order.
    """

    folder: Path
    root: Path
    top: str
    sources: tuple[str, ...]


def unpack(archive: Path, top: str, folder: Path) -> Project:
    """Unpack a project into a folder.

    The wrapper, which only pads numbers to one width for an emulation, is left out.

    Raises
    ------
    InputError
        The archive is not there or damaged, or has no such module (names the file).
    """
    project_archive.unpack(archive, folder / "project", "trace")
    found = sorted((folder / "project").rglob(f"src/{top}.v"))
    if len(found) != 1:
        raise InputError(
            f"{archive}: {len(found)} files src/{top}.v, where one is needed; run firmware trace "
            "again"
        )
    source = found[0].parent
    paths = [path for path in sorted(source.glob("*.v")) if path.stem != f"{top}_wrapper"]
    paths += sorted((source / "static").glob("*.v"))
    names = tuple(path.relative_to(folder).as_posix() for path in paths)
    wrong = [name for name in names if any(character in name for character in " ;\"'\n")]
    if wrong:
        raise InputError(f"{archive}: {wrong[0]!r} is no name that Yosys can read")
    return Project(folder, source.parent, top, names)
