"""Wall and CPU time of a command with all its processes."""

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def command_time(
    words: Sequence[str],
    folder: Path,
    environment: dict[str, str] | None = None,
    silent: bool = False,
    expected: str = "",
) -> tuple[float, float]:
    """Run a command, and give its wall and CPU time [s].

    Ends the program where the command fails, where it does not write what is `expected`, and, if it
    should be `silent`, where it writes anything to its standard error.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    missing = expected not in done.stdout + done.stderr
    if done.returncode or missing or (silent and done.stderr):
        failed = f"{' '.join(words)}: status {done.returncode}, in {folder}"
        sys.exit(f"{done.stdout}{done.stderr}\n{failed}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
