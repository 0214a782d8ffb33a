"""Collect the numbers of the stage."""

from pathlib import Path
from typing import Annotated, Any

from fullchain.calorimetry import (
    classifier_numbers,
    control_numbers,
    downstream_numbers,
    evaluation_numbers,
    matching_numbers,
    quality_numbers,
    refinement_numbers,
    showers_numbers,
    variation_numbers,
)
from fullchain.calorimetry.published_models import with_kinds
from fullchain.metrics import Metric, write_metrics
from fullchain.saved_numbers import read_numbers
from fullchain.stage_tables import Table, write_tables
from fullchain.step import Given, Input, Output

STAGE = "calorimetry"


def main(
    *,
    showers: Annotated[list[Path], Input("showers.json of each set")] = [],  # noqa: B006
    evaluation: Annotated[list[Path], Input("separations and distances of what is judged")] = [],  # noqa: B006
    classifiers: Annotated[list[Path], Input("classifiers against what is judged")] = [],  # noqa: B006
    timing: Annotated[list[Path], Input("times per shower")] = [],  # noqa: B006
    control: Annotated[list[Path], Input("weights of generated showers")] = [],  # noqa: B006
    variation: Annotated[list[Path], Input("models with weights drawn again")] = [],  # noqa: B006
    solvers: Annotated[list[Path], Input("solvers of flow matching")] = [],  # noqa: B006
    refinement: Annotated[list[Path], Input("numbers of super-resolution")] = [],  # noqa: B006
    downstream: Annotated[list[Path], Input("events with each response")] = [],  # noqa: B006
    metrics: Annotated[Path, Output("numbers of all models, metrics.json")],
    listed: Annotated[Path, Output("tables for the report and for LaTeX, tables.json")],
    settings: Given,
) -> None:
    """Read the numbers of each part of the stage, write list and tables.

    Times stand in tables only: they differ from run to run.
    """
    sets = _read(showers)
    parts: tuple[tuple[list[Path], Any], ...] = (
        (showers, showers_numbers),
        (evaluation, evaluation_numbers),
        (classifiers, classifier_numbers),
        (control, control_numbers),
        (solvers, matching_numbers),
        (refinement, refinement_numbers),
        (downstream, downstream_numbers),
    )
    rows: list[Metric] = []
    found: list[Table] = []
    for paths, numbers in parts:
        if paths:
            content = with_kinds(_read(paths), sets)
            rows += numbers.metrics(content)
            found += numbers.tables(content)
    if variation:
        rows += variation_numbers.metrics(with_kinds(_read(variation), sets))
    if evaluation and classifiers and timing:
        found += quality_numbers.tables(
            with_kinds(_read(evaluation), sets),
            with_kinds(_read(classifiers), sets),
            with_kinds(_read(timing), sets),
        )
    write_metrics(metrics, STAGE, rows)
    write_tables(listed, STAGE, found)


def _read(paths: list[Path]) -> list[Any]:
    return [read_numbers(path, STAGE) for path in paths]
