"""What of a machine and of an environment may change the last digits of a result.

On one machine two runs give identical numbers. On another processor the numerical libraries choose
other kernels and other sizes of blocks, whose sums round in another way; so results are shared
between equal machines, and between those that somebody has declared to be as good as each other.
"""

import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from fullchain.processor import processor

MACHINE = "FULLCHAIN_CACHE_MACHINE"
"""Environment variable: a name for this kind of machine instead of what it is."""

_CHOICES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "PYTHONHASHSEED",
)
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def machine() -> Any:
    """Say what this machine is: operating system, C library, processor and GPUs.

    With the environment variable FULLCHAIN_CACHE_MACHINE its value only.
    """
    named = os.environ.get(MACHINE)
    return {"named": named} if named else dict(_machine())


@cache
def _machine() -> dict[str, Any]:
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "library": _c_library(),
        "processor": processor(),
        "gpus": _gpus(Path("/proc/driver/nvidia")),
    }


def _c_library() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (AttributeError, ValueError, OSError):
        return platform.release()


def _gpus(folder: Path) -> list[str]:
    found = []
    for source in [*sorted(folder.glob("gpus/*/information")), folder / "version"]:
        try:
            text = source.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found += [line.strip() for line in text.splitlines() if line.startswith(("Model", "NVRM"))]
    return found


def numerical_choices() -> dict[str, str]:
    """Environment variables that say how many threads there are, and which kernels are taken."""
    threads = [name for name in os.environ if name.endswith("_NUM_THREADS")]
    chosen = [*_CHOICES, *(("CUDA_VISIBLE_DEVICES",) if _machine()["gpus"] else ())]
    return {name: os.environ[name] for name in sorted({*threads, *chosen}) if name in os.environ}


def distributions(names: Iterable[str]) -> dict[str, str]:
    """Installed versions of distributions and of all that they require, directly or not.

    The identity of a step's code has the versions of what it imports, because its environment is
    pinned. Two users may have two environments.
    """
    found: dict[str, str] = {"python": platform.python_version()}
    waiting = [_canonical(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        version, required = _distribution(name)
        if version is not None:
            found[name] = version
            waiting += required
    return found


@cache
def _distribution(name: str) -> tuple[str | None, tuple[str, ...]]:
    try:
        one = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None, ()
    # Only the first lines are read, by hand: a parser of mail would take most of the time of a job.
    text = one.read_text("METADATA") or one.read_text("PKG-INFO") or ""
    lines = [line.partition(": ") for line in text.partition("\n\n")[0].splitlines()]
    versions = [value for name, _, value in lines if name == "Version"]
    # What is not installed is left out above; an extra that happens to be there counts for nothing.
    needed = [value for name, _, value in lines if name == "Requires-Dist"]
    matches = [_REQUIREMENT.match(value) for value in needed if "extra ==" not in value]
    return (versions or [one.version])[0], tuple(_canonical(one[0]) for one in matches if one)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def program(name: str) -> str | None:
    """Identify a program on the PATH by its content; None where there is none of this name.

    What a script runs lies elsewhere, so its place counts, too.
    """
    found = shutil.which(name)
    if found is None:
        return None
    place = Path(found).resolve()
    with place.open("rb") as stream:
        is_script = stream.read(2) == b"#!"
        stream.seek(0)
        content = hashlib.file_digest(stream, "sha256").hexdigest()
    return f"{place} {content}" if is_script else content
