"""Reading what the steps of this stage saved as JSON."""

import json
from pathlib import Path
from typing import Any

from fullchain.errors import InputError


def read_numbers(path: Path, key: str = "") -> Any:
    """Give what a file has under a key, or all of it.

    Raises
    ------
    InputError
        The file is not what a step of this stage wrote.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content[key] if key else dict(content)
    except (ValueError, KeyError, TypeError) as problem:
        raise InputError(f"{path}: not numbers of the stage pileup ({problem}); rerun it") from None
