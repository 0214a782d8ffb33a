"""Reading what a run left behind: provenance records and the introductions of the stages."""

import ast
import importlib.resources
import json
from pathlib import Path

from fullchain.errors import InputError
from fullchain.paper.lineage import Job, job_from_record
from fullchain.provenance import SUFFIX


def read_jobs(folder: Path) -> list[Job]:
    """Read all provenance records below the folder of a run.

    Raises
    ------
    InputError
        A record is not one.
    """
    jobs = []
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        first = path.relative_to(folder).as_posix().removesuffix(SUFFIX)
        try:
            jobs.append(job_from_record(json.loads(path.read_text(encoding="utf-8")), first))
        except (json.JSONDecodeError, KeyError, TypeError, IndexError) as problem:
            raise InputError(f"{path}: not a provenance record ({problem!r}); delete it") from None
    return jobs


def introduction(stage: str) -> str:
    """Give the first line of the docstring of a stage's package, or nothing."""
    source = importlib.resources.files("fullchain") / stage / "__init__.py"
    if not source.is_file():
        return ""
    text = ast.get_docstring(ast.parse(source.read_bytes())) or ""
    return text.partition("\n")[0]
