"""Draw all figures of the stage from saved numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fullchain.firmware import (
    census_figures,
    hls_figures,
    network_figures,
    pareto,
    pareto_figures,
    performance_figures,
    trees_figures,
    trigger_figures,
)
from fullchain.firmware.point_files import STAGE, by_point, having, named
from fullchain.laid_out_figures import LaidOutFigureSet, title_of
from fullchain.saved_numbers import read_numbers
from fullchain.step import Given, Input, Output


def main(
    *,
    inputs: Annotated[list[Path], Input("distributions of the inputs, of firmware census")] = [],  # noqa: B006
    training: Annotated[list[Path], Input("training.json of networks")] = [],  # noqa: B006
    growth: Annotated[list[Path], Input("training.json of trees")] = [],  # noqa: B006
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
    index: Annotated[Path, Output("list of the figures, which are written beside it")],
    settings: Given,
) -> None:
    """Draw the figures of each part of the stage that left numbers.

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
    parts: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
        ([read_numbers(path, STAGE) for path in inputs], census_figures.figures),
        ([read_numbers(path, STAGE) for path in training], network_figures.training_figures),
        (having(points, "census", "quantisation"), network_figures.figures),
        (named(points, "hls4ml"), hls_figures.figures),
        ([read_numbers(path, STAGE) for path in growth], trees_figures.figures),
        (evaluations, performance_figures.figures),
        (pareto.designs(evaluations, points), pareto_figures.figures),
        ([read_numbers(path, STAGE) for path in trigger], trigger_figures.figures),
    )
    figures = LaidOutFigureSet(index, STAGE)
    for content, draw in parts:
        if content:
            for name, (fig, caption) in draw(content).items():
                figures.save(fig, name, title_of(caption), caption)
    figures.write()
