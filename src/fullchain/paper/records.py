"""Reading what a run left behind: provenance records and the introductions of the stages."""

import ast
import importlib.resources
from pathlib import Path

from fullchain.errors import InputError
from fullchain.paper.lineage import Job, job_from_record
from fullchain.provenance import SUFFIX, read_record


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
        record = read_record(path)
        try:
            jobs.append(job_from_record(record, first))
        except (KeyError, TypeError, ValueError) as problem:
            raise InputError(
                f"{path}: the record lacks something ({problem!r}): an older version wrote it; "
                "delete it, and the result beside it, to make both again"
            ) from None
    return jobs


def introduction(stage: str) -> str:
    """Give the first line of the docstring of a stage's package, or nothing."""
    source = importlib.resources.files("fullchain") / stage / "__init__.py"
    if not source.is_file():
        return ""
    text = ast.get_docstring(ast.parse(source.read_bytes())) or ""
    return text.partition("\n")[0]
