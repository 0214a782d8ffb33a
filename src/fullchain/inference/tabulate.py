"""Collect the numbers of all analyses, and of what else the stage did."""

from pathlib import Path
from typing import Annotated

from fullchain.inference import (
    ratio_numbers,
    result_tables,
    stage_numbers,
    summary_numbers,
    synthetic_numbers,
)
from fullchain.inference.collected import STAGE, collect
from fullchain.metrics import Metric, write_metrics
from fullchain.saved_numbers import read_numbers
from fullchain.stage_tables import Table, write_tables
from fullchain.step import Given, Input, Output


def main(
    *,
    fit: Annotated[list[Path], Input("fit.json of each analysis, in a folder of its name")] = [],  # noqa: B006
    workspace: Annotated[list[Path], Input("workspace.json of each analysis")] = [],  # noqa: B006
    model: Annotated[list[Path], Input("model.json of each analysis")] = [],  # noqa: B006
    impacts: Annotated[list[Path], Input("impacts.json of the analyses that have it")] = [],  # noqa: B006
    limits: Annotated[list[Path], Input("limits.json of the analyses that have it")] = [],  # noqa: B006
    toys: Annotated[list[Path], Input("toys.json of the analyses that have it")] = [],  # noqa: B006
    known: Annotated[
        list[Path], Input("numbers of the synthetic benchmark without learning: one file")
    ] = [],  # noqa: B006
    learned: Annotated[list[Path], Input("numbers of each learned summary of the benchmark")] = [],  # noqa: B006
    summaries: Annotated[list[Path], Input("numbers of learned summaries")] = [],  # noqa: B006
    ratio: Annotated[list[Path], Input("numbers of learned likelihood ratios")] = [],  # noqa: B006
    metrics: Annotated[Path, Output("numbers of all analyses, metrics.json")],
    listed: Annotated[Path, Output("tables for the report and for LaTeX, tables.json")],
    settings: Given,
) -> None:
    """Read the numbers of each analysis, write list and tables."""
    analyses = collect(
        fit=fit, workspace=workspace, model=model, impacts=impacts, limits=limits, toys=toys
    )
    rows: list[Metric] = [metric for one in analyses for metric in stage_numbers.metrics(one)]
    together = result_tables.of_all(analyses)
    found: list[Table] = [] if together is None else [together]
    found += [table for one in analyses for table in result_tables.tables(one)]
    for path in known:
        first, several = read_numbers(path, STAGE), [read_numbers(one, STAGE) for one in learned]
        rows += synthetic_numbers.metrics(first, several)
        found += synthetic_numbers.tables(first, several)
    if summaries:
        content = [read_numbers(path, STAGE) for path in summaries]
        rows += summary_numbers.metrics(content)
        found += summary_numbers.tables(content)
    if ratio:
        content = [read_numbers(path, STAGE) for path in ratio]
        rows += ratio_numbers.metrics(content)
        found += ratio_numbers.tables(content)
    write_metrics(metrics, STAGE, rows)
    write_tables(listed, STAGE, found)
