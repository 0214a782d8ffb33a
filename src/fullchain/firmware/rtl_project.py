"""The archive of a Verilog project, and what is known of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class RtlReport:
    """What `rtl.json` says.

    Parameters
    ----------
    top
        Name of the top module.
    inputs, outputs
        [sign bit, integer bits without the sign, fractional bits] of each number, from the lowest
        bit of the port.
    content
        All of it.
    """

    top: str
    inputs: tuple[tuple[int, int, int], ...]
    outputs: tuple[tuple[int, int, int], ...]
    content: dict[str, Any]


def read_report(path: Path) -> RtlReport:
    """Read the report on a Verilog project.

    Raises
    ------
    InputError
        The file is not there or is not such a report.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        top = content["top"]
        if not isinstance(top, str) or not top.isidentifier():
            raise ValueError(f"top is {top!r}")
        return RtlReport(
            top, _formats(content["inputs"]), _formats(content["outputs"]), dict(content)
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run firmware trace") from None
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(
            f"{path}: not a report on Verilog ({problem!r}); run firmware trace again"
        ) from None


def _formats(rows: Sequence[Sequence[int]]) -> tuple[tuple[int, int, int], ...]:
    return tuple((int(signed), int(integer), int(fraction)) for signed, integer, fraction in rows)


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
