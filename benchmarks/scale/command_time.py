"""Wall and CPU time of a command with all its processes."""

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def command_time(
    words: Sequence[str], folder: Path, environment: dict[str, str] | None = None
) -> tuple[float, float]:
    """Run a command, and give its wall and CPU time [s]. Ends the program where it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
