"""What a command costs: time on the clock, time of processors, memory."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    )
}


@dataclass(frozen=True)
class Cost:
    """Of one command with all its processes.

    Parameters
    ----------
    wall
        Time on the clock [s].
    cpu
        User and system time of the process and of all that it waited for [s].
    peak_mb
        Largest resident memory of any one of these processes [1e6 bytes].
    """

    wall: float
    cpu: float
    peak_mb: float

    def __add__(self, other: "Cost") -> "Cost":
        """One after the other."""
        peak = max(self.peak_mb, other.peak_mb)
        return Cost(self.wall + other.wall, self.cpu + other.cpu, peak)

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def measured(command: Sequence[str], log: Path, folder: Path | None = None) -> Cost:
    """Run a command with one thread, in `folder` if given, and measure it.

    The kernel counts the memory of the process that starts another as that of the other, too, so
    the caller should be small.

    Raises
    ------
    SystemExit
        The command failed; what it said is in `log`.
    """
    with log.open("w", encoding="utf-8") as output:
        start = time.monotonic()
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            # Byte code is kept, as Python does unless it is told not to.
            env={**os.environ, **ONE_THREAD, "PYTHONDONTWRITEBYTECODE": ""},
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
        raise SystemExit(f"{' '.join(command[:4])} ... failed, see {log}:\n{end}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024e-6)
