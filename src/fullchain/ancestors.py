"""Who asked for this process: the Snakemake that started it, and the shell between the two.

Imports next to nothing, because a warm job waits for it.
"""

import os

DRIVER = "FULLCHAIN_DRIVER"
"""Environment variable with the process number of the Snakemake that started a step."""


def parent_of(process: int) -> int:
    """Give the number of the parent of a process, 0 where there is none."""
    try:
        with open(f"/proc/{process}/stat", errors="replace") as stream:  # noqa: PTH123
            # The name of the program, in brackets, may itself hold brackets and spaces.
            return int(stream.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def asked_by() -> list[int]:
    """Give the driver, where it is among our ancestors, and our parent: a shell of the driver's.

    A number that was inherited from elsewhere, such as the host that submitted a job, counts for
    nothing.
    """
    driver = os.environ.get(DRIVER, "")
    process = os.getpid()
    while process := parent_of(process):
        if str(process) == driver:
            return list({process, os.getppid()})
    return []


def opened(processes: list[int]) -> list[int]:
    """Give descriptors that become readable when these processes end.

    None for a process that is gone, and none at all where Python or the kernel knows no such thing.
    """
    found = []
    for process in processes:
        try:
            found.append(os.pidfd_open(process))
        except (AttributeError, OSError):
            continue
    return found
