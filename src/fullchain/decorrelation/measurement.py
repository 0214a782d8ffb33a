"""What `decorrelation evaluate` wrote of a classifier."""

from pathlib import Path
from typing import Any

from fullchain.errors import InputError
from fullchain.saved_numbers import read_numbers


def measurement(path: Path) -> dict[str, Any]:
    """Read a performance.json. Raises InputError where the file is none of this stage."""
    content: dict[str, Any] = read_numbers(path, "decorrelation")
    if "sculpting" not in content:
        raise InputError(f"{path}: not numbers of 'decorrelation evaluate'; rerun it")
    return content
