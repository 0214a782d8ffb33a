"""Collect the numbers of all stages, and write them as LaTeX tables."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.metrics import Metric, read_metrics, write_metrics
from fullchain.paper.tables import metrics_table, number_macros, stage_table
from fullchain.stage_tables import read_tables
from fullchain.step import Given, Input, Output


def main(
    *,
    metrics: Annotated[list[Path], Input("metrics.json of each stage, in order of data flow")],
    collected: Annotated[Path, Output("numbers of all stages, names prefixed by the stage")],
    tables: Annotated[list[Path], Output("a LaTeX table for each of the metrics files, in order")],
    numbers: Annotated[Path, Output("LaTeX macros that give each number by its name")],
    stage_tables: Annotated[list[Path], Input("tables.json of the stages that have one")] = [],  # noqa: B006
    composed: Annotated[list[Path], Output("LaTeX file of the tables in each of these")] = [],  # noqa: B006
    settings: Given,
) -> None:
    """Read the metrics of all stages and write them together and as tables."""
    if len(metrics) != len(tables):
        raise InputError(f"{len(metrics)} metrics files for {len(tables)} tables: give one each")
    if len(stage_tables) != len(composed):
        raise InputError(
            f"{len(stage_tables)} files of tables for {len(composed)} LaTeX files: give one each"
        )
    everything: list[Metric] = []
    seen: dict[str, Path] = {}
    for source, table in zip(metrics, tables, strict=True):
        stage, found = read_metrics(source)
        if stage in seen:
            raise InputError(f"{source}: the stage {stage} is already in {seen[stage]}")
        seen[stage] = source
        write_text(table, metrics_table(found))
        everything += [replace(metric, name=f"{stage}.{metric.name}") for metric in found]
    for source, path in zip(stage_tables, composed, strict=True):
        write_text(path, "\n".join(stage_table(table) for table in read_tables(source)[1]))
    write_text(numbers, number_macros(everything))
    write_metrics(collected, "paper", everything)
