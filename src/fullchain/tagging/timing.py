"""How fast a function is, and how much memory it takes, in this process."""

import ctypes
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def rates(call: Callable[[], object], rows: int, *, seconds: float, repeats: int) -> dict[str, Any]:
    """Rows per second of a function: median over repeats, and their central 68 %.

    One call before goes unmeasured. Repeats stop after `seconds`; at least three are made.
    """
    call()
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < 3 or (len(found) < repeats and time.perf_counter() < end):
        start = time.perf_counter()
        call()
        found.append(rows / (time.perf_counter() - start))
    low, median, high = np.quantile(found, [0.16, 0.5, 0.84])
    return {"median": median, "low": low, "high": high, "repeats": len(found)}


def peak_memory(call: Callable[[], object]) -> dict[str, float] | None:
    """Memory of this process while a function runs [1e6 bytes].

    ``peak`` is the largest resident size during the call, ``added`` what it is above the size
    before. The kernel keeps the peak (VmHWM) and is told to start again before the call, after
    free memory went back to it. None where the system has no such account.
    """
    try:
        _give_back()
        _CLEAR.write_text("5", encoding="ascii")
        before = _resident("VmRSS")
        call()
        peak = _resident("VmHWM")
    except (OSError, AttributeError, LookupError):
        return None
    return {"peak": peak, "added": max(peak - before, 0.0)}


def _give_back() -> None:
    """Give free memory back to the system, with the GNU C library."""
    ctypes.CDLL(None).malloc_trim(0)


def _resident(name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise LookupError(name)
    return 1.024e-3 * int(found[1])
