"""What the processor of this machine is.

Needs the standard library only: the shared cache asks before a job has imported anything else.
"""

import platform
import re
from pathlib import Path

_VECTORS = re.compile(r"(sse|ssse|avx|fma|f16c|bmi|amx|sve|asimd|neon)")
_MODEL = ("vendor_id", "cpu family", "model", "model name", "cpu implementer", "cpu part")


def processor(source: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Read model and vector instructions of the first processor of a list.

    Parameters
    ----------
    source
        A list of processors as Linux gives it. Where there is none the answer is Python's name
        alone, as ``name``.

    Returns
    -------
    dict
        What the list has of the maker, family and model, under its names in lower case (``model
        name`` for most), and ``vectors``: the sets of vector instructions, sorted, with blanks in
        between.
    """
    known = _first(source)
    if known is None:
        return {"name": platform.processor()}
    found = {name: known[name] for name in _MODEL if name in known}
    words = _instructions(known).split()
    found["vectors"] = " ".join(sorted(word for word in words if _VECTORS.match(word)))
    return found


def instructions(source: Path = Path("/proc/cpuinfo")) -> str:
    """Give all sets of instructions and other features of the first processor of a list.

    Machine code made for a processor needs them all; results do not depend on most of them. Empty
    where there is no such list.
    """
    return _instructions(_first(source) or {})


def _instructions(known: dict[str, str]) -> str:
    return known.get("flags", known.get("features", ""))


def _first(source: Path) -> dict[str, str] | None:
    """Read the first processor of a list; None where there is no list."""
    try:
        with source.open(encoding="utf-8", errors="replace") as stream:
            first = list(iter(lambda: stream.readline().strip(), ""))
    except OSError:
        return None
    values = dict(line.partition(":")[::2] for line in first)
    return {name.strip().lower(): value.strip() for name, value in values.items()}
