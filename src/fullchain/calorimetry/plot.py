"""Draw all figures of the stage from saved numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from matplotlib.figure import Figure

from fullchain.calorimetry import (
    classifier_figures,
    control_figures,
    downstream_figures,
    evaluation_figures,
    matching_figures,
    quality_figures,
    refinement_figures,
    showers_figures,
    variation_figures,
)
from fullchain.calorimetry.published_models import with_kinds
from fullchain.laid_out_figures import LaidOutFigureSet, title_of
from fullchain.saved_numbers import read_numbers
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
    index: Annotated[Path, Output("list of the figures, which are written beside it")],
    settings: Given,
) -> None:
    """Draw the figures of each part of the stage that left numbers."""
    figures = LaidOutFigureSet(index, STAGE)
    sets = _read(showers)
    parts = (
        (showers, showers_figures.figures),
        (evaluation, evaluation_figures.figures),
        (classifiers, classifier_figures.figures),
        (control, control_figures.figures),
        (variation, variation_figures.figures),
        (solvers, matching_figures.figures),
        (refinement, refinement_figures.figures),
        (downstream, downstream_figures.figures),
    )
    for paths, draw in parts:
        if paths:
            _save(figures, draw(with_kinds(_read(paths), sets)))
    if evaluation and classifiers and timing:
        judged = (
            with_kinds(_read(evaluation), sets),
            with_kinds(_read(classifiers), sets),
            with_kinds(_read(timing), sets),
            _read(solvers),
        )
        _save(figures, quality_figures.figures(*judged))
    figures.write()


def _read(paths: list[Path]) -> list[Any]:
    return [read_numbers(path, STAGE) for path in paths]


def _save(figures: LaidOutFigureSet, drawn: Mapping[str, tuple[Figure, str]]) -> None:
    for name, (fig, caption) in drawn.items():
        figures.save(fig, name, title_of(caption), caption)
