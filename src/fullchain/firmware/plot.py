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
    points: Annotated[
        list[Path],
        Input(
            "JSON of points, MODEL/POINT/KIND.json: network, quantisation, hls4ml, rtl, synthesis, "
            "conifer"
        ),
    ] = [],  # noqa: B006
    evaluation: Annotated[list[Path], Input("evaluation of each model")] = [],  # noqa: B006
    trigger: Annotated[list[Path], Input("rates and efficiencies of triggers")] = [],  # noqa: B006
    index: Annotated[Path, Output("list of the figures, which are written beside it")],
    settings: Given,
) -> None:
    """Draw the figures of each part of the stage that left numbers."""
    known = by_point(points)
    evaluations = [read_numbers(path, STAGE) for path in evaluation]
    parts: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
        ([read_numbers(path, STAGE) for path in inputs], census_figures.figures),
        ([read_numbers(path, STAGE) for path in training], network_figures.training_figures),
        (having(known, "census", "quantisation"), network_figures.figures),
        (named(known, "hls4ml"), hls_figures.figures),
        ([read_numbers(path, STAGE) for path in growth], trees_figures.figures),
        (evaluations, performance_figures.figures),
        (pareto.designs(evaluations, known), pareto_figures.figures),
        ([read_numbers(path, STAGE) for path in trigger], trigger_figures.figures),
    )
    figures = LaidOutFigureSet(index, STAGE)
    for content, draw in parts:
        if content:
            for name, (fig, caption) in draw(content).items():
                figures.save(fig, name, title_of(caption), caption)
    figures.write()
