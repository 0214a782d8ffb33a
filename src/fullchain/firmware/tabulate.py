"""Collect the numbers of the stage."""

from pathlib import Path
from typing import Annotated, Any

from fullchain.firmware import (
    census_numbers,
    hls_numbers,
    network_numbers,
    pareto,
    pareto_numbers,
    performance_numbers,
    rtl_numbers,
    synthesis_numbers,
    trees_numbers,
    trigger_numbers,
)
from fullchain.firmware.point_files import STAGE, Content, by_point, having, in_one, named
from fullchain.firmware.synthesis_numbers import Synthesised
from fullchain.metrics import Metric, write_metrics
from fullchain.saved_numbers import read_numbers
from fullchain.stage_tables import Table, write_tables
from fullchain.step import Given, Input, Output


def main(
    *,
    inputs: Annotated[list[Path], Input("distributions of the inputs, of firmware census")] = [],  # noqa: B006
    points: Annotated[
        list[Path],
        Input(
            "JSON of points, MODEL/POINT/KIND.json: network, quantisation, hls4ml, rtl, verilator, "
            "synthesis, netlist, placement, conifer"
        ),
    ] = [],  # noqa: B006
    evaluation: Annotated[list[Path], Input("evaluation of each model")] = [],  # noqa: B006
    trigger: Annotated[list[Path], Input("rates and efficiencies of triggers")] = [],  # noqa: B006
    metrics: Annotated[Path, Output("numbers of all models, metrics.json")],
    listed: Annotated[Path, Output("tables for the report and for LaTeX, tables.json")],
    settings: Given,
) -> None:
    """Read the numbers of each part of the stage, write list and tables."""
    known = by_point(points)
    evaluations = [read_numbers(path, STAGE) for path in evaluation]
    parts: tuple[tuple[Any, Any], ...] = (
        ([read_numbers(path, STAGE) for path in inputs], census_numbers),
        (having(known, "census", "quantisation"), network_numbers),
        (named(known, "hls4ml"), hls_numbers),
        (having(known, "rtl", "verilator"), rtl_numbers),
        (_synthesised(known), synthesis_numbers),
        (in_one(known, "conifer"), trees_numbers),
        (evaluations, performance_numbers),
        (pareto.designs(evaluations, known), pareto_numbers),
        ([read_numbers(path, STAGE) for path in trigger], trigger_numbers),
    )
    rows: list[Metric] = []
    found: list[Table] = []
    for content, numbers in parts:
        if content:
            rows += numbers.metrics(content)
            found += numbers.tables(content)
    write_metrics(metrics, STAGE, rows)
    write_tables(listed, STAGE, found)


def _synthesised(points: list[Content]) -> list[Synthesised]:
    return [
        Synthesised(
            one["model"],
            one["point"],
            one["rtl"],
            one["synthesis"],
            one.get("netlist"),
            one.get("placement"),
        )
        for one in having(points, "rtl", "synthesis")
    ]
