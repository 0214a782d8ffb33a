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
    networks: Annotated[list[Path], Input("network.json of points")] = [],  # noqa: B006
    quantisation: Annotated[list[Path], Input("quantisation.json of points")] = [],  # noqa: B006
    hls4ml: Annotated[list[Path], Input("hls4ml.json of points")] = [],  # noqa: B006
    rtl: Annotated[list[Path], Input("rtl.json of points")] = [],  # noqa: B006
    verilator: Annotated[list[Path], Input("verilator.json of points")] = [],  # noqa: B006
    synthesis: Annotated[list[Path], Input("synthesis.json of points")] = [],  # noqa: B006
    netlist: Annotated[list[Path], Input("netlist.json of points")] = [],  # noqa: B006
    placement: Annotated[list[Path], Input("placement.json of points")] = [],  # noqa: B006
    conifer: Annotated[list[Path], Input("conifer.json of points of trees")] = [],  # noqa: B006
    evaluation: Annotated[list[Path], Input("evaluation of each model")] = [],  # noqa: B006
    trigger: Annotated[list[Path], Input("rates and efficiencies of triggers")] = [],  # noqa: B006
    metrics: Annotated[Path, Output("numbers of all models, metrics.json")],
    listed: Annotated[Path, Output("tables for the report and for LaTeX, tables.json")],
    settings: Given,
) -> None:
    """Read the numbers of each part of the stage, write list and tables.

    Files of points lie in folders MODEL/POINT.
    """
    points = by_point(
        {
            "census": networks,
            "quantisation": quantisation,
            "hls4ml": hls4ml,
            "rtl": rtl,
            "verilator": verilator,
            "synthesis": synthesis,
            "netlist": netlist,
            "placement": placement,
            "conifer": conifer,
        }
    )
    evaluations = [read_numbers(path, STAGE) for path in evaluation]
    parts: tuple[tuple[Any, Any], ...] = (
        ([read_numbers(path, STAGE) for path in inputs], census_numbers),
        (having(points, "census", "quantisation"), network_numbers),
        (named(points, "hls4ml"), hls_numbers),
        (having(points, "rtl", "verilator"), rtl_numbers),
        (_synthesised(points), synthesis_numbers),
        (in_one(points, "conifer"), trees_numbers),
        (evaluations, performance_numbers),
        (pareto.designs(evaluations, points), pareto_numbers),
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
