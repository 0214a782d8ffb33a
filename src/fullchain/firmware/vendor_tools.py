"""Running vendor tools on written projects."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from fullchain.errors import InputError

WHERE = {
    "vitis-run": "Vitis of AMD (2024.1 or later; source its settings64.sh)",
    "vitis_hls": "Vitis HLS of AMD (2020.2 to 2024.2; source its settings64.sh)",
    "vivado_hls": "Vivado HLS of AMD (2020.1 or earlier; source its settings64.sh)",
    "vivado": "Vivado of AMD (source its settings64.sh)",
    "icpx": "the oneAPI base toolkit of Intel with its FPGA support (source setvars.sh)",
    "cmake": "CMake (Debian package cmake)",
    "make": "GNU make (Debian package make)",
}


SHOWN = 5
"""Lines of a tool that failed in the message."""


def program(*names: str, setting: str, instead: str) -> str:
    """Give the first of some programs that is on the PATH.

    Parameters
    ----------
    names
        Of `WHERE`.
    setting, instead
        What asks for the tool, and what a user without it can do; both for the message.

    Raises
    ------
    InputError
        None of them is there.
    """
    for name in names:
        if shutil.which(name):
            return name
    raise InputError(
        f"{setting}: there is no program {' or '.join(names)} on the PATH; install "
        f"{' or '.join(WHERE[name] for name in names)}, or {instead}"
    )


def version(name: str) -> str | None:
    """Give the version that a tool says, None where it says none."""
    option = "--version" if name in ("icpx", "cmake", "make") else "-version"
    try:
        done = subprocess.run([name, option], capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"v?(\d+\.\d+(\.\d+)*)", done.stdout)
    return found.group(1) if found else None


def run(
    command: Sequence[str], folder: Path, seconds: float | None = None, setting: str = ""
) -> None:
    """Run a tool in the folder of a project.

    Parameters
    ----------
    command
        The program and its arguments.
    folder
        Where it runs.
    seconds
        After which it is ended with all that it started; None to wait for it.
    setting
        That `seconds` is of, for the message.

    Raises
    ------
    InputError
        It takes longer, or fails: the first errors that it prints are in the message, else the
        last lines.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            said = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            # Vendor tools are scripts that start others, which would go on without them.
            os.killpg(process.pid, signal.SIGKILL)
            raise InputError(
                f"{command[0]} was not ready after {seconds:g} s; raise {setting}, or take a "
                "smaller network or another strategy"
            ) from None
    if process.returncode:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        # What fails later often fails because of the first error.
        errors = [line for line in lines if line.startswith("ERROR")][:SHOWN]
        shown = " | ".join(errors or lines[-SHOWN:]) or "it prints nothing"
        raise InputError(f"{command[0]} failed with code {process.returncode}: {shown}")
