"""Reading what steps saved as JSON."""

import json
from pathlib import Path
from typing import Any

from fullchain.errors import InputError


def read_numbers(path: Path, stage: str, key: str = "") -> Any:
    """Give what a file of a stage has under a key, or all of it.

    Raises
    ------
    InputError
        The file is not there, or not what a step of the stage wrote.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content[key] if key else dict(content)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the step that writes it") from None
    except (ValueError, KeyError, TypeError) as problem:
        raise InputError(
            f"{path}: not numbers of the stage {stage} ({problem}); rerun it"
        ) from None
