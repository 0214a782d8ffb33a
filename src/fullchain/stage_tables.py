"""Tables that a stage gives to the report, beside its list of numbers.

A `tables.json` is ``{"stage": ..., "tables": [...]}``. A table is for what belongs together in rows
and columns: taggers beside those of the literature, or rates of several programs. Its cells may
hold what `metrics.json` must not, such as times, which differ from run to run.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fullchain.atomic import write_text
from fullchain.errors import InputError


@dataclass(frozen=True)
class Number:
    """A cell with a number.

    Parameters
    ----------
    value, uncertainty
        The number and one standard deviation; 0 for an exact number, None for one whose
        uncertainty is not given.
    decimals
        Decimals to show, for a number that a publication gave with so many; None to round the
        value to what its uncertainty supports.
    limit
        `lower` or `upper` where the value is a limit.
    """

    value: float
    uncertainty: float | None = None
    decimals: int | None = None
    limit: str | None = None


Cell = str | Number | None
"""Text (with simple maths between $), a number, or nothing."""


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    name
        Letters, digits and _; unique in the stage.
    title, caption
        Text with simple maths between $; the caption says what the numbers are.
    columns
        Heads of the columns; the first one names the rows.
    rows
        One cell for each column.
    marked
        Numbers of the rows, from 0, that are set off: ours beside those of others.
    """

    name: str
    title: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    marked: Sequence[int] = ()


def write_tables(path: Path, stage: str, tables: Iterable[Table]) -> None:
    """Write a `tables.json`.

    Raises ValueError for a name that is no name or stands twice, a row of another length than the
    head, or a number that is not finite.
    """
    rows = list(tables)
    for number, table in enumerate(rows):
        if not re.fullmatch(r"[A-Za-z]\w*", table.name):
            raise ValueError(f"table name {table.name!r}: use letters, digits and _")
        if any(table.name == other.name for other in rows[:number]):
            raise ValueError(f"table {table.name} of stage {stage} stands twice")
        for row in table.rows:
            _check(table, row)
    content = {"stage": stage, "tables": [asdict(table) for table in rows]}
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _check(table: Table, row: Sequence[Cell]) -> None:
    if len(row) != len(table.columns):
        raise ValueError(f"table {table.name}: {len(row)} cells for {len(table.columns)} columns")
    for cell in row:
        if isinstance(cell, Number) and not (
            math.isfinite(cell.value) and math.isfinite(cell.uncertainty or 0.0)
        ):
            raise ValueError(f"table {table.name}: {cell} is not finite")


def read_tables(path: Path) -> tuple[str, list[Table]]:
    """Read a `tables.json`: the stage and its tables.

    Raises InputError where the file is missing or is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content["stage"], [_table(entry) for entry in content["tables"]]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file of tables; rerun the step that writes it") from None
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(f"{path}: not a file of tables ({problem!r})") from None


def _table(entry: dict[str, Any]) -> Table:
    rows = [
        [Number(**cell) if isinstance(cell, dict) else cell for cell in row]
        for row in entry["rows"]
    ]
    return Table(**{**entry, "rows": rows})
