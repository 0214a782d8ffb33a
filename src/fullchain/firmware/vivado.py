"""Vivado, where it is installed: the Verilog project placed and routed, and its reports."""

import re
from pathlib import Path
from typing import Any

from fullchain.errors import InputError
from fullchain.firmware import vendor_tools
from fullchain.firmware.rtl_project import Project
from fullchain.firmware.utilisation import utilisation

LABEL = "Vivado, placed and routed, out of context"
SCRIPT = "build_vivado_prj.tcl"

ROWS = {
    "lut": ("CLB LUTs", "Slice LUTs"),
    "lut_memory": ("LUT as Memory",),
    "ff": ("CLB Registers", "Slice Registers"),
    "bram": ("Block RAM Tile",),
    "uram": ("URAM",),
    "dsp": ("DSPs",),
}
"""Rows of the utilisation report; the first one that is there is taken."""


def implement(project: Project, what: str) -> tuple[dict[str, Any], str]:
    """Run the script of a project, and read its reports.

    Parameters
    ----------
    project
        Unpacked.
    what
        Name of the design in messages.

    Returns
    -------
    tuple
        Report with the fields of `xilinx_synthesis.synthesise`, with `timing`; netlist in Verilog.

    Raises
    ------
    InputError
        Vivado is not on the PATH, fails, or writes no such reports.
    """
    program = vendor_tools.program(
        "vivado", setting="firmware.synthesis.tool is vivado", instead="set the tool to yosys"
    )
    if not (project.root / SCRIPT).is_file():
        raise InputError(f"{what}: no {SCRIPT} in the archive; run firmware trace again")
    (project.root / "run.tcl").write_text(
        f"source {SCRIPT}\nwrite_verilog -force -mode funcsim netlist.v\n", encoding="utf-8"
    )
    command = [program, "-mode", "batch", "-nojournal", "-log", "vivado.log", "-source", "run.tcl"]
    try:
        vendor_tools.run(command, project.root)
    except InputError as problem:
        raise InputError(f"{what}: {problem}") from None
    reports = project.root / f"output_{project.top}" / "reports"
    used = _text(reports / f"{project.top}_post_route_util.rpt", what)
    timed = _text(reports / f"{project.top}_post_route_timing.rpt", what)
    return report(used, timed, project.top, what), _text(project.root / "netlist.v", what)


def _text(path: Path, what: str) -> str:
    if not path.is_file():
        raise InputError(f"{what}: Vivado ended without {path.name}; run it by hand and look")
    return path.read_text(encoding="utf-8", errors="replace")


def report(used: str, timed: str, top: str, what: str) -> dict[str, Any]:
    """Read reports on utilisation and timing, the text of each.

    Raises
    ------
    InputError
        A number is not there; names it.
    """
    table = _table(used)
    cells = _cells(used)
    numbers: dict[str, Any] = {}
    for key, names in ROWS.items():
        found = [table[name] for name in names if name in table]
        if not found and key in ("lut", "ff", "dsp"):
            raise InputError(f"{what}: no row {' or '.join(names)} in the report on utilisation")
        value = found[0] if found else 0.0
        numbers[key] = value if key == "bram" else int(value)
    version = re.search(r"Tool Version\s*:\s*Vivado v\.(\S+)", used)
    device = re.search(r"\|\s*Device\s*:\s*(\S+)", used)
    return {
        "tool": "Vivado",
        "label": LABEL,
        "version": version.group(1) if version else "unknown",
        "family": device.group(1) if device else "unknown",
        "top": top,
        "cells": cells,
        # Two small LUTs in one place are one in the table, and two cells.
        **utilisation(cells),
        **numbers,
        "timing": _timing(timed, what),
        "further": [],
    }


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]


def _table(text: str) -> dict[str, float]:
    """Give the column `Used` of all rows with a number in it; the first of one name."""
    found: dict[str, float] = {}
    for row in _rows(text):
        if len(row) >= 2 and re.fullmatch(r"[0-9.]+", row[1]):
            found.setdefault(row[0].rstrip("*"), float(row[1]))
    return found


def _cells(text: str) -> dict[str, int]:
    """Give the section on primitives: name, number, functional category."""
    rows = [
        row for row in _rows(text) if len(row) == 3 and re.fullmatch(r"[A-Z][A-Z0-9_]+", row[0])
    ]
    return {name: int(number) for name, number, _ in sorted(rows) if number.isdigit()}


def _timing(text: str, what: str) -> dict[str, float]:
    """Give worst slack, period and the clock that would just do."""
    slack = re.search(r"WNS\(ns\).*\n[\s-]*\n\s*(-?[0-9.]+)", text)
    period = re.search(
        r"Period\(ns\)\s+Frequency\(MHz\)\s*\n[\s-]*\n\s*\S+\s+\{[^}]*\}\s+([0-9.]+)", text
    )
    if slack is None or period is None:
        missing = "WNS" if slack is None else "the period of the clock"
        raise InputError(f"{what}: {missing} is not in the report on timing")
    shortest = float(period.group(1)) - float(slack.group(1))
    return {
        "period_ns": float(period.group(1)),
        "slack_ns": float(slack.group(1)),
        "fmax_mhz": 1000.0 / shortest,
    }
