"""Write the tables of the stage: taggers beside published ones, and what they cost."""

import json
from pathlib import Path
from typing import Annotated, Any

from fullchain.errors import InputError
from fullchain.stage_tables import write_tables
from fullchain.step import Given, Input, Output
from fullchain.tagging import cost_table, landscape


def main(
    *,
    performance: Annotated[list[Path], Input("performance.json of each tagger")],
    history: Annotated[list[Path], Input("history.json of each training of all taggers")],
    cost: Annotated[list[Path], Input("cost.json of each tagger")],
    tables: Annotated[Path, Output("the tables, tables.json")],
    settings: Given,
) -> None:
    """Read what was measured of all taggers, set it side by side."""
    performances = [_read(path, "working_points") for path in performance]
    jets = _training_jets([_read(path, "tagger") for path in history])
    costs = [_read(path, "operations") for path in cost]
    found = [landscape.table(performances, jets, _layouts(settings))] if performances else []
    write_tables(tables, "tagging", [*found, *([cost_table.table(costs)] if costs else [])])


def _training_jets(histories: list[dict[str, Any]]) -> dict[str, int | None]:
    """Jets that one training of each tagger saw: of folds, each sees nearly as many.

    None where a file gave the weights, which says nothing of its training.
    """
    return {
        one["tagger"]: None if "imported" in one else sum(one["jets"]["train"].values())
        for one in reversed(histories)
    }


def _layouts(settings: Given) -> dict[str, str]:
    """Layout of the files of each sample that is not generated."""
    return {
        name: str(sample.get("layout"))
        for name, sample in settings["ntuples.samples"].items()
        if sample and sample["kind"] == "ingested"
    }


def _read(path: Path, key: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; rerun the step that writes it") from None
    except json.JSONDecodeError as problem:
        raise InputError(f"{path}: not valid JSON ({problem}); rerun its step") from None
    if not isinstance(content, dict) or key not in content:
        raise InputError(f"{path}: has no {key}; rerun the step that writes it")
    return content
